"""CVXPY's own tests of derivatives, run for this library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .run_cvxpy_derivatives import NOT_ABOUT_US, cases, run


def collected() -> Iterator[object]:
    for kind, name in cases():
        reason = NOT_ABOUT_US.get(name)
        marks = [pytest.mark.skip(reason=reason)] if reason else []
        yield pytest.param(kind, name, id=f"{kind.__name__}-{name}", marks=marks)


@pytest.mark.parametrize(("kind", "name"), list(collected()))
def test_case(kind: type, name: str) -> None:
    run(kind, name)
