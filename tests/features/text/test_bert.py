import json
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from features.registry import encoder
from tests.features.text import tiny_bert

CLS, SEP = tiny_bert.VOCABULARY.index("[CLS]"), tiny_bert.VOCABULARY.index("[SEP]")


def hidden_states(ids: list[int]) -> np.ndarray:
    """BERT's last layer [tokens, width] for one window, in NumPy (Vaswani et al. 2017, Devlin et al. 2019)."""
    weights = tiny_bert.tensors()

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.LayerNorm.weight"] + weights[f"{name}.LayerNorm.bias"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), tiny_bert.HEADS, -1).transpose(1, 0, 2)

    table = "embeddings.{}_embeddings.weight".format
    x = weights[table("word")][ids] + weights[table("position")][: len(ids)] + weights[table("token_type")][0]
    x = norm(x, "embeddings")
    for block in range(tiny_bert.DEPTH):
        at = f"encoder.layer.{block}"
        query, key, value = (heads(dense(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = np.exp(query @ key.transpose(0, 2, 1) / sqrt(tiny_bert.WIDTH // tiny_bert.HEADS))
        context = (scores / scores.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(x + dense(context, f"{at}.attention.output.dense"), f"{at}.attention.output")
        inner = dense(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(erf)(inner / sqrt(2)))
        x = norm(x + dense(inner, f"{at}.output.dense"), f"{at}.output")
    return x


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_bert.write(tmp_path_factory.mktemp("bert")))


def vectors(folder: Path, *texts: str, **parameters: str) -> np.ndarray:
    made = encoder("text", "bert", weights=str(folder), **parameters)
    batch = made.encode([made.decode(text) for text in texts])
    return np.array(batch["vector"].to_pylist(), np.float32)


FROG = [CLS, *(tiny_bert.VOCABULARY.index(token) for token in ("a", "frog", ".", "青", "蛙")), SEP]


def test_mean_and_first_token_are_those_of_a_forward_pass(folder: Path) -> None:
    states = hidden_states(FROG)
    np.testing.assert_allclose(vectors(folder, "A frog. 青蛙")[0], unit(states.mean(0)), atol=2e-3)
    np.testing.assert_allclose(vectors(folder, "A frog. 青蛙", pooling="cls")[0], unit(states[0]), atol=2e-3)


def test_a_prefix_goes_before_the_text(folder: Path) -> None:
    np.testing.assert_array_equal(vectors(folder, "frog", prefix="a "), vectors(folder, "a frog"))


def test_windows_of_a_long_text_are_averaged_by_their_tokens(folder: Path) -> None:
    """The model reads 24 tokens, two of which begin and end a window."""
    frog, letter = tiny_bert.VOCABULARY.index("frog"), tiny_bert.VOCABULARY.index("b")
    first, rest = hidden_states([CLS, *[frog] * 22, SEP]), hidden_states([CLS, frog, letter, SEP])
    expected = unit(22 * first.mean(0) + 2 * rest.mean(0))
    np.testing.assert_allclose(vectors(folder, "frog " * 23 + "b")[0], expected, atol=2e-3)


def test_a_folder_counts_by_its_files(folder: Path, tmp_path: Path) -> None:
    copy, other = tiny_bert.write(tmp_path / "copy"), tiny_bert.write(tmp_path / "other", seed=1)
    prints = [encoder("text", "bert", weights=path).fingerprint for path in (str(folder), copy, other)]
    assert prints[0] == prints[1] != prints[2]


def test_the_error_for_a_missing_folder_names_what_to_give() -> None:
    with pytest.raises(ValueError, match=r"'nowhere', which is no folder; give the path of a folder that holds config"):
        encoder("text", "bert", weights="nowhere")


@pytest.mark.parametrize(
    ("missing", "message"),
    [("config.json", "no config.json"), ("model.safetensors", r"no \*\.safetensors"), ("vocab.txt", "nor vocab.txt")],
)
def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, missing: str, message: str) -> None:
    folder = tiny_bert.write(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=message):
        encoder("text", "bert", weights=folder)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path)
    fewer = {name: tensor for name, tensor in tiny_bert.tensors().items() if name != "pooler.dense.bias"}
    save_file(fewer, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"pooler\.dense\.bias"):
        vectors(Path(folder), "frog")


def test_another_family_is_refused(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ValueError, match="'gpt2'; expected one of bert, roberta"):
        encoder("text", "bert", weights=folder)


@pytest.mark.parametrize("wrong", [{"pooling": "max"}, {"precision": "float64"}, {"batch": 0}])
def test_wrong_parameters_are_named(folder: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        encoder("text", "bert", weights=str(folder), **wrong)
