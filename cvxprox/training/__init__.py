"""A training loop for any torch module: seeds, validation, checkpoints, early stopping, resumption."""

from cvxprox.training.history import History as History
from cvxprox.training.loop import train as train
