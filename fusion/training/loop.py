"""Epochs: a learner goes through its examples until validation says that it no longer gets better."""

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


class Resumable(Protocol):
    """What is trained: its weights and its optimiser, as named arrays."""

    def state(self) -> dict[str, NDArray[Any]]: ...

    def restore(self, state: Arrays) -> None: ...


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        epoch: how many were run.
        best_epoch: the one whose weights are the best so far, counted from 1; 0 for those at the start.
        seconds: wall-clock time so far.
        valid_ndcg: of the weights at the start and after each epoch; empty without validation.
    """

    epoch: int
    best_epoch: int
    seconds: float
    valid_ndcg: tuple[float, ...]


class Checkpoint:
    """A folder with an epoch's arrays in one file of NumPy's and a JSON file that names it.

    The arrays are written first, then the JSON file is put in place of the last one by a rename: whoever reads sees one
    epoch or the other, whole.

    Args:
        folder: holds the checkpoints of any number of trainings, each in a folder of its own by `identity`.
        identity: what the training is made from, see `identity`. Another training's checkpoint is never read.
        trained: its state is saved and restored.
        random: its state too.
    """

    def __init__(self, folder: Path, *, identity: str, trained: Resumable, random: np.random.Generator) -> None:
        self.folder = Path(folder) / identity
        self._trained, self._random = trained, random

    def read(self, start: Progress) -> tuple[Progress, dict[str, NDArray[Any]]] | None:
        """Puts the training where it stood, and returns its progress and the best weights; None where nothing was
        saved, or where the figure at the start was another than that of `start`, for then it was validated on other
        data. Then nothing is changed."""
        if not (self.folder / _PROGRESS).is_file():
            return None
        saved = json.loads((self.folder / _PROGRESS).read_text("utf-8"))
        if saved["progress"]["valid_ndcg"][:1] != list(start.valid_ndcg):
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
        """Saves the training as it stands."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{progress.epoch}.npz"
        arrays = {f"state/{k}": v for k, v in self._trained.state().items()} | {f"best/{k}": v for k, v in best.items()}
        with (self.folder / name).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        saved = {"arrays": name, "progress": vars(progress), "random": self._random.bit_generator.state}
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


class Learner(Protocol):
    """What learns from examples, a batch at a time.

    Attributes:
        variables: what it learns.
        history: what examples are drawn from; its items are places below `n_items`.
    """

    variables: Variables
    history: History
    n_items: int

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update; returns the batch's mean loss."""


def train(
    learner: Learner,
    start: Weights,
    *,
    config: TrainingConfig,
    seed: int,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: Path | None = None,
    settings: object = None,
) -> tuple[Weights, FitLog]:
    """Teaches a learner; with `validate`, gives the weights of the best epoch.

    Args:
        start: the weights that the learner begins with.
        checkpoint: folder in which every epoch leaves what is needed to go on from it; None for none.
        settings: what, beside config, seed, history and start, tells this training from others, by its `repr`.
    """
    random = np.random.default_rng(seed)
    examples = Examples(learner.history, learner.n_items)

    def epoch() -> tuple[Weights, float]:
        losses = [
            learner.step(examples.draw(users, random), random)
            for users in batches(examples.users, random, config=config)
        ]
        return learner.variables.weights(), float(np.mean(losses))

    kept = None
    if checkpoint:
        arrays = {f"history/{name}": array for name, array in vars(learner.history).items()}
        made_from = identity(settings, config, seed, arrays=arrays | {f"start/{n}": a for n, a in start.items()})
        kept = Checkpoint(checkpoint, identity=made_from, trained=learner.variables, random=random)
    return best_epoch(epoch, start, config=config, validate=validate, progress=progress, checkpoint=kept)


def best_epoch(
    run: Callable[[], tuple[Weights, float]],
    start: Weights,
    *,
    config: TrainingConfig,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: Checkpoint | None = None,
) -> tuple[Weights, FitLog]:
    """Runs epochs, each of which gives the weights after it and its loss, and keeps the weights that validate best,
    those at the start among them; without `validate`, the last. With a checkpoint, it goes on after the last epoch
    that it holds, to the same end as if it had never stopped."""
    began = time.monotonic()
    first = Progress(0, 0, 0.0, () if validate is None else (validate(start),))
    stands, best = (checkpoint.read(first) if checkpoint else None) or (first, start)
    began -= stands.seconds
    bar = tqdm(total=config.epochs, initial=stands.epoch, desc="train", unit="epoch", disable=not progress)
    with bar:
        while stands.epoch < config.epochs and not _waited(stands, config, validated=validate is not None):
            weights, loss = run()
            figures = stands.valid_ndcg if validate is None else (*stands.valid_ndcg, validate(weights))
            better = validate is None or figures[-1] > max(figures[:-1])
            epoch = stands.epoch + 1
            best, best_at = (weights, epoch) if better else (best, stands.best_epoch)
            stands = Progress(epoch, best_at, time.monotonic() - began, figures)
            if checkpoint:
                checkpoint.write(stands, best)
            bar.set_postfix({"loss": f"{loss:.4f}"} | ({"ndcg": f"{figures[-1]:.4f}"} if figures else {}))
            bar.update()
    return best, FitLog(stands.epoch, stands.best_epoch, time.monotonic() - began, list(stands.valid_ndcg[1:]))


def _waited(stands: Progress, config: TrainingConfig, *, validated: bool) -> bool:
    """Whether so many epochs have passed without a better one that no more are run."""
    return validated and stands.epoch > 0 and stands.epoch - stands.best_epoch >= config.patience
