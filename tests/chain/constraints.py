"""Projections of a point onto constraints of every kind, and which of these are norm balls."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np

from .problems import W23, A, Build, a, distance, normal


def constrained(make: Callable[[cp.Variable], list], *shape: int, scale: float = 2.0) -> Build:
    """The projection of a point onto the constraints: strongly convex, the duals unique."""

    def build() -> cp.Problem:
        x = cp.Variable(shape or (5,), name="x")
        return cp.Problem(cp.Minimize(2 * distance(x, scale * normal(*x.shape, seed=21))), make(x))

    return build


B, b2 = normal(2, 5, seed=5), normal(2, seed=6)
S33 = normal(3, 3, seed=7) + normal(3, 3, seed=7).T
DUALS: dict[str, Build] = {
    "equality": constrained(lambda x: [B @ x == b2]),
    "scalar equality": constrained(lambda x: [cp.sum(x) == 1]),
    "matrix equality": constrained(lambda X: [X @ [1.0, 2, 3] == [1, 2], X[0, :2] == X[1, 1:]], 2, 3),
    "Zero": constrained(lambda x: [cp.Zero(B @ x - b2)]),
    "less": constrained(lambda x: [B @ x <= b2 - 1]),
    "greater": constrained(lambda x: [b2 + 3 <= B @ x]),
    "two-sided": constrained(lambda x: [x >= -0.5, x <= 0.5]),
    "matrix bounds": constrained(lambda X: [X >= -W23, W23 + 0.1 >= X], 2, 3),
    "NonNeg": constrained(lambda x: [cp.NonNeg(B @ x - b2 - 1)]),
    "SOC": constrained(lambda x: [cp.SOC(x[0] + 1, B @ x)]),
    "SOC axis 0": constrained(lambda X: [cp.SOC(X[0] + 0.5, X[1:], axis=0)], 4, 3),
    "SOC axis 1": constrained(lambda X: [cp.SOC(X[:, 0] + 0.5, X[:, 1:], axis=1)], 3, 4),
    "norm of variables": constrained(lambda x: [cp.norm(x[1:]) <= x[0] + 1]),
    "PSD": constrained(lambda X: [X >> S33, X == X.T], 3, 3),
    "NSD": constrained(lambda X: [X << S33 - np.eye(3), X == X.T], 3, 3),
    "PSD expression": constrained(lambda x: [cp.PSD(cp.bmat([[x[0] + 1, x[1]], [x[1], x[2]]]))]),
    "ExpCone": constrained(lambda X: [cp.ExpCone(X[0], X[1], X[2])], 3, 4),
    "ExpCone n-d": constrained(lambda X: [cp.ExpCone(X[:2], X[2:4], X[4:])], 6, 2),
    "ExpCone scalar": constrained(lambda x: [cp.ExpCone(x[0], x[1], x[2])]),
    "PowCone3D": constrained(lambda X: [cp.PowCone3D(X[0], X[1], X[2] + 2, [0.2, 0.5, 0.9])], 3, 3),
    "PowCone3D n-d": constrained(lambda X: [cp.PowCone3D(X[:2], X[2:4], X[4:] + 2, 0.3)], 6, 2),
    "PowConeND": constrained(lambda x: [cp.PowConeND(x[:3], x[3] + 2, np.array([0.2, 0.3, 0.5]))]),
    "PowConeND axis 0": constrained(
        lambda X: [cp.PowConeND(X[:3], X[3] + 2, np.array([[0.2, 0.5], [0.3, 0.3], [0.5, 0.2]]))], 4, 2
    ),
    "PowConeND axis 1": constrained(
        lambda X: [cp.PowConeND(X[:, :3], X[:, 3] + 2, np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]]), axis=1)],
        2,
        4,
    ),
    "abs ball": constrained(lambda x: [cp.abs(x) <= 0.5]),
    "abs ball of a matrix": constrained(lambda X: [cp.abs(X - 1) <= W23 / 5 + 0.1], 2, 3),
    "inf ball": constrained(lambda x: [cp.norm_inf(A @ x) <= 1.5]),
    "inf balls": constrained(lambda X: [cp.norm(X, "inf", axis=0) <= [0.5, 1, 0.1]], 2, 3),
    "1 ball": constrained(lambda x: [cp.norm1(A @ x) <= 1.5]),
    "1 balls": constrained(lambda X: [cp.norm(X, 1, axis=1) <= 0.4], 2, 3),
    "2 ball": constrained(lambda x: [cp.norm(A @ x - a) <= 3.5]),
    "2 balls": constrained(lambda X: [cp.norm(X, 2, axis=1) <= np.array([0.4, 0.9])], 2, 3),
    "2 ball written backwards": constrained(lambda x: [1.5 >= cp.norm(x)]),
    "2 ball, scaled": constrained(lambda x: [2 * cp.norm(x) + 1 <= 4]),
    "2 ball with a parameter": constrained(lambda x: [cp.norm(x) <= cp.Parameter(nonneg=True, value=1)]),
    "Frobenius ball": constrained(lambda X: [cp.norm(X, "fro") <= 1], 2, 3),
    "nuclear ball": constrained(lambda X: [cp.normNuc(X) <= 1.5], 2, 3),
    "spectral ball": constrained(lambda X: [cp.sigma_max(X - 1) <= 1.0], 2, 3),
    "several": constrained(
        lambda x: [cp.sum(x) == 0.3, cp.norm(x[:3]) <= 0.4, x[3] >= 0.2, cp.exp(x[4]) <= 0.5 + x[3]]
    ),
}
BALLS = {
    "abs ball": "Box", "inf ball": "Box", "inf balls": "Box", "1 ball": "Norm1Ball", "1 balls": "Norm1Ball",
    "2 ball": "Norm2Ball", "2 balls": "Norm2Ball", "2 ball written backwards": "Norm2Ball",
    "2 ball with a parameter": "Norm2Ball", "Frobenius ball": "Norm2Ball", "nuclear ball": "NuclearBall",
    "spectral ball": "SpectralBall",
}  # fmt: skip
