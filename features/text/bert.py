"""Text encoder for any checkpoint of the BERT family in a local folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.keras_forward import precision_parameter
from features.keras_hub_model import CONFIG
from features.pooling import check_pooling
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.keras_hub import KerasHubText
from features.text.windows import BATCH

FAMILY = ("bert", "roberta", "xlm-roberta", "distilbert")


class Bert(KerasHubText):
    """A checkpoint of the BERT family (Devlin et al. 2019) in HuggingFace's layout; vectors of length 1.

    The encoder `keras-hub` under an older name and with fewer parameters, whose fingerprints stay as they are in lakes.
    The folder holds `config.json`, `model.safetensors` (or its parts and their index), and the tokenizer: either
    `tokenizer.json`, or `vocab.txt` with `tokenizer_config.json`.

    Args:
        weights: path of the folder.
        pooling: "mean" of a window's tokens, or "cls", the first token's vector.
        prefix: prepended to every text, for models that were trained with one.
        max_characters, batch, precision: as in `E5Small`, with the checkpoint's own window.

    Raises:
        ValueError: a parameter is out of its range, or the folder holds no such checkpoint.
    """

    name = "bert"
    version = 1

    def __init__(
        self,
        *,
        weights: str,
        pooling: str = "mean",
        prefix: str = "",
        max_characters: int = MAX_CHARACTERS,
        batch: int = BATCH,
        precision: str = "float32",
    ) -> None:
        check_pooling(pooling, ("mean", "cls"))
        super().__init__(
            weights=weights,
            pooling=pooling,
            prefix=prefix,
            max_characters=max_characters,
            batch=batch,
            precision=precision,
        )
        family = self.model.config.get("model_type")
        if family not in FAMILY:
            where = self.model.folder / CONFIG
            raise ValueError(f"the model_type in {where} is {family!r}; expected one of {', '.join(FAMILY)}")

    def parameters(self) -> dict[str, Any]:
        own = {"pooling": self.model.pooling, "prefix": self.prefix}
        return TextEncoder.parameters(self) | own | precision_parameter(self.model.precision)

    def weight_files(self) -> Sequence[Path]:
        """The configuration, the weights and the tokenizer's files."""
        return self.model.files
