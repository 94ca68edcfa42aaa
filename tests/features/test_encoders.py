"""What holds for every registered encoder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.arrays import feature_batch
from features.base import Encoder
from features.registry import ENCODERS, encoder
from schemas.table import MODALITIES
from tests.features.conftest import clicks, panned, save, sine, texture

DIMS = {"text": 384, "image": 1280, "audio": 231, "video": 1314}
OTHER_PARAMETERS = {"text": {"max_characters": 9}, "audio": {"max_seconds": 9.0}, "video": {"moments": 9}}
NOT_IN_THE_FINGERPRINT = {"audio": {"timeout_s": 9.0}, "video": {"timeout_s": 9.0}}


@pytest.fixture(params=sorted(ENCODERS), ids=lambda key: key[1])
def made(request: pytest.FixtureRequest) -> Encoder:
    return encoder(*request.param)


@pytest.fixture
def decoded(made: Encoder, tmp_path: Path, make_wav: Callable[..., Path], make_film: Callable[..., Path]) -> list[Any]:
    """Five different contents of the encoder's modality, decoded."""
    makers: dict[str, Callable[[int], Any]] = {
        "text": lambda i: "a frog and a very long story about it. " * (3 * i + 1) + "青蛙" * i,
        "image": lambda i: save(texture(40 + i, 60, seed=i), tmp_path / f"{i}.png"),
        "audio": lambda i: make_wav(
            sine(200.0 + 300 * i, 1.0 + i / 2) if i % 2 else clicks(80 + 10 * i, 3.0), f"{i}.wav"
        ),
        "video": lambda i: make_film(panned(4 + 5 * i, step=i, side=64), f"{i}.mkv", "-c:v", "ffv1"),
    }
    return [made.decode(makers[made.modality](i)) for i in range(5)]


def test_registry_lists_every_modality() -> None:
    assert {modality for modality, _ in ENCODERS} == set(MODALITIES)


def test_unknown_encoder_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'nothing'.*efficientnet-lite0"):
        encoder("image", "nothing")


def test_name_modality_and_width(made: Encoder) -> None:
    assert (made.modality, made.name) in ENCODERS
    assert made.dim == DIMS[made.modality]
    assert made.fingerprint.startswith(f"{made.name}-")
    assert made.schema().field("vector").type == pa.list_(pa.float32(), made.dim)


def test_fingerprint_follows_what_changes_the_vectors(made: Encoder) -> None:
    same = encoder(made.modality, made.name)
    assert same.fingerprint == made.fingerprint
    changed = type("Changed", (type(made),), {"version": made.version + 1})()
    assert changed.fingerprint != made.fingerprint
    retrained = type("Retrained", (type(made),), {"weights_hash": lambda self: "other"})()
    assert retrained.fingerprint != made.fingerprint
    if other := OTHER_PARAMETERS.get(made.modality):
        assert encoder(made.modality, made.name, **other).fingerprint != made.fingerprint
    for name, value in NOT_IN_THE_FINGERPRINT.get(made.modality, {}).items():
        assert encoder(made.modality, made.name, **{name: value}).fingerprint == made.fingerprint


def test_batch_has_the_schema_and_its_companions_change_nothing(made: Encoder, decoded: list[Any]) -> None:
    together = made.encode(decoded)
    assert together.schema == made.schema()
    assert together.num_rows == len(decoded)
    together.validate(full=True)
    vectors = np.array(together["vector"].to_pylist(), np.float32)
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(decoded)
    for index, content in enumerate(decoded):
        assert made.encode([content]).equals(together.slice(index, 1)), index
    assert made.encode(decoded[::-1]).take(pa.array(range(4, -1, -1))).equals(together)


def test_empty_batch(made: Encoder) -> None:
    batch = made.encode([])
    assert (batch.num_rows, batch.schema) == (0, made.schema())


def test_a_new_encoder_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, ("text", "length"), "tests.features.test_encoders:Length")
    length = encoder("text", "length")
    assert length.encode([length.decode("frog")])["vector"].to_pylist() == [[4.0]]


class Length(Encoder):
    modality, name, version = "text", "length", 1
    dim = 1

    def parameters(self) -> dict[str, Any]:
        return {}

    def decode(self, content: str) -> str:
        return content

    def encode(self, decoded: Any) -> pa.RecordBatch:
        rows = [{"characters": len(text), "words": 1} for text in decoded]
        return feature_batch(self.schema(), np.array([[len(text)] for text in decoded], np.float32), rows)
