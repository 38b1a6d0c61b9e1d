"""`train`: the loop over epochs and batches."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from cvxprox.training.batches import Collate, as_batches, holds_batches
from cvxprox.training.checkpoint import Checkpoint
from cvxprox.training.history import History
from cvxprox.training.progress import Progress
from cvxprox.training.randomness import own_randomness, seed_epoch
from cvxprox.training.steps import Loss, Steps, as_optimizer, evaluating


def train(
    model: nn.Module,
    loss: Loss,
    dataset: Any,
    *,
    validation: Any = None,
    epochs: int,
    optimizer: Optimizer | Callable[..., Optimizer] | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    patience: int | None = None,
    resume: bool = False,
    progress: bool = True,
    schedule: Callable[[Optimizer], LRScheduler | ReduceLROnPlateau] | None = None,
    device: torch.device | str | None = None,
    callback: Callable[[nn.Module, History], bool | None] | None = None,
    collate: Collate | None = None,
    clip: float | None = None,
) -> History:
    """Train a torch module; return the record of its losses.

    Every epoch goes once through the data, in a random order, and takes one step of the optimiser for each
    batch. The model ends with the weights of the best epoch if there is a validation, otherwise with the last
    ones.

    Parameters
    ----------
    model : torch.nn.Module
        Any module: one of `cvxprox.compile`, a network with a `cvxprox.ProxLayer` inside, … Its modules stay
        in the modes (`train`, `eval`) that they are in, except for the validation.
    loss : callable
        ``loss(model, batch)`` returns the number to be minimised, as a tensor of one element.
    dataset : Dataset, tensors, sequence or iterable
        Samples: a torch `Dataset`, a sequence of samples, one tensor or several (a tuple or a list) whose
        first axis counts the samples. Or batches: a `DataLoader`, or an iterable that can be read once for
        every epoch.
    validation : the same or callable, optional
        Samples or batches, on which the mean of `loss` over the batches is measured; or
        ``validation(model)``, which returns a number, the lower the better. Measured before the training and
        after each epoch, in evaluation mode, without gradients, and each time with the same random numbers.
    epochs : int
        How many in total, those before a resumption included.
    optimizer : torch.optim.Optimizer or callable, optional
        An optimiser of the parameters; or what makes one, called as
        ``optimizer(parameters, lr=learning_rate)`` (``torch.optim.SGD``). `torch.optim.Adam` by default.
    learning_rate : float, optional
        1e-3 by default.
    batch_size : int, optional
        16 by default.
    seed : int
        Of the order of the samples, and of everything that is drawn from the global generators of torch,
        NumPy and Python meanwhile. Their states are afterwards what they were.
    checkpoint : str or Path, optional
        A folder. After every epoch it has ``last.safetensors``, ``best.safetensors`` (weights, to be read by
        ``safetensors.torch.load_model``) and the state of the optimiser. Without `resume`, what is there
        is overwritten.
    patience : int, optional
        Stop when so many epochs in a row have not improved the validation, or the loss if there is none.
    resume : bool
        Go on from the last epoch in the folder if there is one. The weights are those of an uninterrupted
        training, bit by bit, if the rest is the same and the arithmetic reproducible.
    progress : bool
        Show a bar on standard error.
    schedule : callable, optional
        ``schedule(optimizer)`` makes a scheduler of `torch.optim.lr_scheduler`, which takes one step after
        each epoch.
    device : torch.device or str, optional
        Where the model and the batches are moved; they stay where they are by default.
    callback : callable, optional
        ``callback(model, history)`` after each epoch; returning True stops.
    collate : callable, optional
        Makes a batch of a list of samples; `torch.utils.data.default_collate` by default.
    clip : float, optional
        The largest norm of the gradient of all parameters together; longer ones are scaled.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If a loss or a gradient is infinite or not a number; the weights are those before that step.
    ValueError, TypeError
        If an argument is wrong, the loss is not one number, or no parameter has an influence on it.

    Examples
    --------
    >>> import cvxprox, torch
    >>> slope = torch.nn.Linear(1, 1)
    >>> x = torch.linspace(0, 1, 32)[:, None]
    >>> mean_squares = lambda model, batch: (model(batch[0]) - batch[1]).square().mean()
    >>> history = cvxprox.train(slope, mean_squares, (x, 3 * x), epochs=50, learning_rate=0.1, progress=False)
    >>> bool(history.losses[-1] < history.losses[0] / 10)
    True
    """
    _check(epochs, patience, resume, checkpoint, batch_size, clip)
    if holds_batches(dataset) and (batch_size is not None or collate is not None):
        raise ValueError(
            "The dataset is an iterable of batches, on which batch_size and collate have no effect; leave "
            "them out."
        )
    if device is not None:
        model.to(device)
    steps = Steps(model, loss, as_optimizer(model, optimizer, learning_rate), device, clip)
    scheduler = None if schedule is None else schedule(steps.optimizer)
    folder = None if checkpoint is None else Checkpoint(Path(checkpoint))
    best = _Best(model, folder, kept=validation is not None)
    validate = _validation(steps, validation, batch_size, collate, seed)
    bar = Progress(epochs, progress)

    with own_randomness(model):
        history = _resumed(steps, scheduler, folder, best) if resume and folder is not None else History()
        if validate is not None and not len(history.validation):
            history = history.with_validation(validate())
            best.take()
        try:
            while history.epochs < epochs and history.stopped_by == "epochs":
                epoch, started = history.epochs + 1, time.perf_counter()
                batches = as_batches(dataset, batch_size, collate, seed_epoch(seed, epoch), "dataset")
                rate = float(steps.optimizer.param_groups[0]["lr"])
                losses = []
                for value in steps.epoch(batches, epoch):
                    losses.append(value)
                    bar.step(history, len(losses), _length(batches), value)
                history = history.with_epoch(losses, rate, time.perf_counter() - started)
                if validate is not None:
                    started = time.perf_counter()
                    history = history.with_validation(validate(), time.perf_counter() - started)
                if history.best_epoch == epoch:
                    best.take()
                if isinstance(scheduler, ReduceLROnPlateau):
                    scheduler.step(
                        float(history.validation[-1] if validate is not None else history.losses[-1])
                    )
                elif scheduler is not None:
                    scheduler.step()
                history = _stopped(
                    history, callback is not None and callback(model, history) is True, patience
                )
                bar.epoch(history)
                if folder is not None:
                    folder.save_last(model, epoch, _state(steps, scheduler, history))
        finally:
            bar.close()
        best.restore()
    return history


@dataclass
class _Best:
    """The weights of the best epoch: in memory where they are to be restored, and in the folder."""

    model: nn.Module
    folder: Checkpoint | None
    kept: bool
    weights: dict[str, Any] | None = None

    def take(self) -> None:
        if self.kept:
            self.weights = copy.deepcopy(self.model.state_dict())
        if self.folder is not None:
            self.folder.save_best(self.model)

    def restore(self) -> None:
        if self.weights is not None:
            self.model.load_state_dict(self.weights)


def _check(
    epochs: int,
    patience: int | None,
    resume: bool,
    checkpoint: Any,
    batch_size: int | None,
    clip: float | None,
) -> None:
    for name, number in (
        ("epochs", epochs),
        ("patience", patience),
        ("batch_size", batch_size),
        ("clip", clip),
    ):
        if number is not None and not number > 0:
            raise ValueError(f"{name} is {number}; it must be positive.")
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint, the folder to go on from.")


def _validation(
    steps: Steps, validation: Any, batch_size: int | None, collate: Collate | None, seed: int
) -> Callable[[], float] | None:
    """What measures the model as it is, with the same random numbers every time."""
    if validation is None:
        return None
    batches = (
        None if callable(validation) else as_batches(validation, batch_size, collate, None, "validation")
    )

    def measure() -> float:
        seed_epoch(seed, 0)
        with evaluating(steps.model), torch.no_grad():
            return float(validation(steps.model)) if batches is None else steps.mean(batches)

    return measure


def _stopped(history: History, by_callback: bool, patience: int | None) -> History:
    """With the reason why the training is over, if it is."""
    if by_callback:
        return replace(history, stopped_by="callback")
    if patience is not None and history.epochs - history.best_epoch >= patience:
        return replace(history, stopped_by="patience")
    return history


def _state(steps: Steps, scheduler: Any, history: History) -> dict[str, Any]:
    return {
        "optimizer": steps.optimizer.state_dict(),
        "schedule": None if scheduler is None else scheduler.state_dict(),
        "history": history.as_lists(),
    }


def _resumed(steps: Steps, scheduler: Any, folder: Checkpoint, best: _Best) -> History:
    """The history in the folder, with everything else as it was at its end."""
    if not folder.exists():
        return History()
    if best.kept:
        folder.load_best(steps.model)
        best.weights = copy.deepcopy(steps.model.state_dict())
    state = folder.load_last(steps.model)
    steps.optimizer.load_state_dict(state["optimizer"])
    if scheduler is not None and state["schedule"] is not None:
        scheduler.load_state_dict(state["schedule"])
    return replace(History.from_lists(state["history"]), stopped_by="epochs")


def _length(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None
