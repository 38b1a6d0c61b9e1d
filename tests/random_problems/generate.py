"""The door to the families: a case from its family and seed."""

from __future__ import annotations

import warnings
import zlib

import numpy as np

from tests.random_problems.cases import Case
from tests.random_problems.composite import MIXES, composite
from tests.random_problems.conic import SPECIAL, conic

FAMILIES: tuple[str, ...] = (*SPECIAL, *MIXES)


def case(family: str, seed: int) -> Case:
    """The case with that seed; the same whenever and wherever it is asked for."""
    rng = np.random.default_rng([zlib.crc32(family.encode()), seed])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated spellings are used on purpose
        return (conic if family in SPECIAL else composite)(family, seed, rng)
