"""Pictures as VGG16 sees them last before it names them."""

from features.image.pretrained import PretrainedEncoder


class VGG16(PretrainedEncoder):
    """VGG16 (Simonyan and Zisserman 2014, arXiv:1409.1556), second fully connected layer: 4096 wide, not negative.

    Its weights take 0.55 GB of memory in each process.
    """

    name = "vgg16"
    version = 1
    module, function, layer = "vgg16", "VGG16", "fc2"
    cached = ("vgg16_weights_tf_dim_ordering_tf_kernels.h5",)

    @property
    def dim(self) -> int:
        return 4096
