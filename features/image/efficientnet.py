"""Pictures as the pooled features of EfficientNet-Lite0."""

from typing import TYPE_CHECKING

from features.image import cnn
from features.image.network import NetworkEncoder

if TYPE_CHECKING:
    import keras


class EfficientNetLite0(NetworkEncoder):
    """EfficientNet-Lite0's globally average-pooled head, 1280 wide. Its weights come with an installed package.

    Squashing is the default: on drawings and posters neighbours agree more often on squashed pictures than on cropped
    ones.
    """

    name = "efficientnet-lite0"
    version = 2
    side = cnn.SIDE

    @property
    def dim(self) -> int:
        return cnn.DIM

    def weights_hash(self) -> str:
        return cnn.weights_hash()

    def network(self) -> "keras.Model":
        return cnn.network(self.precision)
