"""Encoders of exported models: what they are given and what is made of their output, by hand; and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper

from features.audio.decode import Clip
from features.base import Encoder
from features.onnx_session import declared, session
from features.registry import encoder
from tests.features import tiny_onnx
from tests.features.conftest import RATE, sine
from tests.features.text import tiny_bert
from tests.features.tiny_onnx import SIDE, TABLE

PIXELS = np.zeros((3, SIDE, SIDE, 3), np.uint8)
PIXELS[0], PIXELS[1, :, :8], PIXELS[2, 0, 0] = (255, 0, 0), (0, 255, 51), (255, 255, 255)
"""All red; the left half of a green with a fifth of blue; one white pixel at the top left."""


def picture_vectors(weights: str, **parameters: Any) -> np.ndarray:
    return encoder("image", "onnx", weights=weights, size=SIDE, output="embeds", **parameters).embed(PIXELS)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("rows", [("n",), (1,)])
def test_colours_come_in_the_declared_order(tmp_path: Path, layout: str, rows: tuple[int | str, ...]) -> None:
    """Also of a model that takes one picture a call."""
    weights = tiny_onnx.image(tmp_path / "model.onnx", layout=layout, rows=rows)
    white = 1 / SIDE**2
    expected = [[1, 0, 0, 1], [0, 0.5, 0.1, 0.6], [white, white, white, 3 * white]]
    np.testing.assert_allclose(picture_vectors(weights, layout=layout), expected, atol=1e-6)
    turned = [[row[2], row[1], row[0], row[3]] for row in expected]
    np.testing.assert_allclose(picture_vectors(weights, layout=layout, colours="BGR"), turned, atol=1e-6)


def test_pixels_become_what_the_parameters_say(tmp_path: Path) -> None:
    """Red is (1 - 0.5) / 0.25 = 2, green (0 - 0.25) / 0.5, blue (0 - 0) / 1; and 255 of white where that is wanted."""
    weights = tiny_onnx.image(tmp_path / "model.onnx")
    found = picture_vectors(weights, mean=[0.5, 0.25, 0], std=[0.25, 0.5, 1])
    np.testing.assert_allclose(found[0], [2, -0.5, 0, 1.5], atol=1e-6)
    np.testing.assert_allclose(picture_vectors(weights, white=255)[0], [255, 0, 0, 255], rtol=1e-6)


def test_a_model_of_bytes_is_given_them_plain(tmp_path: Path) -> None:
    weights = tiny_onnx.image(tmp_path / "model.onnx", dtype=TensorProto.UINT8)
    np.testing.assert_allclose(picture_vectors(weights)[0], [255, 0, 0, 255], rtol=1e-6)
    with pytest.raises(ValueError, match=r"takes pixels uint8 .*, plain values; leave mean, std and white out"):
        picture_vectors(weights, mean=0.5)


def test_tokens_are_pooled(tmp_path: Path) -> None:
    """The third picture's first pixel is white and the others black."""
    weights = tiny_onnx.image(tmp_path / "model.onnx")
    made = {
        how: encoder("image", "onnx", weights=weights, size=SIDE, output="states", pooling=how).embed(PIXELS)[2]
        for how in ("cls", "mean", "max")
    }
    np.testing.assert_allclose(made["cls"], [1, 1, 1, 3], atol=1e-6)
    np.testing.assert_allclose(made["max"], [1, 1, 1, 3], atol=1e-6)
    np.testing.assert_allclose(made["mean"], np.array([1, 1, 1, 3]) / SIDE**2, atol=1e-6)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def ids(*tokens: str) -> list[int]:
    return [tiny_bert.VOCABULARY.index(token) for token in tokens]


def text_vectors(weights: str, *texts: str, **parameters: Any) -> np.ndarray:
    made = encoder("text", "onnx", weights=weights, **parameters)
    batch = made.encode([made.decode(text) for text in texts])
    return np.array(batch["vector"].to_pylist(), np.float32)


def test_texts_are_pooled_over_their_own_tokens(tmp_path: Path) -> None:
    """And a long one over its windows of 8 tokens, two of which begin and end a window."""
    weights = tiny_onnx.text(tmp_path / "model.onnx")
    states = TABLE[ids("[CLS]", "a", "frog", "[SEP]")]
    expected = {"mean": states.mean(axis=0), "max": states.max(axis=0), "cls": states[0]}
    for how, vector in expected.items():
        found = text_vectors(weights, "A frog", pooling=how, max_tokens=8)[0]
        np.testing.assert_allclose(found, unit(vector), atol=1e-6)
    first, rest = TABLE[ids("[CLS]", *["frog"] * 6, "[SEP]")], TABLE[ids("[CLS]", "frog", "b", "[SEP]")]
    long = text_vectors(weights, "frog " * 7 + "b", pooling="mean", max_tokens=8)[0]
    np.testing.assert_allclose(long, unit(6 * first.mean(axis=0) + 2 * rest.mean(axis=0)), atol=1e-6)
    prefixed = text_vectors(weights, "frog", pooling="mean", max_tokens=8, prefix="a ")
    np.testing.assert_allclose(prefixed[0], unit(expected["mean"]), atol=1e-6)


def test_a_model_of_a_fixed_length_gets_full_windows(tmp_path: Path) -> None:
    """And the mean is of the text alone, though the model has no mask."""
    weights = tiny_onnx.text(tmp_path / "model.onnx", tokens=8, mask=False)
    expected = TABLE[ids("[CLS]", "a", "[SEP]")].mean(axis=0)
    np.testing.assert_allclose(text_vectors(weights, "a", pooling="mean")[0], unit(expected), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"takes input_ids int64 \[n, 8\]; expected int64 \[n, 9\], which follows from"
    ):
        encoder("text", "onnx", weights=weights, pooling="mean", max_tokens=9)


def test_the_length_of_windows_is_asked_for_where_the_model_has_none(tmp_path: Path) -> None:
    weights = tiny_onnx.text(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="takes any number of tokens; give those of a window as max_tokens"):
        encoder("text", "onnx", weights=weights, pooling="mean")


def sound(samples: np.ndarray) -> Clip:
    return Clip(np.zeros(RATE, np.float32), RATE, False, None, samples.astype(np.float32))


@pytest.mark.parametrize("samples", [("n", "samples"), (1, "samples"), ("samples",), ("n", 1, "samples")])
def test_sounds_are_cut_into_pieces(tmp_path: Path, samples: tuple[int | str, ...]) -> None:
    """One and a half pieces of a second: the half is filled up with silence, and counts half."""
    weights = tiny_onnx.audio(tmp_path / "model.onnx", samples=samples)
    layout = {1: "T", 2: "NT", 3: "NCT"}[len(samples)]
    # Without an axis of rows an output is taken for a vector a moment.
    pooling = "mean" if layout == "T" else "none"
    made = encoder("audio", "onnx", weights=weights, sample_rate=1000, piece_s=1.0, layout=layout, pooling=pooling)
    first, second = np.full(1000, 0.5), np.full(500, -0.4)
    found = made.vectors([sound(np.concatenate([first, second])), sound(first)])
    one, half = np.array([0.5, 0.25, 0.5, 0.5]), np.array([-0.2, 0.08, 0, -0.4])
    np.testing.assert_allclose(found, [(2 * one + half) / 3, one], atol=1e-6)


def test_a_sound_is_heard_at_the_rate_that_the_model_wants(tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    """And the readable columns are those of every encoder."""
    weights = tiny_onnx.audio(tmp_path / "model.onnx")
    made = encoder("audio", "onnx", weights=weights, sample_rate=16_000, piece_s=2.0)
    wav = make_wav(sine(440.0, 2.0))
    clip = made.decode(wav)
    assert (len(clip.samples), len(clip.resampled)) == (2 * RATE, 32_000)
    row = made.encode([clip]).to_pylist()[0]
    np.testing.assert_allclose(row["vector"], [0, 0.08, 0.4, -0.4], atol=2e-3)
    plain = encoder("audio", "mfcc")
    other = plain.encode([plain.decode(wav)]).to_pylist()[0]
    assert {**row, "vector": 0} == {**other, "vector": 0}


def spectrum_encoder(path: Path, **parameters: Any) -> Encoder:
    layout = parameters.get("layout", "NFT")
    weights = tiny_onnx.spectrum(path / f"{layout}.onnx", bands=40, layout=layout)
    sounds = {"sample_rate": 16_000, "input": "log-mel", "piece_s": 1.0, "mels": 40, "pooling": "mean"}
    return encoder("audio", "onnx", weights=weights, **sounds, **parameters)


TONE = sound(0.4 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000))


@pytest.mark.parametrize("layout", ["NFT", "NTF", "NCFT", "NCTF"])
def test_a_tone_is_loudest_in_its_band(tmp_path: Path, layout: str) -> None:
    """1,000 Hz are 15 of the 45.245 mels up to 8,000 Hz, by Slaney's scale, whose 41 steps lead to the bands' middles:
    13.6 steps, between the bands 12 and 13."""
    vector = spectrum_encoder(tmp_path, layout=layout).vectors([TONE])[0]
    assert set(np.argsort(vector)[-2:]) == {12, 13}


def test_logarithms_are_of_the_same_power(tmp_path: Path) -> None:
    ln, db = (spectrum_encoder(tmp_path, logarithm=how).vectors([TONE])[0] for how in ("ln", "db"))
    np.testing.assert_allclose(db, ln * 10 / np.log(10), rtol=1e-4, atol=1e-3)
    scaled = spectrum_encoder(tmp_path, mean=-4.0, std=2.0).vectors([TONE])[0]
    np.testing.assert_allclose(scaled, (ln + 4) / 2, atol=1e-4)


def test_what_a_file_declares_is_read_without_its_weights(tmp_path: Path) -> None:
    """As onnxruntime reads it; and weights beside the file count for the fingerprint as those in it do."""
    path = Path(tiny_onnx.image(tmp_path / "model.onnx"))
    found, opened = declared(path), session(path, threads=1)
    assert [tensor.name for tensor in found.inputs] == [tensor.name for tensor in opened.get_inputs()]
    assert [list(tensor.shape or ()) for tensor in found.outputs] == [one.shape for one in opened.get_outputs()]
    assert str(found.inputs[0]) == "pixels float32 [n, 3, 16, 16]"
    apart = tmp_path / "apart.onnx"
    model = onnx.load(path)
    external_data_helper.set_external_data(model.graph.initializer[0], "apart.data")
    onnx.save(model, apart)
    assert declared(apart).files == (apart, tmp_path / "apart.data")
    assert (picture_vectors(str(apart)) == picture_vectors(str(path))).all()
    before = encoder("image", "onnx", weights=str(apart), size=SIDE, output="embeds").fingerprint
    other = tmp_path / "other" / "apart.onnx"
    other.parent.mkdir()
    other.write_bytes(apart.read_bytes())
    with pytest.raises(ValueError, match=r"keeps weights in .*other/apart\.data, which is no file"):
        encoder("image", "onnx", weights=str(other), size=SIDE, output="embeds")
    (other.parent / "apart.data").write_bytes((tmp_path / "apart.data").read_bytes()[::-1])
    assert encoder("image", "onnx", weights=str(other), size=SIDE, output="embeds").fingerprint != before


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    for name, content in {"text": b"no model", "empty": b"", "short": b"\x3a\xff\xff\x03\x00"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"is no ONNX model|is empty; expected an ONNX model"):
            encoder("image", "onnx", weights=str(tmp_path / name))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"weights": "nowhere.onnx"}, r"weights is 'nowhere\.onnx', which is no file; give the path of an ONNX"),
        (
            {"size": 32},
            r"takes pixels float32 \[n, 3, 16, 16\]; expected float32 \[n, 3, 32, 32\], which follows from s",
        ),
        ({"layout": "NHWC"}, r"takes pixels float32 \[n, 3, 16, 16\]; expected float32 \[n, 16, 16, 3\]"),
        ({"output": None}, r"gives embeds float32 \[n, 4\], states float32 \[n, 256, 4\]; name the one that is wanted"),
        ({"output": "embed"}, r"output is 'embed', which .* has not; did you mean embeds\? it gives embeds"),
        ({"output": "states"}, r"the output states float32 \[n, 256, 4\] is no vector; give pooling: cls, mean or max"),
        ({"pooling": "mean"}, r"the output embeds float32 \[n, 4\] has no vector a token; give pooling: none"),
        ({"pooling": "middle"}, "pooling is 'middle'; expected one of none, cls, mean, max"),
        ({"dim": 5}, r"dim is 5, and the output embeds float32 \[n, 4\] makes vectors 4 wide; leave dim out"),
        ({"layout": "HWC"}, "layout is 'HWC'; expected one of NCHW, NHWC"),
        ({"colours": "RGBA"}, "colours is 'RGBA'; expected one of RGB, BGR"),
        ({"mean": [1, 2]}, r"mean is \[1, 2\]; expected a number, or one for each of red, green and blue"),
        ({"std": 0}, "std is 0; expected numbers other than 0"),
        ({"size": 0}, "size is 0; expected a whole number from 1"),
    ],
)
def test_what_does_not_fit_a_model_of_pictures_is_refused(
    tmp_path: Path, parameters: dict[str, Any], expected: str
) -> None:
    weights = tiny_onnx.image(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=expected):
        encoder("image", "onnx", **({"weights": weights, "size": SIDE, "output": "embeds"} | parameters))


def test_a_model_of_another_medium_names_its_inputs(tmp_path: Path) -> None:
    weights = tiny_onnx.text(tmp_path / "model.onnx")
    takes = r"takes input_ids int64 \[n, tokens\], attention_mask int64 \[n, tokens\]; expected one input"
    for modality in ("image", "audio"):
        with pytest.raises(ValueError, match=takes):
            encoder(modality, "onnx", weights=weights, pooling="mean")
    sounds = tiny_onnx.audio(tmp_path / "sounds.onnx")
    with pytest.raises(
        ValueError, match=r"takes waveform float32 \[n, samples\]; expected int64 \[n, 8\], which follows"
    ):
        encoder("text", "onnx", weights=sounds, max_tokens=8)


def test_a_tokenizer_is_asked_for(tmp_path: Path) -> None:
    weights = tiny_onnx.text(tmp_path / "model.onnx")
    for name in ("tokenizer.json", "vocab.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=r"has neither tokenizer\.json nor vocab\.txt; give a tokenizer\.json of Hugg"):
        encoder("text", "onnx", weights=weights, pooling="mean", max_tokens=8)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"input": "mel"}, "input is 'mel'; expected one of waveform, log-mel"),
        ({"layout": "NFT"}, "layout is 'NFT'; expected one of NT, NCT, T with input waveform"),
        ({"piece_s": 99.0}, r"piece_s is 99\.0; expected seconds up to 60"),
        ({"sample_rate": 8}, "sample_rate is 8; expected Hz from 1000 to 192000"),
        ({"f_max": 9000.0}, r"f_min is 0\.0 and f_max 9000\.0; expected Hz from 0 to 8000"),
        ({"hop": 0}, "hop is 0; expected a whole number from 1"),
        ({"layout": "NCT"}, r"takes waveform float32 \[n, samples\]; expected float32 \[n, 1, 160000\]"),
    ],
)
def test_what_does_not_fit_a_model_of_sounds_is_refused(
    tmp_path: Path, parameters: dict[str, Any], expected: str
) -> None:
    weights = tiny_onnx.audio(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=expected):
        encoder("audio", "onnx", weights=weights, **parameters)
