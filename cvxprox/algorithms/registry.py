"""The algorithms by the names of the option `algorithm`."""

from __future__ import annotations

from cvxprox.algorithms.admm import ADMM
from cvxprox.algorithms.admm_vxu import ADMMVXU
from cvxprox.algorithms.base import Splitting
from cvxprox.algorithms.fista import FISTA
from cvxprox.algorithms.half_quadratic import HalfQuadraticSplitting
from cvxprox.algorithms.linearised_admm import LinearisedADMM
from cvxprox.algorithms.primal_dual import PrimalDualHybridGradient
from cvxprox.algorithms.proximal_gradient import ProximalGradient
from cvxprox.program import ProxProgram

ALGORITHMS: dict[str, type[Splitting]] = {
    "admm": ADMM,
    "admm_vxu": ADMMVXU,
    "ladmm": LinearisedADMM,
    "hqs": HalfQuadraticSplitting,
    "pdhg": PrimalDualHybridGradient,
    "pgd": ProximalGradient,
    "fista": FISTA,
}


def refuse(name: str, program: ProxProgram) -> str | None:
    """Why the algorithm called `name` cannot take `program`, naming terms by their labels; None if it can."""
    reason = ALGORITHMS[name].form.refuse(program)
    return None if reason is None else f'algorithm="{name}" cannot solve this problem: {reason}'
