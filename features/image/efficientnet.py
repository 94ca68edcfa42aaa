"""Pictures as the pooled features of an ImageNet network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.arrays import feature_batch
from features.base import Encoder
from features.image import cnn
from features.image.load import Picture, load_picture
from features.image.look import look


class EfficientNetLite0(Encoder):
    """EfficientNet-Lite0's globally average-pooled head, 1280 wide, of the first frame squashed to 224 x 224."""

    modality = "image"
    name = "efficientnet-lite0"
    version = 1

    @property
    def dim(self) -> int:
        return cnn.DIM

    def parameters(self) -> dict[str, Any]:
        return {"side": cnn.SIDE, "fit": "squash", "ground": "white, else black"}

    def weights_hash(self) -> str:
        return cnn.weights_hash()

    def decode(self, content: Path) -> Picture:
        """The picture in the file `content`; errors as in `load_picture`. Safe in threads."""
        return load_picture(content)

    def encode(self, decoded: Sequence[Picture]) -> pa.RecordBatch:
        """Features of pictures, in order; `columns` as explained in `features.image.look`."""
        pixels = np.array([picture.pixels for picture in decoded], np.uint8).reshape(-1, cnn.SIDE, cnn.SIDE, 3)
        rows = [{"width": p.width, "height": p.height, "animated": p.animated, **look(p.pixels)} for p in decoded]
        return feature_batch(self.schema(), cnn.embed(pixels), rows)
