"""Encoders of keras-hub's backbones: the vector is what the backbone itself makes, pooled; and what is refused."""

import json
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from features.audio.decode import Clip
from features.registry import encoder
from tests.features import tiny_keras_hub, tiny_onnx
from tests.features.text import tiny_bert
from tests.features.tiny_keras_hub import SIDE, TOKENS

pytestmark = pytest.mark.slow

PIXELS = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
WORDS = ["<s>", "</s>", "<pad>", "<unk>", "a", "frog", "sings"]


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("presets")
    return {kind: tiny_keras_hub.write(root / kind, kind) for kind in tiny_keras_hub.KINDS}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A word is a token; a text begins with 0 and ends with 1."""
    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<s>", 0), ("</s>", 1)]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    path = tmp_path_factory.mktemp("tokenizer") / "words.json"
    made.save(str(path))
    return str(path)


def backbone(folder: str, **parameters: Any) -> Any:
    return keras_hub.models.Backbone.from_preset(folder, **parameters)


def array(tensor: Any) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def run(model: Any, value: np.ndarray) -> np.ndarray:
    """The output of a model of one input."""
    return array(model({name: value for name in model.input} if isinstance(model.input, dict) else [value]))


@pytest.mark.parametrize("kind", ["vit", "dinov2", "dinov3"])
def test_patches_are_pooled(presets: dict[str, str], kind: str) -> None:
    states = run(backbone(presets[kind]), PIXELS / np.float32(255))
    expected = {"cls": states[:, 0], "mean": states.mean(axis=1), "max": states.max(axis=1)}
    for pooling, vectors in expected.items():
        made = encoder("image", "keras-hub", weights=presets[kind], pooling=pooling)
        assert (made.side, made.dim) == (SIDE, vectors.shape[1])
        np.testing.assert_allclose(made.embed(PIXELS), vectors, atol=2e-5)


def test_a_layer_below_the_last_is_taken(presets: dict[str, str]) -> None:
    model = backbone(presets["dinov2"])
    states = run(keras.Model(model.inputs, model.pyramid_outputs["stage1"]), PIXELS / np.float32(255))
    made = encoder("image", "keras-hub", weights=presets["dinov2"], pooling="mean", layer="stage1")
    np.testing.assert_allclose(made.embed(PIXELS), states.mean(axis=1), atol=2e-5)
    wrong = encoder("image", "keras-hub", weights=presets["dinov2"], layer="stage9")
    with pytest.raises(ValueError, match=r"layer is 'stage9'; expected one of stem, stage1, stage2, images"):
        wrong.embed(PIXELS)


def test_dinov2_takes_pictures_of_another_size(presets: dict[str, str]) -> None:
    pictures = np.zeros((1, 48, 48, 3), np.uint8)
    made = encoder("image", "keras-hub", weights=presets["dinov2"], size=48)
    expected = run(backbone(presets["dinov2"], image_shape=(48, 48, 3)), pictures.astype(np.float32))[:, 0]
    np.testing.assert_allclose(made.embed(pictures), expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_towers_of_an_image_text_model_stand_in_one_space(
    presets: dict[str, str], tokenizer: str, kind: str
) -> None:
    """SigLIP reads its vector off the last of the window's 12 places."""
    model = backbone(presets[kind])
    shared = {"weights": presets[kind], "pooling": "none", "space": kind}
    image = encoder("image", "keras-hub", **shared, mean=0.5, std=0.5)
    expected = array(model.get_vision_embeddings(PIXELS / np.float32(127.5) - 1))
    np.testing.assert_allclose(image.embed(PIXELS), expected, atol=2e-5)
    text = encoder("text", "keras-hub", **shared, tokenizer=tokenizer)
    (vector,) = text.encode([text.decode("a frog sings")])["vector"].to_pylist()
    ids = [0, 4, 5, 6, 1]
    length = 16 if kind == "clip" else TOKENS
    ids = ids + [2] * (min(length, TOKENS) - len(ids))
    expected = array(model.get_text_embeddings(np.array([ids])))[0]
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=2e-5)
    assert (image.space, text.space, image.dim) == (kind, kind, text.dim)


def test_a_tower_s_own_tokens_are_pooled(presets: dict[str, str], tokenizer: str) -> None:
    states = run(backbone(presets["clip"]).vision_encoder, PIXELS / np.float32(255))
    made = encoder("image", "keras-hub", weights=presets["clip"], pooling="mean")
    np.testing.assert_allclose(made.embed(PIXELS), states.mean(axis=1), atol=2e-5)
    tokens = run(backbone(presets["clip"]).text_encoder, np.array([[0, 4, 5, 1]]))[0]
    text = encoder("text", "keras-hub", weights=presets["clip"], pooling="mean", tokenizer=tokenizer)
    (vector,) = text.encode([text.decode("a frog")])["vector"].to_pylist()
    mean = tokens.mean(axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=2e-5)


def noise(seconds: float) -> Clip:
    """Heard at 16,000 Hz."""
    samples = np.random.default_rng(1).normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)
    return Clip(samples, 16_000, False, None, samples)


def test_whisper_s_states_are_pooled_as_far_as_there_is_sound(presets: dict[str, str]) -> None:
    """3 of 30 seconds: 150 of 1,500 states."""
    clip = noise(3.0)
    converter = keras_hub.layers.WhisperAudioConverter(num_mels=80)
    model = backbone(presets["whisper"])
    inner = keras.Model(model.input["encoder_features"], model.output["encoder_sequence_output"])
    states = array(inner(ops.convert_to_tensor(converter(clip.resampled))[None]))[0]
    made = encoder("audio", "keras-hub", weights=presets["whisper"])
    assert made.sample_rate == 16_000
    np.testing.assert_allclose(made.vectors([clip])[0], states[:150].mean(axis=0), atol=1e-3)


def test_moonshine_reads_samples(presets: dict[str, str]) -> None:
    clip = noise(1.0)
    model = backbone(presets["moonshine"])
    given = {
        "encoder_input_values": clip.resampled[None, :, None],
        "encoder_padding_mask": np.ones((1, 16_000), bool),
        "decoder_token_ids": np.zeros((1, 1), np.int32),
        "decoder_padding_mask": np.ones((1, 1), bool),
    }
    states = array(model(given)["encoder_sequence_output"])[0]
    made = encoder("audio", "keras-hub", weights=presets["moonshine"], piece_s=1.0)
    np.testing.assert_allclose(made.vectors([clip])[0], states.mean(axis=0), atol=1e-4)


def test_a_checkpoint_of_bert_has_the_vectors_of_the_encoder_bert(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path)
    made = [encoder("text", name, weights=folder) for name in ("bert", "keras-hub")]
    texts = ["A frog. 青蛙", "frog " * 30]
    vectors = [one.encode([one.decode(text) for text in texts])["vector"].to_pylist() for one in made]
    assert vectors[0] == vectors[1] and made[0].fingerprint != made[1].fingerprint
    pooled = encoder("text", "keras-hub", weights=folder, pooling="none")
    (vector,) = pooled.encode([pooled.decode("a b")])["vector"].to_pylist()
    ids = [[tiny_bert.VOCABULARY.index(token) for token in ("[CLS]", "a", "b", "[SEP]")]]
    given = {"token_ids": np.array(ids), "padding_mask": np.ones((1, 4)), "segment_ids": np.zeros((1, 4))}
    expected = array(backbone(folder)(given)["pooled_output"])[0]
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=2e-5)


def test_a_checkpoint_in_hugging_face_s_layout_has_the_vectors_of_the_preset(
    presets: dict[str, str], tmp_path: Path
) -> None:
    """The same ViT, its tensors renamed and turned: a dense layer's matrix is [outputs, inputs] there."""
    _, embed, encode = backbone(presets["vit"]).layers
    kernel, bias = embed.patch_embedding.weights
    tensors = {
        "vit.embeddings.patch_embeddings.projection.weight": array(kernel).transpose(3, 2, 0, 1),
        "vit.embeddings.patch_embeddings.projection.bias": array(bias),
        "vit.embeddings.cls_token": array(embed.class_token),
        "vit.embeddings.position_embeddings": array(embed.position_embedding.embeddings)[None],
    }

    def put(name: str, layer: Any, columns: int | None = None) -> None:
        for kind, value in zip(("weight", "bias"), map(array, layer.weights), strict=True):
            flat = value.reshape(-1) if kind == "bias" or value.ndim == 1 else value.reshape(-1, columns).T
            tensors[f"vit.{name}.{kind}"] = np.ascontiguousarray(flat)

    put("layernorm", encode.layer_norm)
    for place, block in enumerate(encode.encoder_layers):
        at = f"encoder.layer.{place}"
        for part in ("query", "key", "value"):
            put(f"{at}.attention.attention.{part}", getattr(block.mha, f"{part}_dense"), tiny_keras_hub.WIDTH)
        put(f"{at}.attention.output.dense", block.mha.output_dense, tiny_keras_hub.WIDTH)
        put(f"{at}.layernorm_before", block.layer_norm_1)
        put(f"{at}.layernorm_after", block.layer_norm_2)
        put(f"{at}.intermediate.dense", block.mlp.dense_1, 16)
        put(f"{at}.output.dense", block.mlp.dense_2, tiny_keras_hub.WIDTH)
    config = {"model_type": "vit", "image_size": SIDE, "patch_size": 16, "num_hidden_layers": 2, "qkv_bias": True}
    config |= {"num_attention_heads": 2, "hidden_size": tiny_keras_hub.WIDTH, "intermediate_size": 16}
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    converted, preset = (encoder("image", "keras-hub", weights=str(path)) for path in (tmp_path, presets["vit"]))
    assert (converted.side, converted.dim) == (preset.side, preset.dim)
    np.testing.assert_allclose(converted.embed(PIXELS), preset.embed(PIXELS), atol=2e-5)


def test_a_folder_counts_by_what_changes_its_vectors(presets: dict[str, str]) -> None:
    before = encoder("image", "keras-hub", weights=presets["vit"]).fingerprint
    Path(presets["vit"], "metadata.json").write_text(json.dumps({"date_saved": "2026-11-01@00:00:00"}))
    assert encoder("image", "keras-hub", weights=presets["vit"]).fingerprint == before


def test_a_name_is_never_downloaded() -> None:
    for name in ("clip_vit_base_patch32", "hf://openai/clip-vit-base-patch32"):
        with pytest.raises(ValueError, match=r"is no folder; give the path of a folder .* nothing is downloaded"):
            encoder("image", "keras-hub", weights=name)


@pytest.mark.parametrize(
    ("modality", "kind", "parameters", "expected"),
    [
        ("image", "vit", {"pooling": "none"}, "makes no vector itself; give pooling: cls, mean or max"),
        ("image", "clip", {"size": 64}, "size is 64; the model in .* takes 32: leave size out"),
        ("image", "vit", {"pooling": "first"}, "pooling is 'first'; expected one of none, cls, mean, max"),
        ("image", "vit", {"precision": "float8"}, "precision is 'float8'"),
        ("audio", "vit", {}, r"is of 'keras_hub>ViTBackbone'; expected keras_hub>WhisperBackbone or keras_hub>Moon"),
        ("audio", "whisper", {"pooling": "none"}, "makes no vector itself; give pooling: mean, max or cls"),
        ("text", "clip", {}, "has neither tokenizer.json nor vocab.txt; give a tokenizer.json of HuggingFace's"),
    ],
)
def test_what_does_not_fit_is_refused(
    presets: dict[str, str], modality: str, kind: str, parameters: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        encoder(modality, "keras-hub", weights=presets[kind], **parameters)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "model.weights.h5").touch()
    for given, expected in (
        ({"model_type": "gpt2"}, r"is 'gpt2'; expected one of vit, deit, dinov2,"),
        ({"registered_name": "mine>Net", "config": {}}, r"is of 'mine>Net'; expected a backbone of keras_hub"),
    ):
        config.write_text(json.dumps(given))
        with pytest.raises(ValueError, match=expected):
            encoder("image", "keras-hub", weights=str(tmp_path))


def test_whisper_s_spectrum_is_that_of_keras_hub(tmp_path: Path) -> None:
    clip = noise(1.0)
    weights = tiny_onnx.spectrum(tmp_path / "model.onnx", bands=40, layout="NFT")
    parameters = {"input": "log-mel", "logarithm": "whisper", "piece_s": 1.0, "mels": 40, "pooling": "mean"}
    made = encoder("audio", "onnx", weights=weights, **parameters)
    theirs = keras_hub.layers.WhisperAudioConverter(num_mels=40, max_audio_length=1)(clip.resampled)
    np.testing.assert_allclose(made.vectors([clip])[0], np.asarray(theirs).mean(axis=0), atol=1e-4)
