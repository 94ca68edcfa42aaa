"""Audio encoder for the speech models of keras-hub: the encoders of Whisper and Moonshine."""

from typing import Any

import numpy as np

from features.audio.prepared import PreparedSound
from features.keras_hub_model import CONFIG, KerasHubModel
from features.pooling import Pooled
from features.weights import files_sha256

WHISPER, MOONSHINE = "keras_hub>WhisperBackbone", "keras_hub>MoonshineBackbone"
_WHISPER_S = 30.0


class KerasHubAudio(PreparedSound):
    """The encoder of a Whisper or Moonshine in a local folder, a preset of keras-hub.

    Args:
        weights: path of the folder, the same on every machine.
        pooling: `mean` or `max` over the moments that are sound, or `cls`, the first moment's vector.
        layer, dim, precision: as in `KerasHubModel`.
        batch, space: as in `PreparedSound`.
        piece_s: seconds of sound a call of the network; Whisper takes 30, which is the default.
        reading: as in `PreparedSound`. The sample rate, 16,000 Hz, and the spectrum are the models' own.

    Raises:
        ValueError: there is no such folder or model; or a parameter is out of its range.
    """

    name = "keras-hub"
    version = 1

    def __init__(
        self,
        *,
        weights: str,
        pooling: str = "mean",
        layer: str | None = None,
        dim: int | None = None,
        precision: str = "float32",
        piece_s: float = _WHISPER_S,
        batch: int = 4,
        space: str = "",
        **reading: Any,
    ) -> None:
        self.model = KerasHubModel(weights, "audio", pooling=pooling, layer=layer, dim=dim, precision=precision)
        kind = self.model.config["registered_name"]
        if kind not in (WHISPER, MOONSHINE):
            where = self.model.folder / CONFIG
            raise ValueError(f"{where} is of {kind!r}; expected {WHISPER} or {MOONSHINE}")
        if pooling == "none":
            raise ValueError(f"the model in {weights} makes no vector itself; give pooling: mean, max or cls")
        self.whisper = kind == WHISPER
        spectrum: dict[str, Any] = {}
        if self.whisper:
            spectrum = {"input": "log-mel", "mels": self.model.settings["num_mels"], "logarithm": "whisper"}
        super().__init__(piece_s=piece_s, batch=batch, space=space, **spectrum, **reading)

    @property
    def dim(self) -> int:
        return self.model.width

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | self.model.parameters()

    def weights_hash(self) -> str:
        return files_sha256(self.model.files)

    def network(self) -> Pooled:
        network, _ = self.model.built()
        return Pooled(network, self.model.pooling, self.dim, str(self.model.folder))

    def arrays(self, prepared: np.ndarray, filled: np.ndarray) -> list[np.ndarray]:
        """Whisper's frames [n, frames, bands]; or Moonshine's samples [n, samples, 1] and their mask [n, samples]."""
        if self.whisper:
            return [np.ascontiguousarray(prepared.swapaxes(1, 2))]
        return [prepared[..., None], np.arange(self.piece) < np.rint(filled * self.piece)[:, None]]
