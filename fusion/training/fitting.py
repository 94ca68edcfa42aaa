"""How a Keras model is fitted: precision, devices, and the callbacks of a fit."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from fusion.training.config import TrainingConfig

MOMENTUM = 0.9
log = logging.getLogger("nightweave.fitting")


def prepare(config: TrainingConfig, *, seed: int) -> AbstractContextManager[Any]:
    """As `deterministic`; returns the context to make and compile a model in, that of a `tf.distribute` strategy where
    there are several devices.

    Raises:
        ValueError: there are fewer devices than the config asks for.
    """
    deterministic(seed)
    strategy = mirrored_strategy(min(config.devices, config.batch_size))
    return strategy.scope() if strategy else nullcontext()


def deterministic(seed: int) -> None:
    """Seeds everything random, and makes operations deterministic; products are computed in full single precision on
    GPUs too, where TensorFloat-32 would round their factors to 10 bits."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)


def dtype_policy(config: TrainingConfig) -> str:
    """`mixed_bfloat16` (Kalamkar et al. 2019; its range needs no loss scaling) where there is a GPU and the precision
    is `auto`, else `float32`. Weights and losses are float32 either way."""
    return "mixed_bfloat16" if config.precision == "auto" and tf.config.list_physical_devices("GPU") else "float32"


def optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    if config.optimizer == "adam":
        return keras.optimizers.Adam(config.learning_rate)
    return keras.optimizers.SGD(config.learning_rate, momentum=MOMENTUM, nesterov=True)


def mirrored_strategy(devices: int) -> Any:
    """A `tf.distribute.MirroredStrategy` over so many GPUs, or CPU devices where there is no GPU; over all GPUs if 0.
    None where that is one device.

    Raises:
        ValueError: there are fewer devices.
    """
    gpus = tf.config.list_logical_devices("GPU")
    available = gpus or tf.config.list_logical_devices("CPU")
    wanted = devices or max(1, len(gpus))
    if wanted > len(available):
        raise ValueError(f"devices {devices}: there are {len(available)}; expected so many at most, or 0 for all GPUs")
    if wanted == 1:
        return None
    names = [device.name for device in available[:wanted]]
    reduction = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)


class BestEpoch(keras.callbacks.EarlyStopping):
    """Stops when validation no longer improves, and sets the weights of the best epoch, the initial ones among them.

    Args:
        ndcg: the validation figure of the model as it is.
        patience: epochs without a better figure before stopping.

    Attributes:
        figures: the figure after each epoch.
    """

    def __init__(self, ndcg: Callable[[], float], *, patience: int) -> None:
        super().__init__(monitor="val_ndcg", mode="max", patience=patience, restore_best_weights=True)
        self.ndcg = ndcg
        self.figures: list[float] = []

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.best, self.best_weights = self.ndcg(), self.model.get_weights()
        self.best_epoch = getattr(self.model, "_initial_epoch", None) or 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.figures.append(self.ndcg())
        logs["val_ndcg"] = self.figures[-1]
        before = self.best
        super().on_epoch_end(epoch, logs)
        if self.best != before:
            self.best_epoch = epoch + 1


class Backup(keras.callbacks.BackupAndRestore):
    """A backup after every epoch, from which a killed fit goes on; where it was killed while it wrote, from the one
    before, or from the beginning."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), double_checkpoint=True)

    def on_train_begin(self, logs: Any = None) -> None:
        try:
            super().on_train_begin(logs)
        except OSError as error:
            log.warning("%s: the backup cannot be read, and the fit starts anew: %s", self.backup_dir, error)


def callbacks(backup: Path | None, stop: BestEpoch | None, *, progress: bool) -> list[keras.callbacks.Callback]:
    """A backup, early stopping, which begins with what is restored, and a progress bar on standard error."""
    found: list[keras.callbacks.Callback] = []
    if backup:
        backup.mkdir(parents=True, exist_ok=True)
        found.append(Backup(backup))
    if stop:
        found.append(stop)
    return [*found, TqdmCallback(verbose=0, desc="train")] if progress else found


def identity(*settings: object, arrays: Mapping[str, NDArray[Any]]) -> str:
    """64 hexadecimal digits that differ for fits that differ in a setting (by its `repr`) or in an array."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
