"""Restricting a process to the GPU of its Spark task."""

import os
import sys
from collections.abc import Mapping

from pyspark.resource import ResourceInformation

VISIBLE = "CUDA_VISIBLE_DEVICES"
_ENGINES = ("tensorflow", "onnxruntime")


def pin(resources: Mapping[str, ResourceInformation]) -> None:
    """Make the task's GPU the only one that this process sees, its memory allocated as it is needed.

    Without a GPU among the task's `resources` nothing is changed.

    Raises:
        RuntimeError: this process, which runs one task after the other, has an engine on another GPU already.
    """
    given = resources.get("gpu")
    if given is None:
        return
    address = given.addresses[0]
    if any(engine in sys.modules for engine in _ENGINES) and os.environ.get(VISIBLE) != address:
        raise RuntimeError(
            f"this worker works on GPU {os.environ.get(VISIBLE)} and was given a task for GPU {address}; "
            "let every executor have one GPU (spark.executor.resource.gpu.amount 1)"
        )
    os.environ[VISIBLE] = address
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
