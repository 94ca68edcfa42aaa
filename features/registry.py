"""The encoders by modality and name. A new encoder is one file, and one line here."""

from collections.abc import Mapping, Sequence
from typing import Any

from features.base import Encoder
from schemas.classes import check_parameters, class_at
from schemas.config import EncoderChoice
from schemas.errors import did_you_mean
from schemas.features import GIVEN, VectorBlock
from schemas.table import MEDIA, Medium

ENCODERS: dict[tuple[str, str], str] = {
    ("text", "e5-small"): "features.text.e5:E5Small",
    ("text", "minilm-l6"): "features.text.minilm:MiniLM",
    ("text", "word-vectors"): "features.text.word_vectors:WordVectors",
    ("text", "bag-of-words"): "features.text.bag:BagOfWords",
    ("text", "bert"): "features.text.bert:Bert",
    ("text", "keras-hub"): "features.text.keras_hub:KerasHubText",
    ("text", "onnx"): "features.text.onnx:OnnxText",
    ("image", "efficientnet-lite0"): "features.image.efficientnet:EfficientNetLite0",
    ("image", "resnet50"): "features.image.pretrained:ResNet50",
    ("image", "vgg16"): "features.image.pretrained:VGG16",
    ("image", "hog"): "features.image.handcrafted:Hog",
    ("image", "keras-hub"): "features.image.keras_hub:KerasHubImage",
    ("image", "onnx"): "features.image.onnx:OnnxImage",
    ("audio", "mel-mfcc"): "features.audio.mel:MelMfcc",
    ("audio", "mfcc"): "features.audio.mfcc:Mfcc",
    ("audio", "keras-hub"): "features.audio.keras_hub:KerasHubAudio",
    ("audio", "onnx"): "features.audio.onnx:OnnxAudio",
    ("video", "frame-sequence"): "features.video.frames:FrameSequence",
    ("video", "frame-mean"): "features.video.frame_mean:FrameMean",
    ("video", "frame-rnn"): "features.video.recurrent:FrameRnn",
    **{(modality, GIVEN): f"features.given:Given{modality.capitalize()}" for modality in MEDIA},
}


def locate(modality: str, name: str) -> str:
    """Where the class of an encoder is, as `module:Class`: that registered as `name`, or `name` itself in that form.

    Raises:
        ValueError: nothing is registered under that name.
    """
    if ":" in name:
        return name
    try:
        return ENCODERS[modality, name]
    except KeyError:
        known = sorted(n for m, n in ENCODERS if m == modality)
        raise ValueError(
            f"no {modality} encoder is called {name!r}; {did_you_mean(name, known)}there are: {', '.join(known)}; "
            "one of your own is named as module:Class"
        ) from None


def encoder(modality: str, name: str, /, **parameters: Any) -> Encoder:
    """The encoder called `name` for `modality`, made with `parameters`.

    Raises:
        ValueError: nothing is registered under that name, or it does not take a parameter or its value.
    """
    cls = class_at(locate(modality, name))
    check_parameters(name, cls, parameters)
    made: Encoder = cls(**parameters)
    return made


def vector_blocks(choices: Mapping[Medium, Sequence[EncoderChoice]]) -> dict[str, tuple[VectorBlock, ...]]:
    """Modality → the blocks of its vectors under the encoders that a configuration chooses; errors as in `locate`."""
    found: dict[str, tuple[VectorBlock, ...]] = {}
    for modality, several in choices.items():
        encoders = [encoder(modality, choice.name, **choice.parameters) for choice in several]
        blocks = [VectorBlock(made.fingerprint, made.dim) for made in encoders]
        beside: dict[str, VectorBlock] = {}
        for made in encoders:  # of those that have the same column, such as a film's sound, the first
            for column, width in made.other_vectors().items():
                beside.setdefault(column, VectorBlock(f"{made.fingerprint}:{column}", width))
        found[modality] = (*blocks, *beside.values())
    return found
