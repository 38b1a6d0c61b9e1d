"""Checkpoints in a folder: the weights as safetensors, beside the state of the optimiser."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_model, save_model
from torch import nn

BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the weights of the best and of the last epoch, and what it takes to go on.

    Attributes
    ----------
    folder : Path
        It is made if needed. ``best.safetensors`` and ``last.safetensors`` are the `state_dict` of the model,
        ``state-<epoch>.pt`` the rest for the last epoch.
    """

    folder: Path

    def save_best(self, model: nn.Module) -> None:
        """Write the weights as those of the best epoch."""
        self._write_weights(model, BEST, {})

    def save_last(self, model: nn.Module, epoch: int, state: dict[str, Any]) -> None:
        """Write the weights and the state after `epoch` epochs.

        The weights name the file of the state that belongs to them, and are replaced after it is
        written: a process that is ended at any time leaves a pair that fits.
        """
        self._write(self._state(epoch), lambda path: torch.save(state, path))
        self._write_weights(model, LAST, {"epoch": str(epoch)})
        for path in self.folder.glob("state-*.pt"):
            if path != self._state(epoch):
                path.unlink()

    def load_best(self, model: nn.Module) -> None:
        """Give the model the weights of the best epoch."""
        self._load_weights(model, BEST)

    def exists(self) -> bool:
        """Whether there is a last epoch."""
        return (self.folder / LAST).exists()

    def load_last(self, model: nn.Module) -> dict[str, Any]:
        """Give the model the weights of the last epoch and return the state."""
        with safe_open(self.folder / LAST, framework="pt") as file:
            epoch = int((file.metadata() or {}).get("epoch", -1))
        if not self._state(epoch).exists():
            raise FileNotFoundError(
                f"{self.folder / LAST} has no file {self._state(epoch).name} beside it with the state of the "
                "optimiser. Without it, load the weights and train with resume=False."
            )
        self._load_weights(model, LAST)
        state: dict[str, Any] = torch.load(self._state(epoch), map_location="cpu", weights_only=True)
        return state

    def _state(self, epoch: int) -> Path:
        return self.folder / f"state-{epoch}.pt"

    def _write_weights(self, model: nn.Module, name: str, metadata: dict[str, str]) -> None:
        self._write(
            self.folder / name, lambda path: save_model(model, str(path), {"format": "pt", **metadata})
        )

    def _write(self, path: Path, write: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        write(partial)
        os.replace(partial, path)

    def _load_weights(self, model: nn.Module, name: str) -> None:
        try:
            load_model(model, self.folder / name)
        except RuntimeError as error:
            raise ValueError(
                f"The weights in {self.folder / name} are not those of this model. Make the model as it was "
                f"trained, or use another folder.\n{error}"
            ) from error
