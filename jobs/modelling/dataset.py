"""The data of a night's models, read from the lake as of that night: catalog, history, reviews."""

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from features.registry import vector_blocks
from fusion.data.attributes import attribute_rows
from fusion.data.catalog import Catalog, History, Sequences, rows_at
from fusion.data.reviews import Reviews
from fusion.models import registry
from jobs.modelling.sequences import COLUMNS, sequences
from jobs.runtime.night import Night
from lake import asof
from lake.lake import Lake
from schemas.features import FEATURES, TERM_SPACE, VectorBlock, is_given
from schemas.table import ATTRIBUTES, MEDIA, Medium

log = logging.getLogger("nightweave.dataset")


@dataclass(frozen=True)
class Dataset:
    """The data that a night's models are trained and evaluated on.

    Attributes:
        catalog: the items that are not deleted, with the mean vector of their contents of each modality, of several
            encoders side by side, and their attributes; the mask is False where none of an item's contents was encoded,
            or it has no attribute.
        history: one row a (user, item) pair.
        reviews: the vectors of what users wrote.
        encoders: medium → the blocks of its vectors, which name their encoders.
        fingerprint: SHA-256 of items, history and reviews, hex. It does not depend on the encoders, but that the
            vectors of encoders that are given them stand in the place of the contents that others read.
    """

    catalog: Catalog
    history: History
    reviews: Reviews
    encoders: Mapping[str, tuple[VectorBlock, ...]]
    fingerprint: str


def load(night: Night, *encoders: Mapping[str, tuple[VectorBlock, ...]]) -> tuple[Dataset, ...]:
    """Return the night's data once for each set of encoders, with vectors of those encoders.

    A model must be given vectors of the encoders that it was made with. The catalog has sequences if a strategy that
    may be chosen reads them.

    Args:
        encoders: sets of medium → blocks; the one of the configuration unless any is given. Equal sets share one value.
    """
    items = asof.items(night.lake, night.date)
    ids = np.asarray(items["item_id"].to_pylist(), dtype=np.str_)
    events = night.config.events
    rows = asof.history(night.lake, night.date, weights=events.weights, rating_threshold=events.rating_threshold)
    history = _history(rows, ids)
    log.info("as of %s: %d items, %d users, %d likes", night.ds, len(ids), len(history.user_ids), len(history.likes()))
    written = asof.reviews(night.lake, night.date)
    sequenced = any(registry.strategy(c.strategy).sequences for c in night.config.fusion.considered)
    datasets: list[Dataset] = []
    for each in encoders or (vector_blocks(night.config.extract.encoders),):
        dataset = next((known for known in datasets if known.encoders == each), None)
        if dataset is None:
            blocks = {m: [Block.read(night, items, m, block) for block in each[m]] for m in MEDIA}
            _warn_of_empty_stores(blocks)
            catalog = _catalog(night.lake, items, ids, blocks, sequenced=sequenced)
            reviews = _reviews(written, ids, history.user_ids, [block.features for block in blocks["text"]])
            owned = {m: [block.owned for block in blocks[m]] for m in MEDIA}
            dataset = Dataset(catalog, history, reviews, each, _fingerprint(items, owned, rows, written))
        datasets.append(dataset)
    return tuple(datasets)


@dataclass(frozen=True)
class Features:
    """The rows of one modality's feature store that have one block of its vectors.

    They ascend by key, since in the order of the store's files, means would differ in their last bits with the order in
    which nights ran.

    Attributes:
        encoder: fingerprint.
        keys: str [c], content keys.
        vectors: float32 [c, d]; where there are none, d is the block's width, or 1 where that was not recorded.
        terms: [c], the columns `term_ids` and `term_counts`; none of other modalities than text.
    """

    encoder: str
    keys: pa.ChunkedArray
    vectors: NDArray[np.float32]
    terms: pa.Table

    @classmethod
    def read(cls, lake: Lake, modality: Medium, block: VectorBlock) -> "Features":
        terms = ["term_ids", "term_counts"] if modality == "text" else []
        where = pc.field("encoder") == block.encoder
        rows = lake.read(FEATURES[modality], where=where, columns=["content_key", block.column, *terms])
        rows = rows.filter(pc.is_valid(rows[block.column])).sort_by("content_key")
        flat = rows[block.column].combine_chunks().flatten().to_numpy()
        vectors = flat.reshape(len(rows), -1) if len(rows) else np.zeros((0, block.width or 1), np.float32)
        return cls(block.encoder, rows["content_key"], vectors, rows.select(terms))

    def at(self, keys: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The vectors of some contents, float32 [n, d], zeros where there are none, and where there are, bool [n]."""
        place = pc.fill_null(pc.index_in(keys, value_set=self.keys), -1).to_numpy(zero_copy_only=False)
        return rows_at(self.vectors, place.astype(np.int64)), place >= 0


@dataclass(frozen=True)
class Owned:
    """The contents of items under one encoder.

    Attributes:
        given: they are vectors that arrived, which have no sequences.
        owner: int [p], ascending places of items.
        key: [p], one content key of each, which may be null.
    """

    given: bool
    owner: NDArray[np.integer]
    key: pa.Array

    @classmethod
    def read(cls, night: Night, items: pa.Table, modality: Medium, encoder: str) -> "Owned":
        if is_given(encoder):
            pairs = asof.given_vectors(night.lake, night.date, modality)
            places = pc.index_in(pairs["item_id"], value_set=items["item_id"])
            known = pa.table({"owner": places, "key": pairs["content_key"]}).drop_null()
            return cls(True, known["owner"].to_numpy(), known["key"].combine_chunks())
        if modality == "text":
            return cls(False, np.arange(len(items)), items["text_key"].combine_chunks())
        keys = items[f"{modality}_keys"].combine_chunks()
        return cls(False, pc.list_parent_indices(keys).to_numpy(), pc.list_flatten(keys))


@dataclass(frozen=True)
class Block:
    """One block of a modality's vectors, and the contents of items that it is of.

    Attributes:
        optional: a content may lack it though its encoder has read it, as a silent film lacks sound.
    """

    optional: bool
    features: Features
    owned: Owned

    @classmethod
    def read(cls, night: Night, items: pa.Table, modality: Medium, block: VectorBlock) -> "Block":
        optional = block.column != "vector"
        features = Features.read(night.lake, modality, block)
        return cls(optional, features, Owned.read(night, items, modality, block.encoder))


def _warn_of_empty_stores(blocks: Mapping[Medium, Sequence[Block]]) -> None:
    """Warn of every modality whose contents have no vector at all of one of its encoders: that never ran."""
    for modality, several in blocks.items():
        for features, owned in ((block.features, block.owned) for block in several if not block.optional):
            contents = len(owned.key) - owned.key.null_count
            if contents and not len(features.keys):
                log.warning(
                    "%s: of %d contents none has a vector of the encoder %s, so that models go without them; run "
                    "extract under this configuration, or name the encoder that ran",
                    modality,
                    contents,
                    features.encoder,
                )


def _catalog(
    lake: Lake,
    items: pa.Table,
    ids: NDArray[np.str_],
    blocks: Mapping[Medium, Sequence[Block]],
    *,
    sequenced: bool,
) -> Catalog:
    vectors: dict[str, Any] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    found: dict[str, Sequences] = {}
    for modality, several in blocks.items():
        means = [_means(block.features, block.owned.owner, block.owned.key, n_items=len(items)) for block in several]
        vectors[modality] = np.hstack([vectors for vectors, _ in means])
        masks[modality] = np.any([mask for _, mask in means], axis=0)
        # the first encoder that reads contents has the sequences
        read = next((block for block in several if not block.owned.given), None)
        if modality in COLUMNS and sequenced and read is not None:
            encoder, keys, owned = read.features.encoder, read.features.keys, read.owned
            found[modality] = sequences(
                lake, modality, encoder, encoded=keys, owner=owned.owner, key=owned.key, n_items=len(items)
            )
    vectors[ATTRIBUTES] = attribute_rows(_attributes(items))
    masks[ATTRIBUTES] = np.diff(vectors[ATTRIBUTES].indptr) > 0
    widths: dict[str, list[int]] = {m: [each.features.vectors.shape[1] for each in blocks[m]] for m in MEDIA}
    return Catalog(ids, vectors, masks, _categories(items), _terms(items, blocks["text"]), found, widths)


def _attributes(items: pa.Table) -> Iterator[dict[str, str | float]]:
    """What each item's record says beside its texts: the category, the logarithm of 1 + the price, and its attributes,
    whose names cannot be mistaken for those two."""
    for category, price, attributes in zip(*(items[name].to_pylist() for name in _SAID), strict=True):
        said: dict[str, str | float] = {} if category is None else {"category": category}
        if price is not None:
            said["price"] = math.log1p(price)
        yield said | {f"attributes.{name}": value for name, value in attributes}


def _means(
    features: Features, owner: NDArray[np.integer], key: pa.Array, *, n_items: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors float32 [N, d] and mask bool [N] of one modality: of each item the mean over its contents.

    Args:
        owner: int [p], places of items.
        key: [p], one content key of each.
    """
    place = pc.index_in(key, value_set=features.keys)
    found = pc.is_valid(place).to_numpy(zero_copy_only=False)
    owner, place = owner[found], place.drop_null().to_numpy()
    # A sparse [N, c] matrix of ones adds up the vectors of each item's contents in one product.
    share = sparse.csr_matrix((np.ones(len(owner), np.float32), (owner, place)), (n_items, len(features.vectors)))
    counts = np.asarray(share.sum(axis=1)).ravel()
    means = (share @ features.vectors) / np.maximum(counts, 1)[:, None]
    return means.astype(np.float32), counts > 0


def _terms(items: pa.Table, blocks: Sequence[Block]) -> sparse.csr_matrix:
    """CSR float32 [N, TERM_SPACE], how often each hashed term occurs in an item's own text, by the first encoder that
    reads texts; none where all are given their vectors."""
    texts = next((block for block in blocks if not block.owned.given), blocks[0]).features
    place = pc.index_in(items["text_key"], value_set=texts.keys)
    rows = texts.terms.take(place).combine_chunks()
    length = pc.fill_null(pc.list_value_length(rows["term_ids"]), 0).to_numpy()
    ids, counts = (pc.list_flatten(rows[name]).to_numpy() for name in ("term_ids", "term_counts"))
    indptr = np.concatenate([[0], np.cumsum(length)])
    return sparse.csr_matrix((counts.astype(np.float32), ids, indptr), (len(items), TERM_SPACE))


def _reviews(
    written: pa.Table, item_ids: NDArray[np.str_], user_ids: NDArray[np.str_], texts: Sequence[Features]
) -> Reviews:
    """The reviews whose user, item and vector are known, as places in those arrays; the vectors of all blocks side by
    side."""
    contents = pc.unique(written["text_key"]).sort()
    found = [block.at(contents) for block in texts]
    encoded = np.any([known for _, known in found], axis=0)
    vectors = np.hstack([vectors for vectors, _ in found])[encoded]
    known: Sequence[pa.Array | pa.ChunkedArray] = (
        pa.array(user_ids.tolist(), pa.string()),
        pa.array(item_ids.tolist(), pa.string()),
        contents.filter(pa.array(encoded)),
    )
    columns = (written["user_id"], written["item_id"], written["text_key"])
    places = [pc.index_in(column, value_set=values) for column, values in zip(columns, known, strict=True)]
    table = pa.table(places, names=["user", "item", "content"]).drop_null()
    user, item, content = (table[name].to_numpy() for name in table.column_names)
    return Reviews(user, item, content, vectors)


def _categories(items: pa.Table) -> np.ndarray:
    """str [N], "" where an item has none."""
    return np.asarray(items["category"].fill_null("").to_pylist(), dtype=np.str_)


def _history(rows: pa.Table, item_ids: np.ndarray) -> History:
    """The rows whose item the catalog still has. Ids stay integer codes throughout: 10 million rows take 240 MB."""
    user_names, user = _coded(rows["user_id"])
    item_names, item = _coded(rows["item_id"])
    used = np.bincount(user, minlength=len(user_names)) > 0
    place = pc.index_in(item_names, value_set=pa.array(item_ids.tolist(), pa.string()))
    item = place.fill_null(-1).to_numpy()[item] if len(place) else item
    known = item >= 0
    return History(
        np.asarray(user_names.filter(pa.array(used)).to_pylist(), dtype=np.str_),
        (np.cumsum(used) - 1)[user[known]].astype(np.int32),
        item[known],
        rows["timestamp"].cast(pa.int64()).to_numpy()[known],
        rows["weight"].to_numpy().astype(np.float32)[known],
        rows["rating"].to_numpy().astype(np.float32)[known],
    )


def _coded(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The distinct values of a column of ids, and each row's place among them, int32 [n]."""
    encoded = (
        column.combine_chunks() if pa.types.is_dictionary(column.type) else column.combine_chunks().dictionary_encode()
    )
    return encoded.dictionary.cast(pa.string()), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)


def _fingerprint(items: pa.Table, owned: Mapping[Medium, Sequence[Owned]], history: pa.Table, written: pa.Table) -> str:
    """SHA-256 over the items' ids, attributes and content keys, over the history and over what users wrote, hex."""
    digest = hashlib.sha256()
    read = [medium for medium, several in owned.items() if not all(each.given for each in several)]
    columns = ["text_key" if medium == "text" else f"{medium}_keys" for medium in read]
    for row in items.select(["item_id", *_SAID, *columns]).to_pylist():
        digest.update(repr(tuple(row.values())).encode())
    for medium, given in ((medium, each) for medium, several in owned.items() for each in several if each.given):
        digest.update(f"{medium} {given.owner.tolist()} {given.key.to_pylist()}".encode())
    for name, column in zip(
        [*history.column_names, *written.column_names], [*history.columns, *written.columns], strict=True
    ):
        digest.update(f"{name} {len(column)}".encode())
        if name.endswith(("_id", "_key")):
            values, codes = _coded(column)
            digest.update(repr(values.to_pylist()).encode())
            digest.update(codes.tobytes())
        else:
            numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            digest.update(np.ascontiguousarray(numbers.to_numpy()).tobytes())
    return digest.hexdigest()


_SAID = ("category", "price", "attributes")
"""Columns of `items` that say what an item is beside its texts."""
