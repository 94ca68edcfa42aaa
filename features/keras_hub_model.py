"""A backbone of keras-hub out of a local folder as the network of an encoder.

The folder is read as JSON first, so that what is missing is said without importing Keras.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from features.keras_forward import check_options, precision_parameter
from features.pooling import check_pooling, check_width

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
_ADVICE = (
    "give the path of a folder that holds config.json and the weights: a preset of keras-hub (model.weights.h5), or a "
    "checkpoint in HuggingFace's layout (model.safetensors); nothing is downloaded"
)
# Families that keras-hub converts from HuggingFace's layout, and their encoders' medium.
FAMILIES = {
    "image": ("vit", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit", "swin"),
    "text": ("bert", "roberta", "xlm-roberta", "distilbert", "albert"),
    "audio": (),
}
_TOWER = {"image": "vision_encoder", "text": "text_encoder"}


class Built(NamedTuple):
    """A network, and of text the tokens of its window, where it has a limit."""

    network: "keras.Model"
    longest: int | None


class KerasHubModel:
    """A folder and what of it is used. Keras is imported where it is `built`, and not before.

    Args:
        weights: path of the folder.
        medium: image, text or audio.
        pooling: one of `features.pooling.Pooling`; `none` is the vector that the model itself makes: the projection of
            an image-text model, the pooled output of BERT.
        layer: name of the layer whose output is pooled, or of one of the model's `pyramid_outputs`; None for the last.
        dim: width of the vectors, for a model whose configuration does not tell it, or a `layer` of another width.
        precision: Keras' dtype policy. The mixed ones are for GPUs.

    Attributes:
        folder: the folder.
        settings: the backbone's configuration, as the folder has it.
        tower: the configuration of the medium's own encoder in an image-text model, else the whole.
        width: width of the vectors.

    Raises:
        ValueError: there is no such folder, it lacks a file, or holds a model that is not converted.
    """

    def __init__(
        self, weights: str, medium: str, *, pooling: str, layer: str | None, dim: int | None, precision: str
    ) -> None:
        check_pooling(pooling)
        check_width(dim)
        check_options(batch=1, precision=precision)
        self.folder = checked_folder(weights)
        self.medium = medium
        self.pooling = pooling
        self.layer = layer
        self.precision = precision
        self.config = _read(self.folder)
        self.settings = self._settings()
        inner = self.settings.get(_TOWER.get(medium, ""), {}).get("config")
        self.two_towers = inner is not None
        self.tower: dict[str, Any] = inner or self.settings
        self.width = self._width(dim)

    def parameters(self) -> dict[str, Any]:
        """Without the folder's path: its content is part of the weights' hash, so a copy has the same fingerprint."""
        return {"pooling": self.pooling, "layer": self.layer} | precision_parameter(self.precision)

    @property
    def files(self) -> Sequence[Path]:
        """The configurations, the weights, and of HuggingFace's layout the tokenizer's files."""
        if "registered_name" in self.config:  # metadata.json, which holds a date, changes no vector
            return [self.folder / CONFIG, *sorted(self.folder.glob("model*.*"))]
        suffixes = (".json", ".safetensors", ".txt")
        return sorted(path for path in self.folder.iterdir() if path.suffix in suffixes)

    def built(self, size: int | None = None) -> Built:
        """The network, built at the first call of a process.

        Args:
            size: side of the pictures, where it is not that of the configuration.

        Returns: the network: pictures float32 [n, size, size, 3], or token ids int32 and mask bool [n, tokens], or
            what Whisper (log-mel [n, frames, bands]) or Moonshine (samples [n, samples, 1], mask [n, samples]) takes →
            states [n, ..., width].
        """
        return _network(self.folder, self.medium, self.pooling == "none", self.layer, self.precision, size)

    def _settings(self) -> dict[str, Any]:
        """The backbone's settings.

        Raises:
            ValueError: it is none of keras-hub, or of a family that is not converted.
        """
        registered, family = self.config.get("registered_name"), self.config.get("model_type")
        if isinstance(registered, str):
            if not registered.startswith("keras_hub>"):
                raise ValueError(f"{self.folder / CONFIG} is of {registered!r}; expected a backbone of keras_hub")
            return self.config["config"]
        if family not in FAMILIES[self.medium]:
            known = ", ".join(FAMILIES[self.medium]) or f"none of {self.medium}"
            raise ValueError(
                f"the model_type in {self.folder / CONFIG} is {family!r}; expected one of {known}, or a preset of "
                "keras-hub"
            )
        return self.config

    def _width(self, dim: int | None) -> int:
        if dim is not None:
            return dim
        if self.two_towers and self.pooling == "none":
            found = self.settings.get("projection_dim") or self.tower.get("projection_dim") or self.tower["hidden_dim"]
        else:
            # DistilBERT's own word is `dim`.
            names = ("hidden_dim", "hidden_size", "dim")
            found = next((self.tower[name] for name in names if name in self.tower), None)
        if found is None:
            raise ValueError(f"{self.folder / CONFIG} does not tell the vectors' width; give it as dim")
        return found


def checked_folder(weights: str) -> Path:
    """The path of the folder `weights`, after checking that it holds a configuration and weights.

    Raises:
        ValueError: it doesn't exist, or lacks them.
    """
    if not isinstance(weights, str) or not Path(weights).is_dir():
        raise ValueError(f"weights is {weights!r}, which is no folder; {_ADVICE}")
    folder = Path(weights)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} has no {CONFIG}; {_ADVICE}")
    suffix = "model*.weights.h5" if "registered_name" in _read(folder) else "*.safetensors"
    if not any(folder.glob(suffix)):
        raise ValueError(f"{folder} has no {suffix}; {_ADVICE}")
    return folder


def _read(folder: Path) -> dict[str, Any]:
    """The configuration in a folder.

    Raises:
        ValueError: it is no JSON mapping.
    """
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{folder / CONFIG} holds no JSON mapping; {_ADVICE}")
    return found


@cache
def _network(folder: Path, medium: str, own: bool, layer: str | None, precision: str, size: int | None) -> Built:
    """The network of a medium, with its weights.

    Raises:
        ValueError: keras-hub misses a tensor, such as BERT's pooler, or RoBERTa's under names that begin "roberta.".
    """
    import keras
    import keras_hub
    from keras import ops
    from safetensors import SafetensorError

    shape = {} if size is None else {"image_shape": (size, size, 3)}
    try:
        backbone = keras_hub.models.Backbone.from_preset(str(folder), dtype=precision, **shape)
    except SafetensorError as error:
        raise ValueError(f"keras-hub cannot read the checkpoint in {folder}: {error}") from error
    inputs, states = {"image": _image, "text": _text, "audio": _audio}[medium](backbone, own, layer)
    longest = getattr(getattr(backbone, "text_encoder", backbone), "max_sequence_length", None)
    return Built(keras.Model(inputs, ops.cast(states, "float32")), longest)


def _image(backbone: Any, own: bool, layer: str | None) -> tuple[list[Any], Any]:
    import keras

    tower = getattr(backbone, "vision_encoder", None)
    if own and tower is not None:
        pictures = keras.Input(tower.image_shape)
        return [pictures], backbone.get_vision_embeddings(pictures)
    model = backbone if tower is None else tower
    return [model.inputs[0]], _states(model, layer, own)


def _text(backbone: Any, own: bool, layer: str | None) -> tuple[list[Any], Any]:
    import keras
    from keras import ops

    tower = getattr(backbone, "text_encoder", None)
    ids, present = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")
    if own and tower is not None:
        return [ids, present], backbone.get_text_embeddings(ids)
    model = backbone if tower is None else tower
    given = {"token_ids": ids, "padding_mask": ops.cast(present, "int32"), "segment_ids": ops.zeros_like(ids)}
    part = keras.Model(model.input, _states(model, layer, own))
    return [ids, present], part({name: given[name] for name in model.input})


def _audio(backbone: Any, own: bool, layer: str | None) -> tuple[list[Any], Any]:
    names = ("encoder_features", "encoder_input_values", "encoder_padding_mask")
    return [backbone.input[name] for name in names if name in backbone.input], _states(backbone, layer, own)


def _states(model: Any, layer: str | None, own: bool) -> Any:
    """The output of a layer, or the model's own: of several its vector if `own`, else its sequence.

    Raises:
        ValueError: there is no such layer.
    """
    pyramid = getattr(model, "pyramid_outputs", {})
    if layer in pyramid:
        return pyramid[layer]
    if layer is not None:
        names = [each.name for each in model.layers]
        if layer not in names:
            raise ValueError(f"layer is {layer!r}; expected one of {', '.join([*pyramid, *names])}")
        return model.get_layer(layer).output
    if not isinstance(model.output, dict):
        return model.output
    wanted = "pooled_output" if own else "sequence_output"
    return next(output for name, output in model.output.items() if name in (wanted, f"encoder_{wanted}"))
