"""The encoders by modality and name. A new encoder is one file, and one line here."""

from importlib import import_module
from typing import Any

from features.base import Encoder

ENCODERS = {
    ("text", "e5-small"): "features.text.e5:E5Small",
    ("image", "efficientnet-lite0"): "features.image.efficientnet:EfficientNetLite0",
    ("audio", "mel-mfcc"): "features.audio.mel:MelMfcc",
    ("video", "frame-sequence"): "features.video.frames:FrameSequence",
}


def encoder(modality: str, name: str, **parameters: Any) -> Encoder:
    """The encoder registered as `name` for `modality`, made with `parameters`.

    Raises:
        ValueError: nothing is registered under that name.
    """
    try:
        module, _, cls = ENCODERS[modality, name].partition(":")
    except KeyError:
        known = sorted(n for m, n in ENCODERS if m == modality)
        raise ValueError(f"no {modality} encoder is called {name!r}; there are: {', '.join(known)}") from None
    return getattr(import_module(module), cls)(**parameters)
