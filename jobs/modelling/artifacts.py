"""Trained models under LAKE/artifacts: one folder a model version, complete once it holds `model.json`."""

import hashlib
import inspect
import json
import posixpath
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.fs as pafs

from fusion.data.splits import Kind
from fusion.models import registry
from fusion.models.base import Strategy
from jobs.modelling.dataset import Dataset
from jobs.runtime.code import code_fingerprint
from jobs.runtime.night import Night
from lake import files, storage
from lake.damage import words
from lake.errors import LakeError
from schemas.classes import class_at, short
from schemas.config import Fusion
from schemas.errors import NightweaveError
from schemas.features import VectorBlock

Encoders = Mapping[str, tuple[VectorBlock, ...]]

FORMAT = 2
"""The layout of a manifest: 1, which has no number, may lack `encoders`, and may name one kind of split."""
FOLDER = "artifacts"
MANIFEST = "model.json"
SERVED = "served"
"""The part of a stored model that was fitted on all likes."""
EVALUATED = "held_out"
"""The part of a model of an earlier version that was fitted without the test likes of the one split of its night."""


class StoredModelError(NightweaveError):
    """A stored model is of a format that this version cannot use; the message names it and what to do."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Identity:
    """Hashes of all that a model is made from; equal identities mean equal models.

    Attributes:
        weights_from: population → version of the model whose weights it has for that one, where these are not its own.
    """

    strategy: str
    fingerprint_data: str
    fingerprint_encoders: str
    fingerprint_config: str
    fingerprint_code: str
    weights_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_version(self) -> str:
        return f"{short(self.strategy)}-{digest(asdict(self))[:12]}"

    @property
    def row(self) -> dict[str, Any]:
        """The columns of `models` of the same names."""
        return asdict(self) | {"weights_from": list(self.weights_from.items())}

    @property
    def path(self) -> str:
        """The model's folder, relative to LAKE."""
        return f"{FOLDER}/{self.model_version}"


def identity(night: Night, dataset: Dataset, strategy: str, parameters: Mapping[str, Any]) -> Identity:
    """Return the identity of the model that the night's data, configuration and code make with that strategy and those
    parameters."""
    return Identity(
        strategy=strategy,
        fingerprint_data=dataset.fingerprint,
        fingerprint_encoders=digest(dict(dataset.encoders)),
        fingerprint_config=digest([night.config.fusion.model_dump(mode="json"), dict(parameters)]),
        fingerprint_code=model_code(night.config.fusion),
    )


def exists(night: Night, path: str) -> bool:
    """Return whether the folder `path` of LAKE holds a complete model."""
    filesystem, root = storage.filesystem(night.lake.uri)
    return filesystem.get_file_info(f"{root}/{path}/{MANIFEST}").type == pafs.FileType.File


def save(night: Night, made: Identity, models: dict[str, Strategy], *, encoders: Encoders) -> None:
    """Store a model's parts, then its manifest, so that a reader sees all of it or none.

    Each file is moved into place whole, so that a second run of the same night may save the same model at once.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part, model in models.items():
            registry.save(model, Path(folder) / part)
        filesystem, root = storage.filesystem(night.lake.uri)
        for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            target = f"{root}/{made.path}/{file.relative_to(folder).as_posix()}"
            filesystem.create_dir(posixpath.dirname(target), recursive=True)
            files.write_whole(filesystem, target, file.read_bytes())
    write_manifest(night, made, encoders=encoders)


def write_manifest(night: Night, made: Identity, *, encoders: Encoders) -> None:
    """Declare a stored model complete, and used as of now: maintenance goes by the age of its newest file."""
    content = asdict(made) | {"format": FORMAT, "encoders": dict(encoders), "held_out": holdout_rules(night)}
    files.write_json(night.lake, f"{made.path}/{MANIFEST}", content)


def encoders_of(night: Night, path: str) -> dict[str, tuple[VectorBlock, ...]]:
    """Return medium → the blocks of vectors that a stored model reads; versions that had one encoder a medium stored
    its fingerprint alone.

    Raises:
        StoredModelError: it does not say, or its manifest is of a later version.
        LakeError: its manifest is missing or damaged.
    """
    manifest = _manifest(night, path)
    if "encoders" not in manifest:
        raise StoredModelError(
            f"{path}/{MANIFEST}: stored by an earlier version, which did not record the model's encoders; it can "
            "neither be judged nor serve, and the next night that promotes a model replaces it"
        )
    blocks = {}
    for medium, stored in manifest["encoders"].items():
        named = [(stored, None)] if isinstance(stored, str) else stored
        blocks[medium] = tuple(VectorBlock(name, width) for name, width in named)
    return blocks


def held_out(kind: Kind) -> str:
    """Return the part of a stored model that was fitted without the test likes of that kind of split."""
    return f"{EVALUATED}_{kind}"


def holdout_rules(night: Night) -> dict[str, Any]:
    """Return the settings that determine, together with the history, which likes each kind of split holds out."""
    split = night.config.fusion.split
    return {"test_share": split.test_share, "valid_share": split.valid_share, "seed": night.config.fusion.seed}


def comparable_part(night: Night, path: str, kind: Kind) -> str | None:
    """Return the part of a stored model that has not learnt from the test likes of this night's split of that kind
    (`fusion.data.splits.split`); None where it has no such part, as likes were held out by other rules."""
    rules = dict(_manifest(night, path).get("held_out", {}))
    of_one_kind = rules.pop("kind", None)
    if rules != holdout_rules(night):
        return None
    if of_one_kind is None:
        return held_out(kind)
    return EVALUATED if of_one_kind == kind else None


def _manifest(night: Night, path: str) -> dict[str, Any]:
    manifest = files.read_json(night.lake, f"{path}/{MANIFEST}")
    if manifest is None:
        raise _damaged(path, MANIFEST, "is missing")
    if (found := manifest.get("format", 1)) > FORMAT:
        raise StoredModelError(
            f"{path}/{MANIFEST}: format {found}, of a later version; this one reads up to {FORMAT}; run the later one"
        )
    return dict(manifest)


def _damaged(path: str, what: str, detail: str) -> LakeError:
    return LakeError(f"{path}/{what} {detail}; move {path} out of the lake, and run the night that made it again")


def checkpoint_folder(night: Night, made: Identity) -> Path | None:
    """Return the folder for checkpoints of this model's training, beside the model's own folder; None where the lake is
    not on a file system of this machine, and then a killed training starts again from the beginning."""
    return files.local(night.lake, f"{made.path}.partial")


def load(night: Night, path: str, part: str) -> Strategy:
    """Return one part of a stored model, `EVALUATED` or `SERVED`.

    Raises:
        StoredModelError: it was stored in a layout that this version does not read.
        LakeError: a file of it is missing or damaged.
    """
    filesystem, root = storage.filesystem(night.lake.uri)
    folder = Path(tempfile.mkdtemp())
    try:
        pafs.copy_files(
            f"{root}/{path}/{part}",
            str(folder),
            source_filesystem=filesystem,
            destination_filesystem=pafs.LocalFileSystem(),
        )
        return registry.load(folder, own=night.config.fusion.own_strategies)
    except registry.FormatError as error:
        raise StoredModelError(
            f"{path}/{part}: {error}; it can neither be judged nor serve, and the next night that promotes a model "
            "replaces it"
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, part, f"is missing or damaged: {words(error)}") from error
    finally:
        shutil.rmtree(folder)


def digest(value: object) -> str:
    """Return the SHA-256 of a value as JSON, hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def model_code(config: Fusion) -> str:
    """Return a hash of the code that makes a model: the sources of `fusion`, the versions of its libraries, and the
    files of classes of one's own that the configuration names; not of what these import."""
    own = [Path(inspect.getfile(class_at(name))) for name in _own_classes(config)]
    return code_fingerprint(["fusion"], ["tensorflow", "keras", "numpy", "scikit-learn", "scipy"], others=own)


def _own_classes(config: Fusion) -> list[str]:
    named = [*(candidate.strategy for candidate in config.considered), config.missing.policy]
    return [name for name in named if ":" in name]
