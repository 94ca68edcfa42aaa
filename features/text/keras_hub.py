"""Text encoder for the backbones of keras-hub: the BERT family, the text towers of CLIP and SigLIP, and others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features.keras_hub_model import KerasHubModel
from features.pooling import Pooled
from features.text.tokenised import TokenisedEncoder
from features.text.windows import SentenceNetwork


class KerasHubText(TokenisedEncoder):
    """A backbone of keras-hub in a local folder; vectors of length 1.

    keras-hub uses the tanh approximation of GELU, so vectors differ from those of other engines in the third decimal.

    Args:
        weights: path of the folder, the same on every machine: a preset of keras-hub, or a checkpoint of BERT, RoBERTa,
            XLM-RoBERTa, DistilBERT or ALBERT in HuggingFace's layout. A preset's tokenizer is not read: put
            HuggingFace's `tokenizer.json` elsewhere and name it as `tokenizer`.
        pooling: `mean` or `max` of a window's tokens, or `cls`, the first token's vector; `none` for the vector that
            the model makes itself (`features.pooling`).
        layer, dim, precision: as in `KerasHubModel`.
        tokens: `tokenizer`, `prefix`, `max_tokens`, `padding`, `batch`, `space`, `max_characters`, as in
            `TokenisedEncoder`.

    Raises:
        ValueError: there is no such folder or model; or a parameter is out of its range.
    """

    name = "keras-hub"
    version = 1

    def __init__(
        self,
        *,
        weights: str,
        pooling: str = "mean",
        layer: str | None = None,
        dim: int | None = None,
        precision: str = "float32",
        **tokens: Any,
    ) -> None:
        self.model = KerasHubModel(weights, "text", pooling=pooling, layer=layer, dim=dim, precision=precision)
        super().__init__(folder=self.model.folder, **tokens)

    @property
    def dim(self) -> int:
        return self.model.width

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | self.model.parameters()

    def weight_files(self) -> Sequence[Path]:
        return [*self.model.files, *(path for path in super().weight_files() if path not in self.model.files)]

    def network(self, begin: tuple[int, ...], end: tuple[int, ...], padding: int) -> SentenceNetwork:
        network, longest = self.model.built()
        window = self.max_tokens or longest
        if window is None:
            folder = self.model.folder
            raise ValueError(f"the model in {folder} takes any number of tokens; give those of a window as max_tokens")
        pooled = Pooled(network, self.model.pooling, self.dim, str(self.model.folder))

        def inputs(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
            return [ids, mask, mask.mean(axis=1)]

        # SigLIP reads its vector off the last place of a full window.
        padded = self.model.two_towers and "SigLIP" in self.model.config["registered_name"]
        return SentenceNetwork(pooled, inputs, begin, end, padding, window, padded)
