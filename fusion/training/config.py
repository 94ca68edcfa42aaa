"""How weights are learnt by gradients: the settings that all trained strategies share, by the same names."""

from dataclasses import dataclass

from fusion.data.arguments import above_0, at_least, one_of, shares
from fusion.training.losses import LOSSES

OPTIMIZERS = ("adam", "sgd")
PRECISIONS = ("auto", "float32")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: the most there may be.
        untuned_epochs: how many there are when a fit is given neither validation data nor what it once chose.
        patience: epochs without a better validation figure before stopping.
        item_dropout: share of known items that a step shows by content alone (Volkovs et al. 2017, DropoutNet).
        modality_dropout: share of items whose modality a step hides, drawn for each modality alone.
        items_per_step: the softmax runs over the whole catalog up to this size, beyond it over the batch's targets and
            so many items drawn uniformly.
        steps_per_epoch: the least and the most there may be; an epoch between them visits every user once.
        optimizer: `adam` (Kingma and Ba 2015) or `sgd`, with Nesterov momentum.
        loss: `softmax` or `bpr`, see `fusion.training.losses`.
        precision: `auto`, or `float32` everywhere, see `fusion.training.trainer.compute_dtype`.
        devices: over how many GPUs, or CPU devices where there is no GPU, a batch's users are spread; 0 for all GPUs.

    Raises:
        ValueError: a name is not known, or a number out of its range.
    """

    epochs: int = 30
    untuned_epochs: int = 10
    patience: int = 6
    batch_size: int = 128
    learning_rate: float = 5e-4
    item_dropout: float = 0.1
    modality_dropout: float = 0.0
    items_per_step: int = 8192
    steps_per_epoch: tuple[int, int] = (20, 200)
    optimizer: str = "adam"
    loss: str = "softmax"
    precision: str = "auto"
    devices: int = 0

    def __post_init__(self) -> None:
        at_least(0, epochs=self.epochs, untuned_epochs=self.untuned_epochs, devices=self.devices)
        at_least(1, patience=self.patience, batch_size=self.batch_size, items_per_step=self.items_per_step)
        above_0(learning_rate=self.learning_rate)
        shares(item_dropout=self.item_dropout, modality_dropout=self.modality_dropout)
        one_of(OPTIMIZERS, optimizer=self.optimizer)
        one_of(LOSSES, loss=self.loss)
        one_of(PRECISIONS, precision=self.precision)
        steps = list(self.steps_per_epoch)
        if len(steps) != 2 or not 1 <= steps[0] <= steps[1]:
            raise ValueError(f"steps_per_epoch {steps}: expected the least and the most, each 1 or more")
        object.__setattr__(self, "steps_per_epoch", tuple(steps))
