"""Backbones of keras-hub of a few numbers, with random weights, as presets in folders. Vectors are 8 wide."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras_hub import models

WIDTH, SIDE, TOKENS = 8, 32, 12
_INNER: dict[str, int] = {"num_layers": 2, "num_heads": 2, "hidden_dim": WIDTH, "intermediate_dim": 16}
_PICTURES: dict[str, Any] = {"patch_size": 16, "image_shape": (SIDE, SIDE, 3)}
_WORDS: dict[str, int] = {"vocabulary_size": 80, "embedding_dim": WIDTH, "max_sequence_length": TOKENS}

MAKERS: dict[str, Callable[[], Any]] = {
    "vit": lambda: models.ViTBackbone(**_PICTURES, num_layers=2, num_heads=2, hidden_dim=WIDTH, mlp_dim=16),
    "dinov2": lambda: models.DINOV2Backbone(**_INNER, **_PICTURES, position_embedding_shape=(SIDE, SIDE, 3)),
    "dinov3": lambda: models.DINOV3Backbone(**{**_INNER, "hidden_dim": 16}, **_PICTURES),
    "clip": lambda: models.CLIPBackbone(
        models.CLIPVisionEncoder(**_PICTURES, **_INNER), models.CLIPTextEncoder(**_WORDS, **_INNER), projection_dim=6
    ),
    "siglip": lambda: models.SigLIPBackbone(
        models.SigLIPVisionEncoder(**_PICTURES, **_INNER), models.SigLIPTextEncoder(**_WORDS, **_INNER)
    ),
    "whisper": lambda: models.WhisperBackbone(50, **_INNER, num_mels=80, max_decoder_sequence_length=8),
    "moonshine": lambda: models.MoonshineBackbone(50, WIDTH, 2, 2, WIDTH, 16, 2, 2),
}


def write(folder: Path, kind: str) -> str:
    """Saves the backbone called `kind` into `folder`, and gives the folder's path."""
    keras.utils.set_random_seed(0)
    MAKERS[kind]().save_to_preset(str(folder))
    return str(folder)
