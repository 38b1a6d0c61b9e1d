"""`cvxprox.ProxLayer`: a problem as a layer of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cvxpy as cp
from torch import Tensor

from cvxprox.layers.modes import Mode
from cvxprox.layers.module import ProblemModule
from cvxprox.layers.tensors import Given
from cvxprox.options import Options

OTHER_NAMES = {"eps": ("eps_abs", "eps_rel"), "max_iters": ("max_iter",)}
"""Options by the names that they have with solvers of cvxpylayers."""


class ProxLayer(ProblemModule):
    """A convex problem as a differentiable layer: tensors for parameters in, solutions out.

    It is called as the layers of cvxpylayers are, ``(x, y) = layer(A, b)``. Problems need not be DPP, and may
    hold operators, networks and denoisers.

    * Every tensor has the shape of its parameter, or that after batch dimensions, ``(*batch, *shape)``. Batch
      dimensions broadcast: tensors without any are shared by all samples.
    * All tensors have one type and one device. Results have them too. Solves are in double precision
      unless ``dtype="float32"`` is given, and run on that device.
    * A sample that is infeasible, unbounded, convex and not solved within the default limit on the
      iterations, or whose tensors are not finite gives NaN and gradients of zero; the others are not
      touched. One warning names such samples, and `failed` marks them. Where a limit is given
      (`max_iter`, `time_limit`) the point reached then is returned, and `status` says so.
    * Of a tensor for a symmetric, semidefinite or Hermitian parameter the symmetric part counts, of one for
      a diagonal or sparse parameter the entries there; gradients are accordingly.

    Parameters
    ----------
    problem : cvxpy.Problem
    parameters : list of Parameter
        For which tensors are given, in this order. Others keep their values, and a `cvxprox.Parameter` its
        tensor.
    variables : list of Variable
        Whose values are returned, in this order. Dual variables, ``constraint.dual_variables[0]``, may be
        among them.
    duals : list of Constraint, optional
        Whose dual values are returned after the variables, with CVXPY's signs; a cone of several dual
        variables has as many.
    differentiation : str or Differentiation, optional
        As in `cvxprox.compile`.
    gp : bool
        Whether it is a geometric program.
    warm_start : bool
        Whether a call starts at the solutions of the last one with the same batch dimensions.
    **solver_options
        As documented in `cvxprox.Options`.

    Attributes
    ----------
    status, failed, info
        Of the last call: how every sample ended, which ones have no solution, iterations and accuracies.

    Raises
    ------
    ValueError
        If parameters, variables or constraints are not in the problem, variables are integer, or an option is
        wrong.

    References
    ----------
    Agrawal et al., *Differentiable Convex Optimization Layers* (2019).

    Examples
    --------
    >>> import cvxpy as cp, cvxprox, torch
    >>> x, y = cp.Variable(3), cp.Parameter(3)
    >>> relu = cvxprox.ProxLayer(cp.Problem(cp.Minimize(cp.sum_squares(x - y)), [x >= 0]), [y], [x])
    >>> data = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    >>> (positive,) = relu(data)
    >>> positive.sum().backward()
    >>> data.grad.round(decimals=3)
    tensor([0., 1., 1.])
    """

    def __init__(
        self,
        problem: cp.Problem,
        parameters: Sequence[cp.Parameter],
        variables: Sequence[cp.Variable],
        duals: Sequence[cp.Constraint] | None = None,
        differentiation: Mode = None,
        gp: bool = False,
        warm_start: bool = False,
        **solver_options: Any,
    ) -> None:
        _check_members("parameters", parameters, problem.parameters())
        known = [*problem.variables(), *(dual for c in problem.constraints for dual in c.dual_variables)]
        _check_members("variables", variables, known)
        _check_members("duals", duals or (), problem.constraints)
        _check_values(problem, parameters)
        options = Options().with_changes(solver_options)
        super().__init__(problem, options, differentiation, gp, warm_start)
        self.parameters_given = tuple(parameters)
        self.variables = tuple(variables)
        self.duals = tuple(duals or ())

    def forward(self, *tensors: Tensor, solver_args: Mapping[str, Any] | None = None) -> tuple[Tensor, ...]:
        """The solution for tensors in the order of `parameters`.

        Parameters
        ----------
        *tensors : Tensor
            One for each parameter.
        solver_args : mapping, optional
            Options for this call, as documented in `cvxprox.Options`, and "warm_start". "eps" stands for
            "eps_abs" and "eps_rel", and "max_iters" for "max_iter", as cvxpylayers' users know them.

        Returns
        -------
        tuple of Tensor
            The values of `variables`, then those of `duals`, of shape ``(*batch, *shape)``.

        Raises
        ------
        ValueError, TypeError
            If the tensors do not fit the parameters or each other.
        """
        given = self._given(tensors)
        changes: dict[str, Any] = {}
        for name, value in (solver_args or {}).items():
            changes.update(dict.fromkeys(OTHER_NAMES.get(name, (name,)), value))
        warm_start = changes.pop("warm_start", None)
        own = {v.id for c in self.problem.constraints for v in c.dual_variables}
        primal = [v.id for v in self.variables if v.id not in own]
        dual = [v.id for v in self.variables if v.id in own]
        dual += [v.id for c in self.duals for v in c.dual_variables]
        values, multipliers = self.solution(given, changes, (primal, dual), warm_start=warm_start)
        first, second = iter(values), iter(multipliers)
        return (*(next(second if v.id in own else first) for v in self.variables), *second)

    def _given(self, tensors: Sequence[Tensor]) -> Given:
        if len(tensors) != len(self.parameters_given):
            names = ", ".join(f"`{p.name()}`" for p in self.parameters_given)
            raise ValueError(
                f"A tensor must be provided for each CVXPY parameter: the layer takes "
                f"{len(self.parameters_given)}, for {names or 'no parameters'}, and was given {len(tensors)}."
            )
        return dict(zip(self.parameters_given, tensors, strict=True))


def _check_members(what: str, asked: Sequence[Any], known: Sequence[Any]) -> None:
    if not isinstance(asked, list | tuple):
        raise TypeError(f"{what} is a {type(asked).__name__}; it is a list.")
    ids = {member.id for member in known}
    for number, one in enumerate(asked):
        name = f"`{one.name() if hasattr(one, 'name') else one}`"
        if getattr(one, "id", None) not in ids:
            raise ValueError(f"{name} of `{what}` is not in the problem. Its {what} are {_names(known)}.")
        if any(one is other for other in asked[:number]):
            raise ValueError(f"{name} is twice in `{what}`.")


def _names(members: Sequence[Any]) -> str:
    return (
        ", ".join(f"`{m.name()}`" if callable(getattr(m, "name", None)) else f"`{m}`" for m in members)
        or "none"
    )


def _check_values(problem: cp.Problem, parameters: Sequence[cp.Parameter]) -> None:
    given = {p.id for p in parameters}
    missing = [p.name() for p in problem.parameters() if p.id not in given and p.value is None]
    if missing:
        raise ValueError(
            f"the parameters {', '.join(f'`{name}`' for name in missing)} have no value and are not among "
            "`parameters`, for which tensors are given. Add them, or set their values."
        )
