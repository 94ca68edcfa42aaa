"""The epochs of a training: a learner is updated batch by batch until validation no longer improves."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fusion.data.catalog import History
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.examples import Example, Examples, batches
from fusion.training.trainer import Variables, Weights

Arrays = Mapping[str, NDArray[Any]]
_PROGRESS = "progress.json"
_FORMAT = 1
"""The layout of a checkpoint; one of another layout is not read, and the training starts again."""


class Learner(Protocol):
    """A model in training, updated one batch of examples at a time.

    Attributes:
        variables: what is trained.
        history: the events that examples are drawn from; its items are below `n_items`.
    """

    variables: Variables
    history: History
    n_items: int

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update; returns the batch's mean loss."""


def train(
    learner: Learner,
    initial: Weights,
    *,
    config: TrainingConfig,
    seed: int,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: Path | None = None,
    settings: object = None,
) -> tuple[Weights, FitLog]:
    """Trains a learner; returns the weights of the best epoch, or without `validate` of the last.

    Args:
        initial: the weights that the learner begins with.
        validate: weights → their validation figure, where more is better.
        checkpoint: folder in which every epoch is saved, and from which a killed training is resumed; None for none.
        settings: what, beside config, seed, history and initial weights, distinguishes this training, by its `repr`.
    """
    random = np.random.default_rng(seed)
    examples = Examples(learner.history, learner.n_items)

    def epoch() -> tuple[Weights, float]:
        losses = [
            learner.step(examples.draw(users, random), random)
            for users in batches(examples.users, random, config=config)
        ]
        return learner.variables.weights(), float(np.mean(losses))

    store = None
    if checkpoint:
        arrays = {f"history/{name}": array for name, array in vars(learner.history).items()}
        made_from = identity(settings, config, seed, arrays=arrays | {f"start/{n}": a for n, a in initial.items()})
        store = Checkpoint(checkpoint, identity=made_from, trained=learner.variables, random=random)
    return best_epoch(epoch, initial, config=config, validate=validate, progress=progress, checkpoint=store)


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        epoch: number of epochs that were run.
        best_epoch: the one whose weights are the best so far, counted from 1; 0 for the initial weights.
        seconds: wall-clock time so far.
        valid_ndcg: of the initial weights and after each epoch; empty without validation.
    """

    epoch: int
    best_epoch: int
    seconds: float
    valid_ndcg: tuple[float, ...]


def best_epoch(
    run: Callable[[], tuple[Weights, float]],
    initial: Weights,
    *,
    config: TrainingConfig,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: "Checkpoint | None" = None,
) -> tuple[Weights, FitLog]:
    """Runs epochs and keeps the weights that validate best, the initial ones among them; without `validate`, the last.

    With a checkpoint, it continues after the last epoch saved there, and returns the same weights and figures as a
    training that was never interrupted.

    Args:
        run: one epoch; returns the weights after it and its mean loss.
    """
    started = time.monotonic()
    first = Progress(0, 0, 0.0, () if validate is None else (validate(initial),))
    current, best = (checkpoint.read(first) if checkpoint else None) or (first, initial)
    started -= current.seconds  # the seconds of a resumed training include those before it was killed
    bar = tqdm(total=config.epochs, initial=current.epoch, desc="train", unit="epoch", disable=not progress)
    with bar:
        while current.epoch < config.epochs and not _out_of_patience(current, config, validated=validate is not None):
            weights, loss = run()
            figures = current.valid_ndcg if validate is None else (*current.valid_ndcg, validate(weights))
            better = validate is None or figures[-1] > max(figures[:-1])
            epoch = current.epoch + 1
            best, best_at = (weights, epoch) if better else (best, current.best_epoch)
            current = Progress(epoch, best_at, time.monotonic() - started, figures)
            if checkpoint:
                checkpoint.write(current, best)
            bar.set_postfix({"loss": f"{loss:.4f}"} | ({"ndcg": f"{figures[-1]:.4f}"} if figures else {}))
            bar.update()
    return best, FitLog(current.epoch, current.best_epoch, time.monotonic() - started, list(current.valid_ndcg[1:]))


def _out_of_patience(current: Progress, config: TrainingConfig, *, validated: bool) -> bool:
    """Whether `patience` epochs have passed since the best one."""
    return validated and current.epoch > 0 and current.epoch - current.best_epoch >= config.patience


class Resumable(Protocol):
    """Weights and optimizer that can be saved and restored as named arrays."""

    def state(self) -> dict[str, NDArray[Any]]: ...

    def restore(self, state: Arrays) -> None: ...


class Checkpoint:
    """A folder with the arrays of one epoch in an npz file, and a JSON file that names it.

    The arrays are written first; then the JSON file replaces the previous one by a rename. A reader, at any moment,
    finds one epoch or the other, whole.

    Args:
        folder: holds the checkpoints of any number of trainings, each in a folder of its own by `identity`.
        identity: of the training, see `identity`. Another training's checkpoint is never read.
        trained: its state is saved and restored.
        random: its state is saved and restored too.
    """

    def __init__(self, folder: Path, *, identity: str, trained: Resumable, random: np.random.Generator) -> None:
        self.folder = Path(folder) / identity
        self._trained, self._random = trained, random

    def read(self, first: Progress) -> tuple[Progress, dict[str, NDArray[Any]]] | None:
        """Restores the saved training; returns its progress and the best weights.

        Returns None, and changes nothing, where nothing was saved, or in another layout, or where the saved figure of
        the initial weights is not that of `first`: then the saved training was validated on other data.
        """
        if not (self.folder / _PROGRESS).is_file():
            return None
        saved = json.loads((self.folder / _PROGRESS).read_text("utf-8"))
        if saved.get("format") != _FORMAT or saved["progress"]["valid_ndcg"][:1] != list(first.valid_ndcg):
            return None
        with np.load(self.folder / saved["arrays"], allow_pickle=False) as arrays:
            parts: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "best": {}}
            for name in arrays.files:
                part, _, rest = name.partition("/")
                parts[part][rest] = arrays[name]
        self._trained.restore(parts["state"])
        self._random.bit_generator.state = saved["random"]
        progress = saved["progress"]
        return Progress(**{**progress, "valid_ndcg": tuple(progress["valid_ndcg"])}), parts["best"]

    def write(self, progress: Progress, best: Arrays) -> None:
        """Saves the training as it is now, and deletes the arrays of earlier epochs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{progress.epoch}.npz"
        arrays = {f"state/{k}": v for k, v in self._trained.state().items()} | {f"best/{k}": v for k, v in best.items()}
        with (self.folder / name).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        random = self._random.bit_generator.state
        saved = {"format": _FORMAT, "arrays": name, "progress": vars(progress), "random": random}
        partial = self.folder / f"{_PROGRESS}.partial"
        with partial.open("w", encoding="utf-8") as text:
            json.dump(saved, text)
            text.flush()
            os.fsync(text.fileno())
        partial.replace(self.folder / _PROGRESS)
        for old in self.folder.glob("epoch-*.npz"):
            if old.name != name:
                old.unlink()


def identity(*settings: object, arrays: Arrays) -> str:
    """64 hexadecimal digits that differ for trainings that differ in a setting (by its `repr`) or in an array."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
