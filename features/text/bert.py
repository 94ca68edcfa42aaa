"""Text encoder for any checkpoint of the BERT family in a local folder."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.keras_forward import check_options, precision_parameter
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.nlp.analysis import Analysis
from features.text.windows import BATCH, SentenceNetwork

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FAMILY = ("bert", "roberta", "xlm-roberta", "distilbert")
_POOLINGS = ("mean", "cls")
_CONFIG = "config.json"


class Bert(TextEncoder):
    """A checkpoint of the BERT family (Devlin et al. 2019) in HuggingFace's layout; vectors of length 1.

    The folder holds `config.json`, `model.safetensors` (or its parts and their index), and the tokenizer: either
    `tokenizer.json`, or `vocab.txt` with `tokenizer_config.json`. keras-hub builds the network; it uses the tanh
    approximation of GELU, so vectors differ from those of other engines in the third decimal.

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
        super().__init__(max_characters=max_characters)
        check_options(batch=batch, precision=precision)
        if pooling not in _POOLINGS:
            raise ValueError(f"pooling is {pooling!r}; expected one of {', '.join(_POOLINGS)}")
        self.folder = checked_folder(weights)
        self.pooling = pooling
        self.prefix = prefix
        self.batch = batch
        self.precision = precision

    @property
    def dim(self) -> int:
        config = _config(self.folder)
        return config["dim"] if config["model_type"] == "distilbert" else config["hidden_size"]

    def parameters(self) -> dict[str, Any]:
        """Without the folder's path: its content is part of the weights' hash, so a copy has the same fingerprint."""
        own = {"pooling": self.pooling, "prefix": self.prefix}
        return super().parameters() | own | precision_parameter(self.precision)

    def weight_files(self) -> Sequence[Path]:
        """The configuration, the weights and the tokenizer's files."""
        return sorted(path for path in self.folder.iterdir() if path.suffix in (".json", ".safetensors", ".txt"))

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, dim], rows of length 1."""
        tokenizer = _tokenizer(self.folder)
        ids = [tokenizer.encode(self.prefix + text.text, add_special_tokens=False).ids for text in texts]
        return _network(self.folder, self.pooling, self.precision).vectors(ids, batch=self.batch)


def checked_folder(weights: str) -> Path:
    """The path of the folder `weights`, after checking that it holds a checkpoint.

    Raises:
        ValueError: it doesn't exist, lacks a file, or holds a model of another family.
    """
    folder = Path(weights)
    advice = (
        "give the folder of a checkpoint of the BERT family in HuggingFace's layout: config.json, model.safetensors, "
        "and tokenizer.json or vocab.txt"
    )
    if not folder.is_dir():
        raise ValueError(f"weights is {weights!r}, which is no folder; {advice}")
    if not (folder / _CONFIG).is_file() or not any(folder.glob("*.safetensors")):
        raise ValueError(f"{folder} has no {_CONFIG} or no .safetensors file; {advice}")
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.txt").is_file():
        raise ValueError(f"{folder} has neither tokenizer.json nor vocab.txt; {advice}")
    family = _config(folder).get("model_type")
    if family not in FAMILY:
        raise ValueError(f"the model_type in {folder / _CONFIG} is {family!r}; expected one of {', '.join(FAMILY)}")
    return folder


def _config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / _CONFIG).read_text(encoding="utf-8"))


@cache
def _tokenizer(folder: Path) -> "Tokenizer":
    """The folder's tokenizer, without truncation and padding."""
    from tokenizers import BertWordPieceTokenizer, Tokenizer

    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=config.get("do_lower_case", True))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def _network(folder: Path, pooling: str, precision: str) -> SentenceNetwork:
    """The network with its weights, built at the first call of a process.

    Raises:
        ValueError: keras-hub misses a tensor, such as BERT's pooler, or RoBERTa's under names that begin "roberta.".
    """
    import keras
    import keras_hub
    from keras import layers, ops
    from safetensors import SafetensorError

    try:
        backbone = keras_hub.models.Backbone.from_preset(str(folder), dtype=precision)
    except SafetensorError as error:
        raise ValueError(f"keras-hub cannot read the checkpoint in {folder}: {error}") from error
    ids = keras.Input((None,), dtype="int32")
    present = keras.Input((None,), dtype="bool")
    given = {"token_ids": ids, "padding_mask": ops.cast(present, "int32"), "segment_ids": ops.zeros_like(ids)}
    out = backbone({name: given[name] for name in backbone.input})
    tokens = out["sequence_output"] if isinstance(out, dict) else out
    average = layers.GlobalAveragePooling1D(dtype="float32")
    pooled = average(tokens, mask=present) if pooling == "mean" else ops.cast(tokens[:, 0], "float32")
    begin, end, padding = _special_tokens(folder)
    network = keras.Model([ids, present], pooled)
    return SentenceNetwork(network, lambda i, mask: [i, mask], begin, end, padding, backbone.max_sequence_length)


def _special_tokens(folder: Path) -> tuple[int, int, int]:
    """The ids of the tokens that begin, end and pad a text.

    Raises:
        ValueError: the tokenizer has them neither under BERT's names nor under RoBERTa's.
    """
    tokenizer = _tokenizer(folder)
    for names in (("[CLS]", "[SEP]", "[PAD]"), ("<s>", "</s>", "<pad>")):
        begin, end, padding = (tokenizer.token_to_id(name) for name in names)
        if begin is not None and end is not None and padding is not None:
            return begin, end, padding
    raise ValueError(f"the tokenizer in {folder} has neither [CLS], [SEP] and [PAD] nor <s>, </s> and <pad>")
