"""The solver's options, checked before anything runs."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

ALGORITHMS = ("admm", "admm_vxu", "ladmm", "hqs", "pdhg", "pgd", "fista")
LANES = ("auto", "assembled", "matrix_free")
SCHEDULES = ("constant", "log_descent")
LINEAR_SOLVERS = ("auto", "qdldl", "dense", "spectral", "cg", "minres")
ADAPTATIONS = ("spectral", "scalar")

Callback = Callable[[int, Any, Tensor], object]


@dataclass(frozen=True)
class Options:
    """Options of ``prob.solve(solver="NABLA_ADMM", ...)``.

    Parameters
    ----------
    algorithm : str
        "admm"; "admm_vxu", the same in the order prox, solve, dual; "ladmm" (linearised ADMM); "pdhg"
        (primal-dual hybrid gradient, Condat-Vũ where there are quadratics); "hqs" (half-quadratic
        splitting, a penalty method); "pgd" (proximal gradient); "fista" (accelerated, with restarts). The
        last two take problems in which every variable is in one term besides quadratic ones.
    schedule : None, str, callable or Schedule
        What changes from iteration to iteration. None: nothing, except that denoisers of unspecified noise
        level get "log_descent" and "hqs" a growing penalty. "constant": nothing at all. "log_descent":
        12 noise levels in equal ratios, from 40/255 down to that of the measurements as the weight of the
        quadratic terms tells it (`cvxprox.LogDescent` takes others). A function of the iteration returns a
        factor of all penalties or a dict with "rho" (that factor), "noise" (the noise level of denoisers)
        or both.
    lane : str
        "assembled": one sparse matrix; "matrix_free": structured operators stay operators; "auto".
    device : str
        "auto" (the CPU, where the sparse factorisation is), "cpu", "cuda", "cuda:1", …
    dtype : str or torch.dtype
        "float64" or "float32": the precision of the iterations.
    eps_abs, eps_rel : float
        A point is optimal when the primal and dual residuals and the gap, in the infinity norm
        and on the original data, are at most ``eps_abs + eps_rel * scale``.
    max_iter : int or None
        Iterations at most; the best point found is returned. None: 20000, and the length of the
        schedule of noise levels, 12, or 100 without one, for problems with denoisers.
    time_limit : float or None
        Seconds for setup and iterations; the best point found is returned, status `user_limit`.
    rho : float
        Initial penalty of the equilibrated program; equalities get a thousand times as much.
    adaptive_rho : str or bool
        "spectral" (or True): from secants, a penalty for every row, and one factor for all where matrices
        are not assembled; "scalar": one factor that balances the residuals; False: fixed. Runs with a
        schedule, non-convex ones and those of "pgd", "fista" and "hqs" do not adapt.
    alpha : float or None
        Over-relaxation, between 0 and 2. None: 1.6, and 1.8 where matrices are not assembled.
    sigma : float
        Weight of the proximal term in x.
    scaling : int or bool
        Passes of Ruiz equilibration; False or 0 for none.
    acceleration : int or bool
        Memory of Anderson acceleration; False or 0 for none, True for 10.
    linear_solver : str
        "auto", "qdldl" (sparse LDLᵀ), "dense" (Cholesky), "spectral" (closed form in a fast
        basis), "cg" (conjugate gradients) or "minres".
    polish : bool or str
        Refine by semi-smooth Newton steps, kept only where the residuals improve. "auto": where
        the steps cost no more time than the iterations took; True: always; False: never.
    restart : bool
        Whether "fista" drops its momentum where it points uphill.
    check_interval : int or None
        Iterations between two evaluations of the residuals. None: 25, and where matrices are not
        assembled as many as keep their share of the time at a tenth.
    callback : callable or None
        ``callback(iteration, residuals, x)`` at every check; returning True stops the run.
    use_quad_obj : bool
        Keep quadratic terms in the linear solve (True) or treat them by their prox (False).
    verbose : bool
        Print the plan and a table of residuals.
    """

    algorithm: str = "admm"
    schedule: Any = None
    lane: str = "auto"
    device: str = "auto"
    dtype: str | torch.dtype = "float64"
    eps_abs: float = 1e-6
    eps_rel: float = 1e-6
    max_iter: int | None = None
    time_limit: float | None = None
    rho: float = 0.1
    adaptive_rho: str | bool = "spectral"
    alpha: float | None = None
    sigma: float = 1e-6
    scaling: int | bool = 10
    acceleration: int | bool = False
    linear_solver: str = "auto"
    polish: bool | str = "auto"
    restart: bool = True
    check_interval: int | None = None
    callback: Callback | None = None
    use_quad_obj: bool = True
    verbose: bool = False

    def with_changes(self, changes: Mapping[str, Any]) -> Options:
        """These options with some replaced.

        Raises
        ------
        ValueError
            If an option is unknown (the text lists the known ones) or its value is out of range.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise ValueError(
                    f"NABLA_ADMM has no option {name!r}.{hint} Its options are: {', '.join(known)}."
                )
        options = replace(self, **changes)
        options._check()
        return replace(
            options, max_iter=_whole(options.max_iter), check_interval=_whole(options.check_interval)
        )

    def _check(self) -> None:
        positive = ("rho", "sigma")
        for name in positive:
            _require(
                _is_number(getattr(self, name)) and getattr(self, name) > 0, name, self, "a positive number"
            )
        for name in ("eps_abs", "eps_rel"):
            _require(
                _is_number(getattr(self, name)) and getattr(self, name) >= 0, name, self, "a number >= 0"
            )
        if self.eps_abs == 0 and self.eps_rel == 0:
            raise ValueError("NABLA_ADMM: eps_abs and eps_rel cannot both be 0.")
        for name in ("max_iter", "check_interval"):
            value = getattr(self, name)
            whole = value is None or (_is_number(value) and int(value) == value and value >= 1)
            _require(whole, name, self, "an integer >= 1")
        relaxes = self.alpha is None or (_is_number(self.alpha) and 0 < self.alpha < 2)
        _require(relaxes, "alpha", self, "a number between 0 and 2")
        _require(
            self.time_limit is None or (_is_number(self.time_limit) and self.time_limit > 0),
            "time_limit", self, "None or a positive number of seconds",
        )  # fmt: skip
        for name in ("scaling", "acceleration"):
            value = getattr(self, name)
            counts = isinstance(value, bool) or (isinstance(value, int | np.integer) and int(value) >= 0)
            _require(counts, name, self, "a bool or an integer >= 0")
        for name, known in (("algorithm", ALGORITHMS), ("lane", LANES)):
            _require(getattr(self, name) in known, name, self, f"one of {known}")
        _require(
            self.schedule is None or self.schedule in SCHEDULES or callable(self.schedule), "schedule", self,
            f"None, one of {SCHEDULES} or a function of the iteration",
        )  # fmt: skip
        for name in ("use_quad_obj", "verbose", "restart"):
            _require(isinstance(getattr(self, name), bool), name, self, "True or False")
        _require(
            isinstance(self.polish, bool) or self.polish == "auto", "polish", self, 'True, False or "auto"'
        )
        _require(self.linear_solver in LINEAR_SOLVERS, "linear_solver", self, f"one of {LINEAR_SOLVERS}")
        _require(isinstance(self.adaptive_rho, bool) or self.adaptive_rho in ADAPTATIONS, "adaptive_rho",
                 self, f"True, False or one of {ADAPTATIONS}")  # fmt: skip
        _require(self.callback is None or callable(self.callback), "callback", self, "None or callable")
        _require(str(self.dtype).removeprefix("torch.") in ("float64", "float32"), "dtype", self,
                 '"float64" or "float32"')  # fmt: skip
        self.torch_device()

    def same_iterations(self, other: Options) -> bool:
        """Whether a factorisation made under these options serves under `other`."""
        names = (
            "algorithm", "schedule", "lane", "device", "dtype", "rho", "sigma", "scaling", "linear_solver",
            "polish", "use_quad_obj",
        )  # fmt: skip
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch's."""
        return getattr(torch, str(self.dtype).removeprefix("torch."))

    def torch_device(self) -> torch.device:
        """The device as torch's.

        Raises
        ------
        ValueError
            If torch does not know it or it is not available here.
        """
        if self.device == "auto":
            return torch.device("cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"NABLA_ADMM: device {self.device!r} is not available here ({reason}). "
                'Use device="cpu" or "auto".'
            ) from error
        return device

    def memory(self) -> int:
        """Of the acceleration; 0 for none."""
        return 10 if self.acceleration is True else int(self.acceleration)

    def passes(self) -> int:
        """Of the equilibration."""
        return 10 if self.scaling is True else int(self.scaling)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _is_number(value: object) -> bool:
    """Real and finite; NumPy's numbers too."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _require(condition: bool, name: str, options: Options, expected: str) -> None:
    if not condition:
        raise ValueError(f"NABLA_ADMM: {name} must be {expected}, not {getattr(options, name)!r}.")
