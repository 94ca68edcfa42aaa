"""Text encoder for any network that was exported to ONNX."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features.onnx_model import WHOLE, OnnxModel
from features.text.tokenised import TokenisedEncoder
from features.text.windows import SentenceNetwork

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"


class OnnxText(TokenisedEncoder):
    """An ONNX model of token ids: `input_ids` [n, tokens], and `attention_mask` and `token_type_ids` where it has them.

    A model of one input may call it otherwise. Where the number of tokens is fixed, windows are filled up to it.

    Args:
        weights: path of the model, the same on every machine; beside it `tokenizer.json`, unless `tokenizer` names
            another. Their content counts for the fingerprint, not their paths.
        output: name of the output that becomes the vector; needed where there are several.
        pooling: `none`, or for an output [n, tokens, width] `cls`, `mean` or `max` (`features.pooling`).
        dim: width of the vector, where the model does not declare it.
        padded: fill up every window, for models that were trained so (SigLIP).
        one_by_one: a call takes one window, for models whose numbers are rounded to 8 bits by the range of a call's
            values: a text's vector then does not depend on the texts beside it.
        tokens: `tokenizer`, `prefix`, `max_tokens`, `padding`, `batch`, `space`, `max_characters`, as in
            `TokenisedEncoder`; `max_tokens` is needed where the model fixes none.

    Raises:
        ValueError: there is no such model or tokenizer, or it takes something else; or a parameter is out of its range.
    """

    name = "onnx"
    version = 1

    def __init__(
        self,
        *,
        weights: str,
        output: str | None = None,
        pooling: str = "none",
        dim: int | None = None,
        padded: bool = False,
        one_by_one: bool = False,
        **tokens: Any,
    ) -> None:
        self.model = OnnxModel(weights, output=output, pooling=pooling, dim=dim)
        super().__init__(folder=self.model.path.parent, **tokens)
        inputs = self.model.declared.inputs
        if len(inputs) != 1 and not {IDS} <= {tensor.name for tensor in inputs} <= {IDS, MASK, TYPES}:
            raise self.model.mismatch(f"{IDS}, and beside it at most {MASK} and {TYPES}")
        self.inputs = sorted(inputs, key=lambda tensor: tensor.name != IDS)
        fixed = self.inputs[0].shape[1:2] if self.inputs[0].shape else ()
        self.padded = padded or any(isinstance(size, int) for size in fixed)
        self.one_by_one = one_by_one
        longest = self.max_tokens or next((size for size in fixed if isinstance(size, int)), None)
        if longest is None:
            raise ValueError(f"the model in {weights} takes any number of tokens; give those of a window as max_tokens")
        self.longest = longest
        for tensor in self.inputs:
            self.model.check(tensor, (None, longest), WHOLE, f"max_tokens {self.max_tokens}")

    @property
    def dim(self) -> int:
        return self.model.width

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | self.model.parameters() | {"padded": self.padded, "one_by_one": self.one_by_one}

    def weight_files(self) -> Sequence[Path]:
        return [*self.model.declared.files, *super().weight_files()]

    def network(self, begin: tuple[int, ...], end: tuple[int, ...], padding: int) -> SentenceNetwork:
        def inputs(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
            given = {MASK: mask, TYPES: np.zeros_like(ids)}
            return [*(given.get(tensor.name, ids) for tensor in self.inputs), mask.mean(axis=1)]

        return SentenceNetwork(
            self.model.network(self.inputs),
            inputs,
            begin,
            end,
            padding,
            self.longest,
            self.padded,
            self.one_by_one and not self.padded,
        )
