r"""Exact gradients, sample by sample, by NumPy alone.

Where the active constraints are known, a solution is a zero of smooth equations: :math:`F(u, \theta) = 0` in
the point and the multipliers of active constraints. Clarabel finds them; Newton's method then makes the
solution exact, what is left out is checked, and for a loss :math:`c^T x`

.. math:: \frac{d\,c^Tx}{d\theta} = -w^T \frac{\partial F}{\partial\theta}, \qquad
          \Big(\frac{\partial F}{\partial u}\Big)^T w = (c, 0).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers.instances import CONES, Array, Instance, Model

Sample = Mapping[str, Array]
STRICT = 1e-9
"""What counts as zero in the optimality conditions, and how far from it inactive ones have to stay."""


@dataclass(frozen=True)
class Exact:
    """The solution of one sample, (n,), and the gradients of all data by name."""

    x: Array
    gradients: dict[str, Array]


class DegenerateError(ValueError):
    """The solution is not a smooth function of the data, or was not found."""


def exact(instance: Instance) -> list[Exact]:
    """Solutions and gradients of all samples.

    Raises
    ------
    DegenerateError
        If a sample's constraints cannot be told to be active or not.
    """
    model = instance.build()
    oracle = ORACLES[instance.family]
    found = []
    for index, cotangent in enumerate(instance.cotangent):
        try:
            found.append(oracle(model, instance.sample(index), cotangent))
        except DegenerateError as error:
            raise DegenerateError(f"{instance.name}, sample {index}: {error}") from None
    return found


def relative_error(gradients: Mapping[str, Array], truth: Mapping[str, Array]) -> float:
    """The norm of the error of all gradients together over that of the exact ones."""
    error = sum(float(np.sum((gradients[name] - truth[name]) ** 2)) for name in truth)
    return float(np.sqrt(error / sum(float(np.sum(value**2)) for value in truth.values())))


def _solve(model: Model, data: Sample) -> None:
    for parameter, value in zip(model.parameters, data.values(), strict=True):
        parameter.value = value
    tolerances = dict(tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a point that is less exact than that: Newton's method follows
        model.problem.solve("CLARABEL", ignore_dpp=True, **tolerances)
    if model.x.value is None:
        raise DegenerateError(f"Clarabel ends with status {model.problem.status}")


def _check(condition: object, what: str) -> None:
    if not condition:
        raise DegenerateError(what)


def qp(model: Model, data: Sample, cotangent: Array) -> Exact:
    """On the active rows of G, a linear system."""
    L, q, G, h, A, b = data.values()
    _solve(model, data)
    inequality, _ = model.problem.constraints
    active = inequality.dual_value > h - G @ model.x.value
    n, rows = len(q), np.vstack([G[active], A])
    jacobian = np.block([[L.T @ L, rows.T], [rows, np.zeros((len(rows), len(rows)))]])
    point = _refined_solve(jacobian, np.concatenate([-q, h[active], b]))
    x, multipliers = np.split(point, [n])
    dual, nu = np.split(multipliers, [int(active.sum())])
    _check(dual.min(initial=1.0) > STRICT, "a constraint is active without a multiplier")
    _check((h - G @ x)[~active].min(initial=1.0) > STRICT, "a constraint holds without being active")
    adjoint = _refined_solve(jacobian, np.concatenate([cotangent, np.zeros(len(rows))]))
    w, w_rows = np.split(adjoint, [n])
    w_dual, w_nu = np.split(w_rows, [len(dual)])
    all_dual, all_w_dual = np.zeros(len(h)), np.zeros(len(h))
    all_dual[active], all_w_dual[active] = dual, w_dual
    gradients = dict(
        L=-np.outer(L @ x, w) - np.outer(L @ w, x),
        q=-w,
        G=-np.outer(all_dual, w) - np.outer(all_w_dual, x),
        h=all_w_dual,
        A=-np.outer(nu, w) - np.outer(w_nu, x),
        b=w_nu,
    )
    return Exact(x, gradients)


def lasso(model: Model, data: Sample, cotangent: Array) -> Exact:
    """On the support, where the signs are fixed, linear equations."""
    A, b, weight = data.values()
    _solve(model, data)
    slack = weight - np.abs(A.T @ (A @ model.x.value - b))
    support = np.abs(model.x.value) > np.abs(slack)
    signs = np.sign(model.x.value[support])
    x, gradients, w = _least_squares(A, b, support, np.zeros(A.shape[1]), weight * signs, cotangent)
    _check(
        (signs * x[support]).min(initial=1.0) > STRICT,
        "a variable of the support is zero or changes its sign",
    )
    outside = np.abs(A.T @ (A @ x - b))[~support]
    _check(outside.max(initial=0.0) < weight - STRICT, "a variable outside the support may move")
    return Exact(x, gradients | dict(weight=np.asarray(-signs @ w)))


def parameter(model: Model, data: Sample, cotangent: Array) -> Exact:
    """On the variables above the floor, linear equations."""
    A, b, floor = data.values()
    _solve(model, data)
    above = model.x.value - floor > 2 * A.T @ (A @ model.x.value - b)
    x, gradients, w = _least_squares(A, b, above, floor, np.zeros(int(above.sum())), cotangent)
    _check((x - floor)[above].min(initial=1.0) > STRICT, "a variable is at the floor without a multiplier")
    _check((A.T @ (A @ x - b))[~above].min(initial=1.0) > STRICT, "a variable at the floor may rise")
    gradients["floor"] = np.where(above, 0.0, cotangent - A.T @ (A[:, above] @ w))
    return Exact(x, gradients)


def _least_squares(
    A: Array, b: Array, free: NDArray[np.bool_], fixed: Array, shift: Array, cotangent: Array
) -> tuple[Array, dict[str, Array], Array]:
    """The x of A_S'(A x - b) + shift = 0 in the free variables S, its gradients and the adjoint w on S."""
    columns = A[:, free]
    gram = columns.T @ columns
    x = np.where(free, 0.0, fixed)
    x[free] = _refined_solve(gram, columns.T @ (b - A @ x) - shift)
    w = _refined_solve(gram, cotangent[free])
    gradient = -np.outer(columns @ w, x)
    gradient[:, free] -= np.outer(A @ x - b, w)
    return x, dict(A=gradient, b=columns @ w), w


def socp(model: Model, data: Sample, cotangent: Array) -> Exact:
    """On the boundaries of the cones that hold, smooth equations."""
    f, g = data["f"], data["g"]
    _solve(model, data)
    equation, *cones = model.problem.constraints
    x = model.x.value
    multipliers = [float(np.ravel(cone.dual_value[0])[0]) for cone in cones]
    active = [i for i in range(CONES) if multipliers[i] > _slack(data, i, x)]
    point = np.concatenate([x, [multipliers[i] for i in active], equation.dual_value])
    for _ in range(20):
        value, jacobian = _socp_conditions(data, active, point)
        point = point - np.linalg.solve(jacobian, value)
    value, jacobian = _socp_conditions(data, active, point)
    scale = 1 + np.abs(f).max() + np.abs(g).max(initial=0.0)
    residual = np.abs(value).max()
    _check(residual <= 1e-11 * scale, f"Newton's method left a residual of {residual:.1e}")
    n, k = len(f), len(active)
    x, dual, nu = np.split(point, [n, n + k])
    _check(dual.min(initial=1.0) > STRICT, "a cone is active without a multiplier")
    others = [_slack(data, i, x) for i in range(CONES) if i not in active]
    _check(min(others, default=1.0) > STRICT, "a cone holds with equality without being active")
    right = np.concatenate([cotangent, np.zeros(len(point) - n)])
    w, w_dual, w_nu = np.split(_refined_solve(jacobian, right), [n, n + k])
    gradients = dict(f=-w, F=-np.outer(nu, w) - np.outer(w_nu, x), g=w_nu)
    for i in range(CONES):
        lam, w_lam = (dual[active.index(i)], w_dual[active.index(i)]) if i in active else (0.0, 0.0)
        A, unit, size = data[f"A{i}"], *_direction(data, i, x)
        moved = A @ w
        along = lam * (moved - unit * (unit @ moved)) / size + w_lam * unit
        gradients |= {
            f"A{i}": -lam * np.outer(unit, w) - np.outer(along, x),
            f"b{i}": -along,
            f"c{i}": lam * w + w_lam * x,
            f"d{i}": np.asarray(w_lam),
        }
    return Exact(x, gradients)


def _direction(data: Sample, i: int, x: Array) -> tuple[Array, float]:
    """A_i x + b_i over its norm, and the norm."""
    value = data[f"A{i}"] @ x + data[f"b{i}"]
    size = float(np.linalg.norm(value))
    _check(size > 1e-6, "the solution is at the apex of a cone")
    return value / size, size


def _slack(data: Sample, i: int, x: Array) -> float:
    size = np.linalg.norm(data[f"A{i}"] @ x + data[f"b{i}"])
    return float(data[f"c{i}"] @ x + data[f"d{i}"] - size)


def _socp_conditions(data: Sample, active: list[int], point: Array) -> tuple[Array, Array]:
    """Stationarity, the active cones and the equations, as functions of the point and the multipliers."""
    f, F, g = (data[name] for name in "fFg")
    n, k = len(f), len(active)
    x, dual, nu = np.split(point, [n, n + k])
    normals, hessian = np.zeros((k, n)), np.zeros((n, n))
    for row, i in enumerate(active):
        A, unit, size = data[f"A{i}"], *_direction(data, i, x)
        normals[row] = A.T @ unit - data[f"c{i}"]
        hessian += dual[row] / size * (A.T @ A - np.outer(A.T @ unit, A.T @ unit))
    rows = np.vstack([normals, F])
    value = np.concatenate(
        [f + rows.T @ np.concatenate([dual, nu]), [-_slack(data, i, x) for i in active], F @ x - g]
    )
    return value, np.block([[hessian, rows.T], [rows, np.zeros((len(rows), len(rows)))]])


def _refined_solve(matrix: Array, right: Array) -> Array:
    """The solution of a linear system, refined with a residual in extended precision."""
    solution = np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    wide = matrix.astype(np.longdouble)
    for _ in range(2):
        residual = np.asarray(right - wide @ solution, dtype=np.float64)
        solution += np.linalg.solve(matrix, residual)
    return solution


ORACLES: dict[str, Callable[[Model, Sample, Array], Exact]] = {
    "qp": qp,
    "lasso": lasso,
    "socp": socp,
    "parameter": parameter,
}
