"""The modes by the names of the option `differentiation`."""

from __future__ import annotations

from cvxprox.differentiation.base import Differentiation
from cvxprox.differentiation.implicit import Implicit
from cvxprox.differentiation.jacobian_free import JacobianFree
from cvxprox.differentiation.shine import Shine
from cvxprox.differentiation.unroll import Unroll

MODES: dict[str, Differentiation] = {
    "kkt": Implicit("kkt"),
    "implicit": Implicit("anderson"),
    "deq": Implicit("anderson"),
    "unroll": Unroll(),
    "jfb": JacobianFree(),
    "shine": Shine(),
}


def differentiation_of(spec: str | Differentiation) -> Differentiation:
    """The mode of a name, or the mode itself.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if isinstance(spec, Differentiation):
        return spec
    if spec not in MODES:
        known = ", ".join(f'"{name}"' for name in MODES)
        raise ValueError(
            f"differentiation={spec!r} is unknown. The known modes are {known}, or an instance such as "
            "Unroll(iterations=20)."
        )
    return MODES[spec]
