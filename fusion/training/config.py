"""How a model is trained by gradients: the settings that all trained models share, and the log of a fit."""

from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from pydantic.dataclasses import dataclass

Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainingConfig:
    """The settings of a training.

    Attributes:
        epochs: maximum number of epochs.
        untuned_epochs: number of epochs of a fit that has neither validation data nor an earlier fit's choice.
        patience: number of epochs without a better validation figure before stopping.
        batch_size: users a step.
        learning_rate: of the optimizer.
        item_dropout: share of known items whose history a step hides, so that they are scored by content alone
            (Volkovs et al. 2017, DropoutNet).
        modality_dropout: share of items whose modality a step hides, drawn for each modality separately.
        items_per_step: a step's candidates are the whole catalog up to this size; beyond it they are the batch's
            targets and this many items drawn uniformly.
        steps_per_epoch: minimum and maximum; an epoch between them visits every user once.
        optimizer: `adam` (Kingma and Ba 2015) or `sgd`, with Nesterov momentum.
        loss: see `fusion.training.losses`.
        precision: `auto`, or `float32` everywhere, see `fusion.training.fitting.dtype_policy`.
        devices: number of GPUs, or CPU devices where there is no GPU, over which a batch's users are divided; 0 for all
            GPUs.

    Raises:
        ValueError: a name is not known, or a number is out of its range.
    """

    epochs: NonNegativeInt = 30
    untuned_epochs: NonNegativeInt = 10
    patience: PositiveInt = 6
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 5e-4
    item_dropout: Share = 0.1
    modality_dropout: Share = 0.0
    items_per_step: PositiveInt = 8192
    steps_per_epoch: tuple[PositiveInt, PositiveInt] = (20, 200)
    optimizer: Literal["adam", "sgd"] = "adam"
    loss: Literal["softmax", "bpr"] = "softmax"
    precision: Literal["auto", "float32"] = "auto"
    devices: NonNegativeInt = 0

    @model_validator(mode="after")
    def _in_order(self) -> "TrainingConfig":
        least, most = self.steps_per_epoch
        if least > most:
            raise ValueError(f"steps_per_epoch {[least, most]}: expected the minimum, then the maximum")
        return self


@plain_dataclass(frozen=True)
class FitLog:
    """The log of a fit.

    Attributes:
        epochs: number of epochs that were run.
        best_epoch: the epoch whose weights were kept, counted from 1; 0 for the initial weights.
        seconds: wall-clock time.
        valid_ndcg: mean validation ndcg@10 after each epoch; empty without validation data.
        choices: other values chosen on validation data, by name.
        tasks: of a multi-task model, task → its final weight; a task without data is left out.
        weights: of a model that weighs modalities, modality → its weight, a mean over the items that have it.
    """

    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    valid_ndcg: list[float] = field(default_factory=list)
    choices: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
