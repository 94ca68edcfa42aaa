"""What holds for every registered encoder."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.base import Encoder
from features.registry import ENCODERS, encoder
from features.text.base import TextEncoder
from features.text.nlp.analysis import Analysis
from schemas.table import MEDIA
from tests.features import tiny_keras_hub, tiny_onnx
from tests.features.conftest import clicks, panned, save, sine, texture
from tests.features.text import tiny_bert

DIMS = {
    "e5-small": 384,
    "minilm-l6": 384,
    "word-vectors": 384,
    "bag-of-words": 1024,
    "bert": tiny_bert.WIDTH,
    "efficientnet-lite0": 1280,
    "hog": 386,
    "keras-hub": tiny_keras_hub.WIDTH,
    "onnx": tiny_onnx.WIDTH,
    "resnet50": 2048,
    "vgg16": 4096,
    "mel-mfcc": 311,
    "mfcc": 80,
    "frame-sequence": 1314,
    "frame-mean": 386,
    "frame-rnn": 1058,
    "given": 3,
}
FOLDER = TemporaryDirectory()
# By name, or by modality and name where several encoders have the name.
WEIGHTS: dict[str, Callable[[Path], str]] = {
    "bert": tiny_bert.write,
    "text keras-hub": lambda folder: tiny_keras_hub.write(folder, "clip"),
    "image keras-hub": lambda folder: tiny_keras_hub.write(folder, "vit"),
    "audio keras-hub": lambda folder: tiny_keras_hub.write(folder, "moonshine"),
    "text onnx": lambda folder: tiny_onnx.text(folder / "model.onnx"),
    "image onnx": lambda folder: tiny_onnx.image(folder / "model.onnx"),
    "audio onnx": lambda folder: tiny_onnx.audio(folder / "model.onnx"),
}
# What an encoder cannot be made without, and what keeps its test short.
PARAMETERS: dict[str, dict[str, Any]] = {
    "text keras-hub": {"tokenizer": str(Path(tiny_bert.write(Path(FOLDER.name)), "vocab.txt"))},
    "audio keras-hub": {"piece_s": 1.0},
    "text onnx": {"pooling": "mean", "max_tokens": 24},
    "image onnx": {"size": tiny_onnx.SIDE, "output": "embeds"},
    "audio onnx": {"piece_s": 1.0},
    "frame-mean": {"appearance": {"name": "hog"}},
    "resnet50": {"weights": "none", "batch": 2},
    "vgg16": {"weights": "none", "batch": 2},
    "given": {"name": "clip", "dim": 3},
}
OTHER_PARAMETERS: dict[str, dict[str, Any]] = {
    "e5-small": {"max_characters": 9},
    "minilm-l6": {"max_characters": 9},
    "word-vectors": {"max_characters": 9},
    "bag-of-words": {"dim": 64},
    "bert": {"pooling": "cls"},
    "efficientnet-lite0": {"fit": "crop"},
    "hog": {"fit": "crop"},
    "resnet50": {"fit": "squash"},
    "vgg16": {"precision": "mixed_bfloat16"},
    "keras-hub": {"pooling": "max"},
    "text onnx": {"prefix": "a "},
    "image onnx": {"mean": 0.5},
    "audio onnx": {"sample_rate": 8000},
    "mel-mfcc": {"denoise": "gate"},
    "mfcc": {"windows": 3},
    "frame-sequence": {"moments": 9},
    "frame-mean": {"appearance": {"name": "hog", "parameters": {"fit": "crop"}}},
    "frame-rnn": {"units": 8},
    "given": {"name": "other"},
}
NOT_IN_THE_FINGERPRINT: dict[str, dict[str, Any]] = {
    "e5-small": {"batch": 3},
    "bert": {"batch": 3},
    "efficientnet-lite0": {"batch": 3},
    "resnet50": {"batch": 3},
    "vgg16": {"batch": 3},
    "keras-hub": {"batch": 3, "space": "clip"},
    "onnx": {"batch": 3, "space": "clip"},
    "mel-mfcc": {"timeout_s": 9.0},
    "mfcc": {"timeout_s": 9.0},
    "frame-sequence": {"timeout_s": 9.0},
    "frame-mean": {"timeout_s": 9.0},
    "frame-rnn": {"timeout_s": 9.0},
}


def make(name: str, modality: str, /, **parameters: Any) -> Encoder:
    return encoder(modality, name, **(arguments(name, modality) | parameters))


def arguments(name: str, modality: str) -> dict[str, Any]:
    """`PARAMETERS` of an encoder, and its weights, which are written at the first call."""
    return weights(name, modality) | (of(PARAMETERS, name, modality) or {})


@cache
def weights(name: str, modality: str) -> dict[str, str]:
    if (write := of(WEIGHTS, name, modality)) is None:
        return {}
    return {"weights": write(Path(FOLDER.name, name, modality))}


def of(table: dict[str, Any], name: str, modality: str) -> Any:
    """What a table has under modality and name, or else under the name."""
    return table.get(f"{modality} {name}", table.get(name))


# VGG16 is of one class with ResNet50, and eight times as large.
ALL = [pytest.param(key, marks=pytest.mark.at_length if key[1] == "vgg16" else ()) for key in sorted(ENCODERS)]


@pytest.fixture(params=ALL, ids=lambda key: key[1])
def made(request: pytest.FixtureRequest) -> Encoder:
    modality, name = request.param
    return make(name, modality)


@pytest.fixture
def decoded(made: Encoder, tmp_path: Path, make_wav: Callable[..., Path], make_film: Callable[..., Path]) -> list[Any]:
    """Five different contents of the encoder's modality, decoded.

    Texts 0 and 1 have the same padded length, and so have 2 and 3, so that they share a call of a network.
    """
    makers: dict[str, Callable[[int], Any]] = {
        "text": lambda i: "a frog and a very long story about it. " * (1, 1, 4, 4, 13)[i] + "青蛙" * i,
        "image": lambda i: save(texture(40 + i, 60, seed=i), tmp_path / f"{i}.png"),
        "audio": lambda i: make_wav(
            sine(200.0 + 300 * i, 1.0 + i / 2) if i % 2 else clicks(80 + 10 * i, 3.0), f"{i}.wav"
        ),
        "video": lambda i: make_film(panned(4 + 5 * i, step=i, side=64), f"{i}.mkv", "-c:v", "ffv1"),
        "given": lambda i: [0.5, i, -1.0],
    }
    return [made.decode(makers[made.name if made.name in makers else made.modality](i)) for i in range(5)]


def test_registry_lists_every_modality() -> None:
    assert {modality for modality, _ in ENCODERS} == set(MEDIA)


def test_unknown_encoder_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'nothing'.*efficientnet-lite0"):
        encoder("image", "nothing")


def test_name_modality_and_width(made: Encoder) -> None:
    assert (made.modality, made.name) in ENCODERS
    assert made.dim == DIMS[made.name]
    assert made.fingerprint.startswith(f"{made.name}-")
    assert made.schema().field("vector").type == pa.list_(pa.float32(), made.dim)


def test_fingerprint_follows_what_changes_the_vectors(made: Encoder) -> None:
    parameters = arguments(made.name, made.modality)
    assert make(made.name, made.modality).fingerprint == made.fingerprint
    changed = type("Changed", (type(made),), {"version": made.version + 1})(**parameters)
    assert changed.fingerprint != made.fingerprint
    retrained = type("Retrained", (type(made),), {"weights_hash": lambda self: "other"})(**parameters)
    assert retrained.fingerprint != made.fingerprint
    if other := of(OTHER_PARAMETERS, made.name, made.modality):
        assert make(made.name, made.modality, **other).fingerprint != made.fingerprint
    for name, value in (of(NOT_IN_THE_FINGERPRINT, made.name, made.modality) or {}).items():
        assert make(made.name, made.modality, **{name: value}).fingerprint == made.fingerprint


@pytest.mark.slow
def test_batch_has_the_schema_and_its_companions_change_nothing(made: Encoder, decoded: list[Any]) -> None:
    together = made.encode(decoded)
    assert together.schema == made.schema()
    assert together.num_rows == len(decoded)
    together.validate(full=True)
    vectors = np.array(together["vector"].to_pylist(), np.float32)
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(decoded)
    for index, content in enumerate(decoded):
        assert_alike(made.encode([content]), together.slice(index, 1))
    assert_alike(made.encode(decoded[::-1]).take(pa.array(range(4, -1, -1))), together)


def assert_alike(one: pa.RecordBatch, other: pa.RecordBatch) -> None:
    """The same but for the last bits of vectors: on some processors those of a network follow a row's place."""
    vectors = [np.array(batch["vector"].to_pylist(), np.float32) for batch in (one, other)]
    np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-5 * np.abs(vectors[1]).max())
    assert one.drop_columns("vector").equals(other.drop_columns("vector"))


def test_empty_batch(made: Encoder) -> None:
    batch = made.encode([])
    assert (batch.num_rows, batch.schema) == (0, made.schema())


def test_a_new_encoder_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, ("text", "length"), "tests.features.test_encoders:Length")
    length = encoder("text", "length")
    assert length.encode([length.decode("frog")])["vector"].to_pylist() == [[4.0]]


class Length(TextEncoder):
    name, version = "length", 1
    dim = 1

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        return np.array([[len(text.text)] for text in texts], np.float32)
