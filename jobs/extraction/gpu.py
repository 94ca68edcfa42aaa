"""Which GPU a Spark task works on."""

import os
import sys
from collections.abc import Mapping

from pyspark.resource import ResourceInformation

VISIBLE = "CUDA_VISIBLE_DEVICES"


def pin(resources: Mapping[str, ResourceInformation]) -> None:
    """Make this process see the GPU that Spark gave its task and no other, and take its memory only as it needs it.

    Without a GPU among the task's `resources` nothing is changed.

    Raises:
        RuntimeError: TensorFlow already works on another GPU in this process, which serves one task after the other.
    """
    given = resources.get("gpu")
    if given is None:
        return
    address = given.addresses[0]
    if "tensorflow" in sys.modules and os.environ.get(VISIBLE) != address:
        raise RuntimeError(
            f"this worker works on GPU {os.environ.get(VISIBLE)} and was given a task for GPU {address}; "
            "let every executor have one GPU (spark.executor.resource.gpu.amount 1)"
        )
    os.environ[VISIBLE] = address
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
