"""Batches from everything that can hold the data of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

Collate = Callable[[list[Any]], Any]

DEFAULT_SIZE = 16


def as_batches(
    data: Any, size: int | None, collate: Collate | None, generator: torch.Generator | None, what: str
) -> Iterable[Any]:
    """An iterable of batches.

    Parameters
    ----------
    data : object
        As described in `train`.
    size : int, optional
        Samples of a batch.
    collate : callable, optional
        Makes a batch of a list of samples.
    generator : torch.Generator, optional
        Of the order; that of the data without one.
    what : str
        What the data are for, for errors.

    Raises
    ------
    ValueError, TypeError
        If the data are none of these, or empty.
    """
    if isinstance(data, tuple | list) and data and all(isinstance(part, Tensor) for part in data):
        lengths = [len(tensor) if tensor.dim() else 0 for tensor in data]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"The tensors of the {what} have {', '.join(map(str, lengths))} samples along their first "
                "axis; it must be the same number. Samples of different shapes are a list of tuples."
            )
        data = TensorDataset(*data)
    if holds_batches(data):
        if not isinstance(data, Iterable):
            raise TypeError(
                f"The {what} is of the type {type(data).__name__}; give a Dataset, tensors, a list of "
                "samples or an iterable of batches."
            )
        return data
    options: dict[str, Any] = {"batch_size": size or DEFAULT_SIZE, "collate_fn": collate}
    if isinstance(data, IterableDataset):
        return DataLoader(data, **options)
    if len(data) == 0:
        raise ValueError(f"The {what} has no samples.")
    return DataLoader(data, shuffle=generator is not None, generator=generator, **options)


def holds_batches(data: Any) -> bool:
    """Whether these are batches already, not samples."""
    return isinstance(data, DataLoader) or not isinstance(data, Dataset | Sequence | Tensor)


def to_device(batch: Any, device: torch.device | str | None) -> Any:
    """The batch with its tensors on the device; containers are walked."""
    if device is None:
        return batch
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(to_device(value, device) for value in batch)
    return batch.to(device) if isinstance(batch, Tensor) else batch
