"""Tensors for parameters: checks, batches, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cvxpy as cp
import torch
from torch import Tensor

Given = Mapping[cp.Parameter, Tensor]

SLACK = 1e-5
"""How far, relative to its largest entry, a tensor may be from the attributes of its parameter."""


@dataclass(frozen=True)
class Inputs:
    """Tensors for parameters that fit together.

    Attributes
    ----------
    values : mapping of Parameter to Tensor
        Of shape ``(*batch_p, *shape)``; every ``batch_p`` broadcasts to `batch`.
    batch : tuple of int
        The common batch dimensions.
    dtype : torch.dtype or None
        The real type of all of them; None without tensors.
    device : torch.device or None
        Where all of them are.
    """

    values: Given
    batch: tuple[int, ...]
    dtype: torch.dtype | None
    device: torch.device | None

    def cast(self, dtype: torch.dtype) -> dict[cp.Parameter, Tensor]:
        """The tensors in the real type `dtype`, with the attributes (symmetric, …) of their parameters."""
        cast = {}
        for p, t in self.values.items():
            kind = dtype.to_complex() if t.is_complex() else dtype
            cast[p] = with_attributes(p, t.to(kind))
        return cast

    def to(self, device: torch.device) -> Inputs:
        """The same tensors on a device."""
        return replace(self, values={p: t.to(device) for p, t in self.values.items()}, device=device)

    def with_more(self, values: Given) -> Inputs:
        """With tensors without batch that need no checks."""
        moved = {p: t if self.device is None else t.to(self.device) for p, t in values.items()}
        return replace(self, values={**self.values, **moved})

    def failed(self) -> Tensor:
        """Which samples, the batch flattened, have numbers that are not finite."""
        failed = torch.zeros(self.batch, dtype=torch.bool, device=self.device)
        for p, t in self.values.items():
            total = t.detach().flatten(-p.ndim).sum(-1) if p.ndim else t.detach()
            failed = failed | ~total.isfinite()
        return failed.reshape(-1)


def check_inputs(given: Given) -> Inputs:
    """Check that tensors fit their parameters and each other.

    Raises
    ------
    TypeError
        If something is not a tensor of real or complex numbers.
    ValueError
        If shapes, batches, types, devices or the attributes of the parameters do not fit.
    """
    batches: dict[str, tuple[int, ...]] = {}
    for p, t in given.items():
        batches[p.name()] = _batch(p, t)
    try:
        batch = tuple(torch.broadcast_shapes(*batches.values()))
    except RuntimeError as error:
        found = ", ".join(f"{b} of `{name}`" for name, b in batches.items() if b)
        raise ValueError(f"the batch dimensions of the tensors do not fit together: {found}.") from error
    dtype = _single(
        "types", {p: t.dtype.to_real() for p, t in given.items()}, "Convert them with `.to(dtype)`."
    )
    device = _single("devices", {p: t.device for p, t in given.items()}, "Move them with `.to(device)`.")
    for p, t in given.items():
        _check_attributes(p, t.detach())
    return Inputs(given, batch, dtype, device)


def with_attributes(p: cp.Parameter, t: Tensor) -> Tensor:
    """The part of a tensor that counts for a parameter: symmetric, Hermitian, diagonal, sparse."""
    attributes = p.attributes
    if attributes["symmetric"] or attributes["PSD"] or attributes["NSD"] or attributes["hermitian"]:
        return (t + t.mH) / 2
    if attributes["diag"]:
        return torch.diag_embed(t.diagonal(dim1=-2, dim2=-1))
    if attributes["sparsity"]:
        mask = torch.zeros(p.shape, dtype=torch.bool, device=t.device)
        mask[tuple(torch.as_tensor(i, device=t.device) for i in p.sparse_idx)] = True
        return torch.where(mask, t, 0)
    return t


def _batch(p: cp.Parameter, t: object) -> tuple[int, ...]:
    """The batch dimensions of a tensor for a parameter."""
    if not isinstance(t, Tensor):
        raise TypeError(
            f"the value for the parameter `{p.name()}` is a {type(t).__name__}; give a torch tensor."
        )
    if not (t.is_floating_point() or t.is_complex()):
        raise TypeError(
            f"the tensor for the parameter `{p.name()}` is of type {t.dtype}; convert it to a floating-point "
            "type."
        )
    if t.is_complex() and not p.is_complex():
        raise TypeError(
            f"the tensor for the parameter `{p.name()}` is complex and the parameter is real: declare it as "
            "`cvxpy.Parameter(..., complex=True)`."
        )
    cut = t.dim() - p.ndim
    if cut < 0 or tuple(t.shape[cut:]) != tuple(p.shape):
        after = ", ".join(["*batch", *map(str, p.shape)])
        raise ValueError(
            f"the tensor for the parameter `{p.name()}` has the shape {tuple(t.shape)}; expected "
            f"{tuple(p.shape)}, or ({after}) with batch dimensions."
        )
    return tuple(t.shape[:cut])


def _single(what: str, found: Mapping[cp.Parameter, Any], advice: str) -> Any:
    """The one value of a mapping."""
    if len(set(found.values())) > 1:
        text = ", ".join(f"{value} of `{p.name()}`" for p, value in found.items())
        raise ValueError(f"the tensors have different {what}: {text}. {advice}")
    return next(iter(found.values()), None)


def _check_attributes(p: cp.Parameter, t: Tensor) -> None:
    """Refuse tensors that CVXPY would not take as the value; entries that are not finite are no matter."""
    attributes = p.attributes
    if not p.num_attributes:
        return
    finite = torch.where(t.isfinite(), t, 0)
    slack = SLACK * (finite.abs().amax() if t.numel() else 1.0)
    wrong = None
    if (attributes["nonneg"] or attributes["pos"]) and bool((finite < -slack).any()):
        wrong = "nonnegative"
    elif (attributes["nonpos"] or attributes["neg"]) and bool((finite > slack).any()):
        wrong = "nonpositive"
    elif attributes["diag"] or attributes["sparsity"]:
        if bool(((with_attributes(p, finite) - finite).abs() > slack).any()):
            wrong = "diagonal" if attributes["diag"] else "zero outside of its sparsity pattern"
    elif attributes["symmetric"] or attributes["PSD"] or attributes["NSD"] or attributes["hermitian"]:
        if bool(((finite - finite.mH).abs() > slack).any()):
            wrong = "Hermitian" if attributes["hermitian"] else "symmetric"
        elif (attributes["PSD"] or attributes["NSD"]) and not _is_psd(
            -finite if attributes["NSD"] else finite, slack
        ):
            wrong = "positive semidefinite" if attributes["PSD"] else "negative semidefinite"
    elif attributes["bounds"] is not None:
        low, high = (torch.as_tensor(bound).to(finite) for bound in attributes["bounds"])
        if bool(((finite < low - slack) | (finite > high + slack)).any()):
            wrong = "in its bounds"
    if wrong is not None:
        raise ValueError(
            f"the tensor for the parameter `{p.name()}` must be {wrong}, as the parameter is declared."
        )


def _is_psd(matrices: Tensor, slack: Tensor | float) -> bool:
    eye = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    shifted = matrices + (slack + torch.finfo(matrices.dtype).tiny) * eye
    return not bool(torch.linalg.cholesky_ex(shifted).info.any())
