"""Sizes at which the FFT is fast."""

from __future__ import annotations

from scipy.fft import next_fast_len


def fast_size(n: int) -> int:
    """The least size from `n` on with no prime factor above 5 and, where n is large, a multiple of 4."""
    if n <= 32:
        return int(next_fast_len(n, real=True))
    return 4 * int(next_fast_len(-(-n // 4), real=True))
