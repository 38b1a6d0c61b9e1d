"""Memory that is freed and needed again."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import torch

LARGEST = 2**25 - 2**16
"""Just below the largest block from which glibc learns, 32 MiB."""


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep the memory of images between operations, up to 64 MiB.

    By default glibc returns freed blocks of more than 128 KiB to the system, and every operation on an
    image starts with page faults: a cosine transform of 512 x 512 numbers takes 15 ms instead of 1.6 ms
    on a virtual machine. It raises that bound to the size of the largest block it has seen freed, so one
    such block, which is never written to, is enough. Once a process; elsewhere without effect.
    """
    torch.empty(LARGEST, dtype=torch.uint8)


def return_freed_memory() -> None:
    """Give pages that are free back to the system, where the C library can (glibc).

    Blocks that torch has freed are seldom used again by torch itself, since it asks for aligned ones: what
    is allocated and freed over and over again would take more and more room.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
