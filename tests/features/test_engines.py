"""ONNX Runtime and Keras compute the same vectors, and what each network's bits depend on."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from features.image import efficientnet
from features.keras_forward import check_options, runs_on_onnxruntime
from features.registry import encoder
from features.text import e5
from features.text.nlp.analysis import Analysis
from tests.features.conftest import texture

TEXTS = [
    Analysis(text, "und", [], [])
    for text in ("A green frog sits in the pond.", "一只绿色的青蛙坐在池塘里。", "", "frog " * 700, "frog " * 60)
]
PHOTOGRAPHS = np.stack(
    [np.asarray(Image.fromarray(image).resize((224, 224))) for image in load_sample_images().images]
    + [texture(224, 224, seed=seed) for seed in range(3)]
)
NETWORKS = [
    ("text", "e5-small", {}),
    ("image", "efficientnet-lite0", {}),
    pytest.param("image", "resnet50", {"weights": "none", "batch": 2}, marks=pytest.mark.slow),
    pytest.param("image", "vgg16", {"weights": "none", "batch": 2}, marks=pytest.mark.at_length),
]


def vectors(modality: str, name: str, parameters: dict[str, Any], *rows: int, engine: str = "onnxruntime") -> Any:
    """Vectors of the contents that `rows` numbers, in that order."""
    made: Any = encoder(modality, name, engine=engine, **parameters)
    return made.vectors([TEXTS[row] for row in rows]) if modality == "text" else made.embed(PHOTOGRAPHS[list(rows)])


@pytest.mark.parametrize(("modality", "name", "parameters"), NETWORKS)
def test_the_engine_changes_no_fingerprint_because_it_changes_no_vector(
    modality: str, name: str, parameters: dict[str, Any]
) -> None:
    auto, onnx, keras = (encoder(modality, name, engine=e, **parameters) for e in ("auto", "onnxruntime", "keras"))
    assert auto.fingerprint == onnx.fingerprint == keras.fingerprint
    one, other = (vectors(modality, name, parameters, *range(5), engine=e) for e in ("onnxruntime", "keras"))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    assert ((one * other).sum(axis=1) / lengths).min() >= 0.9999
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1), rtol=1e-4)


@pytest.mark.parametrize(("modality", "name", "parameters"), NETWORKS)
def test_onnx_runtime_gives_a_row_the_same_bits_whatever_is_beside_it(
    modality: str, name: str, parameters: dict[str, Any]
) -> None:
    together = vectors(modality, name, parameters, *range(5))
    np.testing.assert_array_equal(vectors(modality, name, parameters, 4, 2, 0, 1, 3), together[[4, 2, 0, 1, 3]])
    for row in range(5):
        np.testing.assert_array_equal(vectors(modality, name, parameters, row), together[[row]])


def test_the_bits_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = []
    for threads in ("1", "2"):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads)
        networks.append((efficientnet.onnx_network.__wrapped__(), e5._network.__wrapped__(None)))
    (picture, sentence), (other_picture, other_sentence) = networks
    np.testing.assert_array_equal(*(each.predict_on_batch([PHOTOGRAPHS])[0] for each in (picture, other_picture)))
    ids = [list(range(5, 40)), list(range(900, 1500))]
    np.testing.assert_array_equal(*(each.vectors(ids, batch=4) for each in (sentence, other_sentence)))


def test_the_default_encoders_need_neither_tensorflow_nor_keras() -> None:
    program = (
        "import sys; from tests.features import test_engines as here;"
        "[here.vectors(*network, 0, engine='onnxruntime') for network in here.NETWORKS[:2]];"
        "assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).resolve().parents[2], check=True)


@pytest.mark.parametrize(
    ("engine", "precision", "hidden", "expected"),
    [
        ("auto", "float32", "", True),
        ("auto", "float32", "-1", True),
        ("auto", "mixed_float16", "", False),
        ("keras", "float32", "", False),
        ("onnxruntime", "float32", "0", True),
    ],
)
def test_what_computes_a_network(
    engine: str, precision: str, hidden: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert runs_on_onnxruntime(engine, precision) is expected


def test_engines_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="engine is 'tensorrt'; expected one of auto, onnxruntime, keras"):
        check_options(batch=1, precision="float32", engine="tensorrt")
    with pytest.raises(ValueError, match="'onnxruntime' with precision 'mixed_float16'; expected float32"):
        encoder("image", "efficientnet-lite0", engine="onnxruntime", precision="mixed_float16")
