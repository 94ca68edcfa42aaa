"""Trained models under LAKE/artifacts: a folder a model version, complete once its `model.json` is there."""

import hashlib
import json
import posixpath
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

import fusion
from fusion.models import registry
from fusion.models.base import Strategy
from jobs.modelling.dataset import State, encoders
from jobs.runtime.night import Night
from lake import files, storage

FOLDER = "artifacts"
MARK = "model.json"
TWIN = "held_out"
SERVED = "served"


@dataclass(frozen=True)
class Identity:
    """What a model was made from, each as a hash; equal identities mean equal models."""

    strategy: str
    fingerprint_data: str
    fingerprint_encoders: str
    fingerprint_config: str
    fingerprint_code: str

    @property
    def model_version(self) -> str:
        return f"{self.strategy}-{digest(asdict(self))[:12]}"

    @property
    def path(self) -> str:
        """The model's folder, relative to LAKE."""
        return f"{FOLDER}/{self.model_version}"


def identity(night: Night, state: State, strategy: str, parameters: Mapping[str, Any]) -> Identity:
    """The identity of the model of that strategy, with those parameters, that this night's state, configuration and
    code make."""
    return Identity(
        strategy=strategy,
        fingerprint_data=state.fingerprint,
        fingerprint_encoders=digest(encoders(night.config)),
        fingerprint_config=digest([night.config.fusion.model_dump(mode="json"), dict(parameters)]),
        fingerprint_code=code(),
    )


def exists(night: Night, path: str) -> bool:
    filesystem, root = storage.filesystem(night.lake.uri)
    return filesystem.get_file_info(f"{root}/{path}/{MARK}").type == pafs.FileType.File


def save(night: Night, made: Identity, models: dict[str, Strategy]) -> None:
    """Store a model's parts, its mark last: a reader sees all of it or none.

    Each file is moved to its place whole, so that a second run of the same night may save the same model meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part, model in models.items():
            registry.save(model, Path(folder) / part)
        filesystem, root = storage.filesystem(night.lake.uri)
        for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            target = f"{root}/{made.path}/{file.relative_to(folder).as_posix()}"
            filesystem.create_dir(posixpath.dirname(target), recursive=True)
            files.write_whole(filesystem, target, file.read_bytes())
    mark(night, made)


def mark(night: Night, made: Identity) -> None:
    """Say that a stored model is whole, and that a night wants it now: maintenance goes by the age of the mark."""
    filesystem, root = storage.filesystem(night.lake.uri)
    told = asdict(made) | {"encoders": encoders(night.config), "held_out": held_out(night)}
    files.write_whole(filesystem, f"{root}/{made.path}/{MARK}", json.dumps(told, indent=1).encode())


def encoders_of(night: Night, path: str) -> dict[str, str]:
    """Modality → fingerprint of the encoder whose vectors a stored model reads."""
    return _mark(night, path)["encoders"]


def held_out(night: Night) -> dict[str, Any]:
    """All that says, beside the history, which likes a night holds out."""
    return night.config.fusion.split.model_dump(mode="json") | {"seed": night.config.fusion.seed}


def held_out_alike(night: Night, path: str) -> bool:
    """Whether likes were held out from a stored model by this night's rules. Then its part `TWIN` has not learnt from
    the night's test likes (`fusion.data.splits.split`); else it may have."""
    return bool(_mark(night, path).get("held_out") == held_out(night))


def _mark(night: Night, path: str) -> dict[str, Any]:
    filesystem, root = storage.filesystem(night.lake.uri)
    with filesystem.open_input_file(f"{root}/{path}/{MARK}") as file:
        return dict(json.loads(file.read()))


def scratch(night: Night, made: Identity) -> Path | None:
    """Where a training of this model leaves its checkpoints: beside the model's own folder, where the lake is on a file
    system of this machine; None elsewhere, and then a killed training begins anew."""
    return files.local(night.lake, f"{made.path}.partial")


def load(night: Night, path: str, part: str) -> Strategy:
    """One part of a stored model: `TWIN`, which has not seen the held-out likes, or `SERVED`, which has seen all."""
    filesystem, root = storage.filesystem(night.lake.uri)
    folder = Path(tempfile.mkdtemp())
    try:
        pafs.copy_files(
            f"{root}/{path}/{part}",
            str(folder),
            source_filesystem=filesystem,
            destination_filesystem=pafs.LocalFileSystem(),
        )
        return registry.load(folder)
    finally:
        shutil.rmtree(folder)


def digest(value: object) -> str:
    """SHA-256 of a value as JSON, hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def code() -> str:
    """A hash of all that computes a model: our own sources, and the versions of the libraries underneath."""
    sources = sorted(Path(fusion.__file__ or "").parent.rglob("*.py"))
    libraries = [version(name) for name in ("tensorflow", "keras", "numpy", "scikit-learn", "scipy")]
    return digest([*libraries, *(source.read_text("utf-8") for source in sources)])
