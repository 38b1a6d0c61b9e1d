"""Derivatives by a mode beside those by finite differences."""

from __future__ import annotations

import torch

import cvxprox
from cvxprox.differentiation import Differentiation
from tests.gradients.corpus import functional, reference, variables

Pairs = list[tuple[float, float]]
"""For every parameter the derivative along a direction: found, and expected."""


def derivatives(name: str, mode: Differentiation | str, **options: object) -> Pairs:
    """Derivatives of the functional of the solution along the directions of the parameters."""
    case, directions, expected = reference(name)
    tensors = case.tensors(requires_grad=True)
    layer = cvxprox.ProxLayer(
        case.problem, list(tensors), variables(case), differentiation=mode, gp=case.gp, **options
    )
    loss = sum(functional(value) for value in layer(*tensors.values()))
    grads = torch.autograd.grad(loss, list(tensors.values()))
    pairs = []
    for (p, d), grad in zip(directions.items(), grads, strict=True):
        own, along = (torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in (grad, d))
        pairs.append((float((own * along).sum()), expected[p]))
    return pairs


def error(pairs: Pairs) -> float:
    """The largest error, relative to the derivative itself or to the largest one if that is larger."""
    scale = max(abs(expected) for _, expected in pairs)
    return max(abs(found - expected) for found, expected in pairs) / scale


def cosine(name: str, mode: Differentiation | str, **options: object) -> float:
    """The cosine between the gradient by a mode and the exact one, over all parameters."""
    gradients = []
    for one in (mode, "kkt"):
        case, _, _ = reference(name)
        tensors = case.tensors(requires_grad=True)
        own = options if one is mode else {}
        layer = cvxprox.ProxLayer(
            case.problem, list(tensors), variables(case), differentiation=one, gp=case.gp, **own
        )
        loss = sum(functional(value) for value in layer(*tensors.values()))
        grads = torch.autograd.grad(loss, list(tensors.values()))
        parts = (torch.view_as_real(g.resolve_conj()) if g.is_complex() else g for g in grads)
        gradients.append(torch.cat([part.flatten() for part in parts]))
    return float(torch.nn.functional.cosine_similarity(*gradients, dim=0))
