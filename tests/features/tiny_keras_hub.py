"""Backbones of keras-hub of a few numbers, with random weights, as presets in folders. Vectors are 8 wide."""

from pathlib import Path
from typing import Any

WIDTH, SIDE, TOKENS = 8, 32, 12
_INNER: dict[str, int] = {"num_layers": 2, "num_heads": 2, "hidden_dim": WIDTH, "intermediate_dim": 16}
_PICTURES: dict[str, Any] = {"patch_size": 16, "image_shape": (SIDE, SIDE, 3)}
KINDS = ("vit", "dinov2", "dinov3", "clip", "siglip", "whisper", "moonshine")
_WORDS: dict[str, int] = {"vocabulary_size": 80, "embedding_dim": WIDTH, "max_sequence_length": TOKENS}


def write(folder: Path, kind: str) -> str:
    """Saves the backbone called `kind` into `folder`, and gives the folder's path."""
    import keras

    keras.utils.set_random_seed(0)
    _backbone(kind).save_to_preset(str(folder))
    return str(folder)


def _backbone(kind: str) -> Any:
    from keras_hub import models

    match kind:
        case "vit":
            return models.ViTBackbone(**_PICTURES, num_layers=2, num_heads=2, hidden_dim=WIDTH, mlp_dim=16)
        case "dinov2":
            return models.DINOV2Backbone(**_INNER, **_PICTURES, position_embedding_shape=(SIDE, SIDE, 3))
        case "dinov3":  # whose positions need four numbers a head and axis
            return models.DINOV3Backbone(**{**_INNER, "hidden_dim": 16}, **_PICTURES)
        case "clip":
            towers = models.CLIPVisionEncoder(**_PICTURES, **_INNER), models.CLIPTextEncoder(**_WORDS, **_INNER)
            return models.CLIPBackbone(*towers, projection_dim=6)
        case "siglip":
            towers = models.SigLIPVisionEncoder(**_PICTURES, **_INNER), models.SigLIPTextEncoder(**_WORDS, **_INNER)
            return models.SigLIPBackbone(*towers)
        case "whisper":
            return models.WhisperBackbone(50, **_INNER, num_mels=80, max_decoder_sequence_length=8)
        case "moonshine":
            return models.MoonshineBackbone(50, WIDTH, 2, 2, WIDTH, 16, 2, 2)
    raise ValueError(kind)
