"""Networks of `keras.applications` and where their weights come from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.image import pretrained
from features.image.base import ImageEncoder
from features.registry import encoder
from tests.features.conftest import texture

CACHED = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"


def resnet(**parameters: Any) -> ImageEncoder:
    made = encoder("image", "resnet50", **parameters)
    assert isinstance(made, ImageEncoder)
    return made


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return tmp_path / "keras"


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([texture(224, 224, seed=seed) for seed in range(2)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet50 of random weights, with its head as Keras keeps it now, without as Keras kept it once."""
    import keras

    folder = tmp_path_factory.mktemp("weights")
    whole = keras.applications.ResNet50(weights=None)
    whole.save_weights(folder / "head.weights.h5")
    headless = keras.Model(whole.input, whole.get_layer("avg_pool").output)
    headless.save(folder / CACHED)
    np.save(folder / "wanted.npy", expected(headless, np.stack([texture(224, 224, seed=seed) for seed in range(2)])))
    return folder


def expected(network: Any, pictures: np.ndarray) -> np.ndarray:
    """Blue first, less the means of ImageNet's channels: what ResNet50 and VGG16 were trained on."""
    return network.predict_on_batch(pictures[..., ::-1].astype(np.float32) - [103.939, 116.779, 123.68])


@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
@pytest.mark.parametrize("weights", [{}, {"weights": None}, {"weights": "random"}, {"weights": 3}])
def test_weights_have_no_default(name: str, weights: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"path.*imagenet.*none"):
        encoder("image", name, **weights)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no weight file at .*nowhere\.h5"):
        resnet(weights=str(tmp_path / "nowhere.h5"))


@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
def test_the_error_for_a_missing_cached_file_names_the_folder(name: str, keras_home: Path) -> None:
    with pytest.raises(ValueError, match=rf"{keras_home}/models holds no {name}_weights.*downloads"):
        encoder("image", name, weights="imagenet")


def test_keras_home_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pretrained.keras_home() == tmp_path / ".keras"


@pytest.mark.slow
def test_weights_from_files_are_the_same_vectors(files: Path, keras_home: Path, pictures: np.ndarray) -> None:
    (keras_home / "models" / CACHED).write_bytes((files / CACHED).read_bytes())
    wanted = np.load(files / "wanted.npy")
    path = str(files / "head.weights.h5")
    for weights in ("imagenet", path):
        made = resnet(weights=weights, batch=2)
        assert not made.untrained
        assert "weights" not in made.parameters()
        np.testing.assert_allclose(made.embed(pictures), wanted, rtol=1e-4, atol=1e-4, err_msg=weights)
    # Weights are identified by their bytes, not by their path.
    assert resnet(weights="imagenet").fingerprint == resnet(weights=str(files / CACHED)).fingerprint
    assert resnet(weights="imagenet").fingerprint != resnet(weights=path).fingerprint


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(tmp_path / "dense.weights.h5")
    (tmp_path / "text.h5").write_text("no weights")
    for name in ("dense.weights.h5", "text.h5"):
        made = resnet(weights=str(tmp_path / name))
        with pytest.raises(ValueError, match=rf"{name} holds no weights of ResNet50"):
            made.embed(np.zeros((1, 224, 224, 3), np.uint8))


@pytest.mark.slow
def test_random_weights_are_marked_and_always_the_same(pictures: np.ndarray) -> None:
    made = resnet(weights="none", batch=2)
    assert made.untrained
    assert made.parameters()["weights"] == "none"
    vectors = made.embed(pictures)
    assert vectors.shape == (2, 2048)
    assert vectors.dtype == np.float32
    pretrained._onnx_network.cache_clear()
    np.testing.assert_array_equal(resnet(weights="none", batch=2).embed(pictures), vectors)


def test_untrained_is_false_where_something_was_learned_or_nothing_is_to_learn() -> None:
    for name in ("efficientnet-lite0", "hog"):
        made = encoder("image", name)
        assert isinstance(made, ImageEncoder)
        assert not made.untrained


@pytest.mark.parametrize("name", ["resnet50", "efficientnet-lite0"])
def test_mixed_precision_is_near_and_marked(name: str, pictures: np.ndarray) -> None:
    import keras

    parameters = {"weights": "none"} if name == "resnet50" else {}
    full, mixed = (encoder("image", name, precision=p, batch=2, **parameters) for p in ("float32", "mixed_bfloat16"))
    assert isinstance(full, ImageEncoder)
    assert isinstance(mixed, ImageEncoder)
    assert full.fingerprint != mixed.fingerprint
    assert "precision" not in full.parameters()
    a, b = full.embed(pictures), mixed.embed(pictures)
    assert b.dtype == np.float32
    assert (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) > 0.99
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": 1.5}, {"precision": "float16"}, {"fit": "stretch"}])
def test_wrong_parameters_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))} is {next(iter(wrong.values()))!r}; expected "):
        encoder("image", "efficientnet-lite0", **wrong)
