"""`cvxprox.train`: what it learns, from which data, when it stops, and what it refuses."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, load_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import cvxprox
from cvxprox import train
from cvxprox.training.checkpoint import Checkpoint

X = torch.linspace(-1, 1, 24, dtype=torch.float64)[:, None]
Y = 3 * X - 1
quietly = partial(train, progress=False)


def line() -> nn.Linear:
    """The model u -> a u + b, from a = b = 0."""
    model = nn.Linear(1, 1).double()
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    return model


def mean_squares(model: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    return (model(x) - y).square().mean()


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return X[index], Y[index]


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(list(zip(X, Y, strict=True)))


SAMPLES: dict[str, Any] = {
    "tuple of tensors": (X, Y),
    "list of tensors": [X, Y],
    "dataset": Pairs(),
    "iterable dataset": Stream(),
    "list of samples": list(zip(X, Y, strict=True)),
    "tensor": torch.cat([X, Y], 1)[:, :, None],
}


class Batches:
    """An iterable that is neither a dataset nor a sequence."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(X.split(8), Y.split(8), strict=True))


BATCHES: dict[str, Any] = {"loader": DataLoader(Pairs(), batch_size=8, shuffle=True), "iterable": Batches()}


@pytest.mark.parametrize("data", SAMPLES.values(), ids=SAMPLES)
def test_samples_of_every_kind(data: Any) -> None:
    sizes = []

    def loss(model: nn.Module, batch: Any) -> Tensor:
        x, y = batch if not isinstance(batch, Tensor) else batch.unbind(1)
        sizes.append(len(x))
        return mean_squares(model, (x, y))

    model = line()
    history = quietly(model, loss, data, epochs=60, batch_size=10, learning_rate=0.1)
    torch.testing.assert_close(model.weight.item(), 3.0, atol=0.02, rtol=0)
    torch.testing.assert_close(model.bias.item(), -1.0, atol=0.02, rtol=0)
    assert sizes[:3] == [10, 10, 4] and len(history.step_losses) == len(sizes) == 180


@pytest.mark.parametrize("data", BATCHES.values(), ids=BATCHES)
def test_batches_of_every_kind(data: Any) -> None:
    model = line()
    history = quietly(model, mean_squares, data, epochs=60, learning_rate=0.1)
    assert abs(model.weight.item() - 3) < 0.02 and len(history.step_losses) == 180
    with pytest.raises(ValueError, match="batch_size and collate have no effect"):
        quietly(model, mean_squares, data, epochs=1, batch_size=3)


def test_the_steps_are_those_of_a_loop_by_hand() -> None:
    model, by_hand = line(), line()
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.2)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = mean_squares(by_hand, (X, Y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    history = quietly(
        model, mean_squares, (X, Y), epochs=5, batch_size=24, optimizer=torch.optim.SGD, learning_rate=0.2
    )
    # The order of the rows differs, and with it the rounding of the mean.
    np.testing.assert_allclose(history.losses, losses, rtol=1e-12)
    torch.testing.assert_close(model.weight, by_hand.weight)


def test_every_epoch_has_its_order_and_all_samples() -> None:
    seen: list[list[float]] = []

    def loss(model: nn.Module, batch: Any) -> Tensor:
        seen.append(batch[0][:, 0].tolist())
        return mean_squares(model, batch)

    quietly(line(), loss, (X, Y), epochs=2, batch_size=24)
    assert seen[0] != seen[1] and sorted(seen[0]) == sorted(seen[1]) == X[:, 0].tolist()


def noisy(model: nn.Module, batch: Any) -> Tensor:
    """A loss that draws from all global generators."""
    x, y = batch
    noise = 0.1 * torch.randn_like(y) + np.random.rand() + random.random()
    return (model(x) - y - noise).square().mean()


def test_seeds_and_the_generators_of_the_user() -> None:
    def numbers() -> tuple[float, ...]:
        return torch.rand(()).item(), np.random.rand(), random.random()

    models = iter([line(), line(), line()])

    def losses(seed: int) -> list[float]:
        return quietly(next(models), noisy, (X, Y), epochs=2, seed=seed).step_losses.tolist()

    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    first = numbers()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    one = losses(1)
    assert numbers() == first
    assert losses(1) == one != losses(2)


@pytest.mark.parametrize("optimizer", [None, partial(torch.optim.SGD, momentum=0.9)], ids=["Adam", "SGD"])
def test_a_resumed_training_is_the_uninterrupted_one(optimizer: Any, tmp_path: Path) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> tuple[nn.Module, cvxprox.History]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 5), nn.BatchNorm1d(5), nn.Dropout(0.3), nn.Linear(5, 1)).double()
        history = quietly(
            model,
            noisy,
            (X, Y),
            validation=(X, Y),
            epochs=epochs,
            batch_size=10,
            learning_rate=0.01,
            optimizer=optimizer,
            schedule=partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5),
            checkpoint=tmp_path / folder,
            resume=resume,
        )
        return model, history

    whole, expected = run("whole", 7)
    run("parts", 3)
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {
        "best.safetensors", "last.safetensors", "state-3.pt",
    }  # fmt: skip
    parts, history = run("parts", 7, resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], tensor), name
    for name in ("step_losses", "losses", "validation", "learning_rates"):
        assert np.array_equal(getattr(history, name), getattr(expected, name)), name
    for name in ("best.safetensors", "last.safetensors"):
        saved, wanted = (load_file(tmp_path / folder / name) for folder in ("parts", "whole"))
        assert saved.keys() == wanted.keys() and all(torch.equal(saved[key], wanted[key]) for key in saved)
    _, again = run("parts", 7, resume=True)  # nothing is left to do
    assert np.array_equal(again.step_losses, expected.step_losses)


def test_a_run_that_is_ended_while_it_writes_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> nn.Module:
        model = line()
        quietly(model, noisy, (X, Y), epochs=epochs, checkpoint=tmp_path / folder, resume=resume)
        return model

    whole = run("whole", 4)
    run("parts", 2)
    write = Checkpoint._write_weights

    def ended(self: Checkpoint, model: nn.Module, name: str, metadata: dict[str, str]) -> None:
        if metadata.get("epoch") == "3":
            raise KeyboardInterrupt
        write(self, model, name, metadata)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Checkpoint, "_write_weights", ended)
        run("parts", 4, resume=True)
    assert (tmp_path / "parts" / "state-3.pt").exists()
    assert torch.equal(run("parts", 4, resume=True).weight, whole.weight)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    values, weights = iter([5.0, 3.0, float("nan"), 2.0, 4.0, 6.0]), []

    def validation(model: nn.Module) -> float:
        assert not model.training and not torch.is_grad_enabled()
        weights.append(model.weight.item())
        return next(values)

    model = line()
    history = quietly(
        model, mean_squares, (X, Y), validation=validation, epochs=9, patience=2, checkpoint=tmp_path
    )
    assert history.stopped_by == "patience" and history.epochs == 5
    assert history.best_epoch == 3 and history.best == 2.0 and len(history.validation) == 6
    assert model.training and model.weight.item() == weights[3] != weights[5]
    loaded = line()
    for name, weight in (("best", weights[3]), ("last", weights[5])):
        load_model(loaded, tmp_path / f"{name}.safetensors")
        assert loaded.weight.item() == weight


def test_modes_stay_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)).double()
    model[1].eval()
    quietly(model, mean_squares, (X, Y), epochs=1, validation=(X, Y))
    assert model[0].training and not model[1].training and model[1].running_mean.item() == 0


def test_validation_on_samples_is_the_mean_without_steps() -> None:
    model = line()
    history = quietly(
        model, mean_squares, (X, Y), validation=[X, Y], epochs=1, batch_size=24, learning_rate=0.1
    )
    before = float((Y**2).mean())
    assert history.validation[0] == pytest.approx(before) == history.losses[0]
    assert history.validation[1] == pytest.approx(mean_squares(model, (X, Y)).item())
    # What is drawn in the validation is the same every time.
    history = quietly(line(), mean_squares, (X, Y), validation=lambda m: torch.rand(()).item(), epochs=3)
    assert len(set(history.validation)) == 1


def test_patience_without_validation_and_callback() -> None:
    history = quietly(line(), mean_squares, (X, Y), epochs=50, patience=3, learning_rate=1e-30)
    assert history.stopped_by == "patience" and history.epochs <= 30
    seen = []

    def callback(model: nn.Module, history: cvxprox.History) -> bool:
        seen.append(history.epochs)
        return history.epochs == 2

    history = quietly(line(), mean_squares, (X, Y), epochs=50, callback=callback)
    assert history.stopped_by == "callback" and seen == [1, 2]


def test_schedules() -> None:
    history = quietly(
        line(), mean_squares, (X, Y), epochs=3, schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5)
    )
    np.testing.assert_allclose(history.learning_rates, [1e-3, 5e-4, 2.5e-4])
    plateau = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, factor=0.1)
    history = quietly(
        line(), mean_squares, (X, Y), epochs=4, schedule=plateau, validation=lambda m: 1.0, batch_size=24
    )
    np.testing.assert_allclose(history.learning_rates, [1e-3, 1e-3, 1e-4, 1e-5])


def test_an_optimiser_of_the_user_and_one_with_a_closure() -> None:
    model = line()
    newton = torch.optim.LBFGS(model.parameters())
    history = quietly(model, mean_squares, (X, Y), epochs=3, batch_size=24, optimizer=newton)
    assert history.losses[-1] < 1e-8
    with pytest.raises(ValueError, match="learning_rate has no effect"):
        quietly(model, mean_squares, (X, Y), epochs=3, optimizer=newton, learning_rate=1.0)


def test_clipping() -> None:
    model = line()
    quietly(
        model,
        mean_squares,
        (X, Y),
        epochs=1,
        batch_size=24,
        optimizer=torch.optim.SGD,
        learning_rate=1.0,
        clip=0.5,
    )
    step = torch.cat([model.weight.ravel(), model.bias])
    assert step.norm().item() == pytest.approx(0.5, rel=1e-5)  # the gradient is (-2.17, 2)


def test_numbers_that_are_not_finite() -> None:
    y = Y.clone()
    y[17] = torch.nan
    model = line()
    with pytest.raises(FloatingPointError, match=r"at step \d of epoch 1 is nan.*before that step"):
        quietly(model, mean_squares, (X, y), epochs=2, batch_size=4)
    assert all(p.isfinite().all() for p in model.parameters())

    def root(model: nn.Module, batch: Any) -> Tensor:
        return model.weight.abs().sqrt().sum()  # infinite slope at 0

    with pytest.raises(FloatingPointError, match=r"step 1 of epoch 1 is 0.*gradient is not finite in weight"):
        quietly(line(), root, (X, Y), epochs=1)


def test_a_problem_as_the_model() -> None:
    """A weight of soft thresholding is learned from what it does."""
    weight = nn.Parameter(torch.tensor(0.1, dtype=torch.float64))
    x, y = cp.Variable(4), cp.Parameter(4)
    weight_in_problem = cvxprox.Parameter(value=weight, nonneg=True)
    model = cvxprox.compile(
        cp.Problem(cp.Minimize(cp.sum_squares(x - y) / 2 + weight_in_problem * cp.norm1(x)))
    )
    data = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shrunk = data.sign() * (data.abs() - 0.5).clamp(min=0)

    def loss(model: Any, batch: Any) -> Tensor:
        return (model.solve({y: batch[0]}) - batch[1]).square().mean()

    history = quietly(model, loss, (data, shrunk), epochs=50, batch_size=6, learning_rate=0.05)
    assert abs(weight.item() - 0.5) < 0.02 and history.losses[-1] < 1e-2 * history.losses[0]


OTHER = line()
WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no samples": ({"dataset": []}, ValueError, "no samples"),
    "unequal tensors": ({"dataset": (X, Y[1:])}, ValueError, "24, 23 samples"),
    "a number": ({"dataset": 3}, TypeError, "of the type int"),
    "a generator": ({"dataset": iter([(X, Y)]), "epochs": 2}, ValueError, "no batch in epoch 2"),
    "validated by a generator": ({"validation": iter([(X, Y)])}, ValueError, "validation gave no batch"),
    "no epochs": ({"epochs": 0}, ValueError, "epochs is 0"),
    "resumed from nowhere": ({"resume": True}, ValueError, "needs checkpoint"),
    "no parameters": ({"model": nn.ReLU()}, ValueError, "no parameter that requires a gradient"),
    "a vector": ({"loss": lambda m, b: m(b[0])}, TypeError, r"shape \(16, 1\)"),
    "a float": ({"loss": lambda m, b: 1.0}, TypeError, "is a float"),
    "detached": ({"loss": lambda m, b: mean_squares(m, b).detach()}, ValueError, "requires a gradient"),
    "of another model": (
        {"loss": lambda m, b: mean_squares(OTHER, b)}, ValueError, "parameters of the optimiser",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "error", "text"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = {"model": line(), "loss": mean_squares, "dataset": (X, Y), "epochs": 1} | changes
    with pytest.raises(error, match=text):
        quietly(arguments.pop("model"), arguments.pop("loss"), arguments.pop("dataset"), **arguments)


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    quietly(line(), mean_squares, (X, Y), epochs=1, checkpoint=tmp_path)
    wider = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 1)).double()
    with pytest.raises(ValueError, match="not those of this model"):
        quietly(wider, mean_squares, (X, Y), epochs=2, checkpoint=tmp_path, resume=True)
    (tmp_path / "state-1.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file state-1\.pt"):
        quietly(line(), mean_squares, (X, Y), epochs=2, checkpoint=tmp_path, resume=True)


def test_an_empty_folder_is_no_obstacle_to_resuming(tmp_path: Path) -> None:
    history = quietly(line(), mean_squares, (X, Y), epochs=1, checkpoint=tmp_path / "new", resume=True)
    assert history.epochs == 1


def test_the_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    train(line(), mean_squares, (X, Y), epochs=2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[-1].startswith(f"[{'=' * 24}] epoch 2/2: loss ")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    train(line(), mean_squares, (X, Y), epochs=2, validation=(X, Y))
    written = capsys.readouterr().err
    assert written.count("\n") == 1 and "\r" in written and "validation" in written


def test_the_curve(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = quietly(line(), mean_squares, (X, Y), epochs=3, validation=(X, Y))
    figure = history.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
    drawn = {each.get_label(): each.get_ydata() for each in figure.axes[0].lines}
    assert np.array_equal(drawn["validation"], history.validation)
    assert np.array_equal(drawn["mean of the epoch"], history.losses)
    with pytest.raises(ValueError, match="no epoch"):
        cvxprox.History().plot()
