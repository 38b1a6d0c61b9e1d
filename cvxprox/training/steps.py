"""Steps of an optimiser on the batches of an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cvxprox.training.batches import to_device

Loss = Callable[[nn.Module, Any], Tensor]

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Steps:
    """A model, its loss and its optimiser.

    Attributes
    ----------
    model : torch.nn.Module
    loss : callable
    optimizer : torch.optim.Optimizer
    device : torch.device or str, optional
        Where batches are moved.
    clip : float, optional
        The largest norm of the gradient.
    """

    model: nn.Module
    loss: Loss
    optimizer: Optimizer
    device: torch.device | str | None
    clip: float | None

    def epoch(self, batches: Iterable[Any], number: int) -> Iterator[float]:
        """Take one step for each batch, and give the loss before it.

        Raises
        ------
        FloatingPointError
            If a loss or a gradient is not finite, before the step is taken.
        ValueError, TypeError
            If there is no batch, or the loss is wrong.
        """
        step = 0
        for step, batch in enumerate(batches, 1):
            place = f"at step {step} of epoch {number}"
            value = self.optimizer.step(partial(self._closure, batch, place))
            yield float(value)
        if step == 0:
            raise ValueError(
                f"The dataset gave no batch in epoch {number}. A generator can be read once only; give a "
                "list, or an object whose iteration starts anew."
            )

    def mean(self, batches: Iterable[Any]) -> float:
        """The mean of the loss over the batches."""
        values = [float(self.value(batch, "of the validation")) for batch in batches]
        if not values:
            raise ValueError(
                "The validation gave no batch. A generator can be read once only; give a list, or an object "
                "whose iteration starts anew."
            )
        return sum(values) / len(values)

    def value(self, batch: Any, place: str) -> Tensor:
        """The loss on a batch."""
        value = self.loss(self.model, to_device(batch, self.device))
        if not isinstance(value, Tensor) or value.numel() != 1:
            found = (
                f"of the shape {tuple(value.shape)}"
                if isinstance(value, Tensor)
                else f"a {type(value).__name__}"
            )
            raise TypeError(
                f"The loss {place} is {found}; loss(model, batch) returns a tensor with one element."
            )
        return value

    def _closure(self, batch: Any, place: str) -> float:
        """The loss, with its gradients in the parameters."""
        self.optimizer.zero_grad()
        value = self.value(batch, place)
        number = float(value.detach())
        if not math.isfinite(number):
            raise FloatingPointError(
                f"The loss {place} is {number}. The weights are those before that step. Look at this "
                "batch: a sample that a layer could not solve is NaN, and `layer.failed` marks it, so that a "
                "loss can leave it out. If the losses grew before, a smaller learning_rate or `clip` helps."
            )
        if not value.requires_grad:
            raise ValueError(
                f"The loss {place} does not depend on anything that requires a gradient: is it computed with "
                "`torch.no_grad` or `detach`, or by another model?"
            )
        value.reshape(()).backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if all(p.grad is None for p in parameters):
            raise ValueError(f"The loss {place} does not depend on the parameters of the optimiser.")
        # Scales nothing where the largest norm is infinite.
        norm = float(nn.utils.clip_grad_norm_(parameters, math.inf if self.clip is None else self.clip))
        if not math.isfinite(norm):
            culprits = [
                n
                for n, p in self.model.named_parameters()
                if p.grad is not None and not p.grad.isfinite().all()
            ]
            raise FloatingPointError(
                f"The loss {place} is {number}, and its gradient is not finite in "
                f"{', '.join(culprits) or 'total'}. The weights are those before that step."
            )
        return number


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """All modules in evaluation mode; each is afterwards in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def as_optimizer(model: nn.Module, optimizer: Any, learning_rate: float | None) -> Optimizer:
    """The optimiser of the user, or one for the parameters that require a gradient.

    Raises
    ------
    ValueError
        If there are no such parameters, or the learning rate has no effect.
    """
    if isinstance(optimizer, Optimizer):
        if learning_rate is not None:
            raise ValueError(
                "learning_rate has no effect on an optimiser that exists; give the rate to the optimiser."
            )
        return optimizer
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            f"The {type(model).__name__} has no parameter that requires a gradient. In a problem, what is "
            "learned is a `cvxprox.Parameter` that holds a `torch.nn.Parameter`, a network, or a schedule "
            "(`cvxprox.specialize(..., shared=False)`)."
        )
    make = torch.optim.Adam if optimizer is None else optimizer
    return make(parameters, lr=LEARNING_RATE if learning_rate is None else learning_rate)
