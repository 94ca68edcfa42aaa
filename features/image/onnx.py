"""Image encoder for any network that was exported to ONNX."""

from typing import Any, Literal, get_args

import numpy as np

from features.image.prepared import PreparedEncoder
from features.onnx_model import FLOATS, OnnxModel
from features.pooling import Pooled

Layout = Literal["NCHW", "NHWC"]
Colours = Literal["RGB", "BGR"]


class OnnxImage(PreparedEncoder):
    """An ONNX model of one input, pictures: float32, float16, float64, or uint8, which takes the plain values.

    Args:
        weights: path of the model, the same on every machine. Its content counts for the fingerprint, not its path.
        output: name of the output that becomes the vector; needed where there are several.
        pooling: `none`, or for an output [n, tokens, width] `cls`, `mean` or `max` (`features.pooling`).
        dim: width of the vector, where the model does not declare it.
        layout: order of the input's axes: N pictures, C colours, H rows, W columns.
        colours: their order.
        prepared: `size`, `fit`, `mean`, `std`, `white`, `batch`, `space`, as in `PreparedEncoder`.

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
        layout: Layout = "NCHW",
        colours: Colours = "RGB",
        **prepared: Any,
    ) -> None:
        super().__init__(**prepared)
        for name, value, choices in (("layout", layout, Layout), ("colours", colours, Colours)):
            if value not in get_args(choices):
                raise ValueError(f"{name} is {value!r}; expected one of {', '.join(get_args(choices))}")
        self.layout = layout
        self.colours = colours
        self.model = OnnxModel(weights, output=output, pooling=pooling, dim=dim)
        self.input = self.model.only_input()
        shape = (None, 3, self.side, self.side) if layout == "NCHW" else (None, self.side, self.side, 3)
        self.model.check(self.input, shape, (*FLOATS, "uint8"), f"size {self.side} and layout {layout}")
        if self.model.one_by_one([self.input]):
            self.batch = 1
        if self.input.dtype == "uint8" and (self.mean, self.std, self.white) != ([0.0] * 3, [1.0] * 3, 1.0):
            raise ValueError(f"the model in {weights} takes {self.input}, plain values; leave mean, std and white out")

    @property
    def dim(self) -> int:
        return self.model.width

    def parameters(self) -> dict[str, Any]:
        own = {"layout": self.layout, "colours": self.colours}
        return super().parameters() | own | self.model.parameters()

    def weights_hash(self) -> str:
        return self.model.weights_hash()

    def network(self) -> Pooled:
        return self.model.network([self.input])

    def prepared(self, pixels: np.ndarray) -> np.ndarray:
        """float32, or uint8 where the model takes that, in the model's layout and order of colours."""
        values = pixels if self.input.dtype == "uint8" else super().prepared(pixels)
        values = values[..., ::-1] if self.colours == "BGR" else values
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if self.layout == "NCHW" else values)
