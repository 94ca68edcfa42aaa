"""Image encoder for the backbones of keras-hub: ViT, DINOv2 and 3, the image towers of CLIP and SigLIP, and others."""

from typing import Any

from features.image.prepared import PreparedEncoder
from features.keras_hub_model import KerasHubModel
from features.pooling import Pooled
from features.weights import files_sha256


class KerasHubImage(PreparedEncoder):
    """A backbone of keras-hub in a local folder.

    Args:
        weights: path of the folder, the same on every machine: a preset of keras-hub, or a checkpoint of ViT, DeiT,
            DINOv2, DINOv3 or Swin in HuggingFace's layout.
        pooling: `cls`, `mean` or `max` over the patches' states or a map's places; `none` for the vector that an
            image-text model makes itself (`features.pooling`).
        layer, dim, precision: as in `KerasHubModel`.
        size: side of the pictures, in pixels; that of the configuration, unless given (DINOv2 and 3 take others).
        prepared: `fit`, `mean`, `std`, `white`, `batch`, `space`, as in `PreparedEncoder`.

    Raises:
        ValueError: there is no such folder or model; or a parameter is out of its range.
    """

    name = "keras-hub"
    version = 1

    def __init__(
        self,
        *,
        weights: str,
        pooling: str = "cls",
        layer: str | None = None,
        dim: int | None = None,
        precision: str = "float32",
        size: int | None = None,
        **prepared: Any,
    ) -> None:
        self.model = KerasHubModel(weights, "image", pooling=pooling, layer=layer, dim=dim, precision=precision)
        tower = self.model.tower
        configured = tower["image_shape"][0] if "image_shape" in tower else tower.get("image_size", 224)
        super().__init__(size=size or configured, **prepared)
        self.other_size = None if self.side == configured else self.side
        if self.model.two_towers and self.other_size:
            raise ValueError(f"size is {size}; the model in {weights} takes {configured}: leave size out")
        if pooling == "none" and not self.model.two_towers:
            raise ValueError(f"the model in {weights} makes no vector itself; give pooling: cls, mean or max")

    @property
    def dim(self) -> int:
        return self.model.width

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | self.model.parameters()

    def weights_hash(self) -> str:
        return files_sha256(self.model.files)

    def network(self) -> Pooled:
        network, _ = self.model.built(self.other_size)
        return Pooled(network, self.model.pooling, self.dim, str(self.model.folder))
