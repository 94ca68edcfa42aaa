"""Audio encoder for any network that was exported to ONNX."""

from typing import Any

import numpy as np

from features.audio.prepared import PreparedSound
from features.onnx_model import FLOATS, OnnxModel
from features.pooling import Pooled

# Axes: N pieces, C one channel, T samples or frames, F bands.
LAYOUTS = {"waveform": ("NT", "NCT", "T"), "log-mel": ("NFT", "NTF", "NCFT", "NCTF")}


class OnnxAudio(PreparedSound):
    """An ONNX model of one input, a sound's samples or its log-mel spectrum.

    Args:
        weights: path of the model, the same on every machine. Its content counts for the fingerprint, not its path.
        output: name of the output that becomes the vector; needed where there are several.
        pooling: `none`, or for an output [n, moments, width] `cls`, `mean` or `max` (`features.pooling`).
        dim: width of the vector, where the model does not declare it.
        layout: order of the input's axes, the first that fits unless given: `NT`, `NCT` or `T` of a waveform, `NFT`,
            `NTF`, `NCFT` or `NCTF` of a log-mel spectrum; N pieces (none under `T`), C one channel, T samples or
            frames, F bands.
        prepared: `sample_rate`, `input`, `piece_s`, the parameters of the spectrum, and more, as in `PreparedSound`.

    Raises:
        ValueError: there is no such model, or it takes something else; or a parameter is out of its range.
    """

    name = "onnx"
    version = 1

    def __init__(
        self,
        *,
        weights: str,
        output: str | None = None,
        pooling: str = "none",
        dim: int | None = None,
        layout: str | None = None,
        **prepared: Any,
    ) -> None:
        super().__init__(**prepared)
        layouts = LAYOUTS[self.input]
        self.layout = layouts[0] if layout is None else layout
        if self.layout not in layouts:
            raise ValueError(f"layout is {layout!r}; expected one of {', '.join(layouts)} with input {self.input}")
        self.model = OnnxModel(weights, output=output, pooling=pooling, dim=dim, rows=self.layout != "T")
        self.takes = self.model.only_input()
        time = self.piece if self.input == "waveform" else self.frames
        sizes = {"N": None, "C": 1, "T": time, "F": self.mels}
        why = f"input {self.input}, layout {self.layout}, piece_s and the sample rate"
        self.model.check(self.takes, [sizes[axis] for axis in self.layout], FLOATS, why)
        if self.model.one_by_one([self.takes]):
            self.batch = 1

    @property
    def dim(self) -> int:
        return self.model.width

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"layout": self.layout} | self.model.parameters()

    def weights_hash(self) -> str:
        return self.model.weights_hash()

    def network(self) -> Pooled:
        return self.model.network([self.takes])

    def arrays(self, prepared: np.ndarray, filled: np.ndarray) -> list[np.ndarray]:
        axes = prepared.swapaxes(1, 2) if "TF" in self.layout else prepared
        return [np.ascontiguousarray(axes[:, None] if "C" in self.layout else axes)]
