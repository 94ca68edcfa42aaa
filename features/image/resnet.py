"""Pictures as the pooled features of ResNet50."""

from features.image.pretrained import PretrainedEncoder


class ResNet50(PretrainedEncoder):
    """ResNet50 (He et al. 2015, arXiv:1512.03385), globally average-pooled: 2048 wide, not negative."""

    name = "resnet50"
    version = 1
    module, function, layer = "resnet50", "ResNet50", "avg_pool"
    cached = (
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    )

    @property
    def dim(self) -> int:
        return 2048
