"""What a training leaves behind after every epoch, so that it goes on where it was killed."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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
