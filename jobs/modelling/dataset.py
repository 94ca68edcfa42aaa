"""What a model learns from on a night: the catalog's vectors and the users' history, as of that night."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from features.registry import encoder
from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews, with_reviews
from fusion.data.splits import Kind, Split, split
from fusion.data.standardise import prepared
from fusion.missing import registry as policies
from fusion.models import registry
from jobs.modelling.sequences import COLUMNS, sequences
from jobs.runtime.night import Night, NightError
from lake import asof
from schemas.config import Config, ConfigError, Fusion
from schemas.features import FEATURES, TERM_SPACE
from schemas.table import MODALITIES, Modality

log = logging.getLogger("nightweave.state")


@dataclass(frozen=True)
class State:
    """The catalog, the history and the reviews as of a night, and a hash of all three."""

    items: Catalog
    history: History
    reviews: Reviews
    config: Fusion
    fingerprint: str

    def split(self, kind: Kind | None = None) -> Split:
        """The history with likes held out as configured, or by another kind of split."""
        how = self.config.split
        return split(
            self.history,
            kind=kind or how.kind,
            test_share=how.test_share,
            valid_share=how.valid_share,
            item_ids=self.items.item_ids,
            seed=self.config.seed,
        )

    def catalog(self, known: History) -> Catalog:
        """The catalog as whoever knows so much of the history sees it: with the reviews that came with that part."""
        return with_reviews(self.items, self.reviews, known, share=self.config.review_share)

    def prepared(self, known: History) -> Catalog:
        """`catalog`, its vectors standardised and their columns selected as configured, by what training items tell.

        Raises:
            NightError: there is nothing to select columns by.
        """
        how = self.config
        try:
            return prepared(
                self.catalog(known),
                known,
                standardise=how.standardise,
                clip=how.clip,
                select=how.select.method,
                keep=how.select.keep,
                seed=how.seed,
            )
        except ValueError as error:
            raise NightError(f"fusion.select: {error}") from None

    def filled(self, known: History) -> Catalog:
        """`prepared`, what is missing in it filled in by the configured policy, which knows so much of the history. Its
        masks tell what a model may use; those of `catalog` tell what the items have."""
        catalog = self.prepared(known)
        policy = policies.create(self.config.missing.policy, self.config.missing.parameters)
        policy.fit(catalog, known.likes(), seed=self.config.seed)
        return policy.fill(catalog)


def encoders(config: Config) -> dict[str, str]:
    """Modality → fingerprint of the encoder that the configuration chooses."""
    choices = config.extract.encoders
    return {m: encoder(m, choices[m].name, **choices[m].parameters).fingerprint for m in MODALITIES}


def load(night: Night, *, through: Mapping[str, str] | None = None) -> State:
    """The state as of the night.

    `through` gives each modality's encoder by its fingerprint: those of the configuration unless given. A model reads
    the vectors of the encoders that it was made with, and no others.

    An item's vector of a modality is the mean over its contents of that modality; an item none of whose contents was
    encoded has none, and its mask says so. Sequences are there if a strategy that may be chosen reads them.

    Raises:
        ConfigError: there is no such strategy or policy for missing modalities, or it takes no such parameter.
    """
    _check_choices(night.config.fusion)
    items = asof.items(night.lake, night.date)
    ids = np.asarray(items["item_id"].to_pylist(), dtype=np.str_)
    fingerprints = through or encoders(night.config)
    vectors, masks, sequenced = {}, {}, {}
    sequenced_at_all = any(registry.strategy(c.strategy).sequences for c in night.config.fusion.considered)
    for modality in MODALITIES:
        keys, contents = _contents(night, modality, fingerprints[modality])
        vectors[modality], masks[modality] = _means(items, modality, keys, contents)
        if modality in COLUMNS and sequenced_at_all:
            owner, key = _owners(items, modality)
            sequenced[modality] = sequences(
                night.lake, modality, fingerprints[modality], owner=owner, key=key, n_items=len(ids)
            )
    events = night.config.events
    rows = asof.history(night.lake, night.date, weights=events.weights, rating_threshold=events.rating_threshold)
    history = _history(rows, ids)
    log.info("as of %s: %d items, %d users, %d likes", night.ds, len(ids), len(history.user_ids), len(history.likes()))
    written = asof.reviews(night.lake, night.date)
    reviews = _reviews(written, ids, history.user_ids, *_contents(night, "text", fingerprints["text"]))
    return State(
        Catalog(ids, vectors, masks, _categories(items), _terms(night, items, fingerprints["text"]), sequenced),
        history,
        reviews,
        night.config.fusion,
        _fingerprint(items, rows, written),
    )


def _check_choices(fusion: Fusion) -> None:
    try:
        for candidate in fusion.considered:
            registry.create(candidate.strategy, candidate.parameters)
        policies.create(fusion.missing.policy, fusion.missing.parameters)
    except ValueError as error:
        raise ConfigError(f"fusion: {error}") from None


def _contents(night: Night, modality: Modality, fingerprint: str) -> tuple[pa.ChunkedArray, np.ndarray]:
    """The keys [c] of a modality's contents, ascending, and their vectors, float32 [c, d]; d is 1 where there are none.

    In the order of the store's files, means would differ in their last bits with the order in which nights ran.
    """
    where = pc.field("encoder") == fingerprint
    features = night.lake.read(FEATURES[modality], where=where, columns=["content_key", "vector"])
    features = features.sort_by("content_key")
    if not len(features):
        return features["content_key"], np.zeros((0, 1), np.float32)
    vectors = features["vector"].combine_chunks().flatten().to_numpy()
    return features["content_key"], vectors.reshape(len(features), -1)


def _means(
    items: pa.Table, modality: Modality, keys: pa.ChunkedArray, contents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors float32 [N, d] and mask bool [N] of one modality, in the order of `items`."""
    owner, key = _owners(items, modality)
    place = pc.index_in(key, value_set=keys)
    found = pc.is_valid(place).to_numpy(zero_copy_only=False)
    owner, place = owner[found], place.drop_null().to_numpy()
    share = sparse.csr_matrix((np.ones(len(owner), np.float32), (owner, place)), (len(items), len(contents)))
    counts = np.asarray(share.sum(axis=1)).ravel()
    means = (share @ contents) / np.maximum(counts, 1)[:, None]
    return means.astype(np.float32), counts > 0


def _terms(night: Night, items: pa.Table, fingerprint: str) -> sparse.csr_matrix:
    """CSR float32 [N, TERM_SPACE], how often each hashed term stands in an item's own text."""
    columns = ["content_key", "term_ids", "term_counts"]
    texts = night.lake.read(FEATURES["text"], where=pc.field("encoder") == fingerprint, columns=columns)
    place = pc.index_in(items["text_key"], value_set=texts["content_key"])
    texts = texts.take(place).combine_chunks()
    length = pc.fill_null(pc.list_value_length(texts["term_ids"]), 0).to_numpy()
    ids, counts = (pc.list_flatten(texts[name]).to_numpy() for name in columns[1:])
    indptr = np.concatenate([[0], np.cumsum(length)])
    return sparse.csr_matrix((counts.astype(np.float32), ids, indptr), (len(items), TERM_SPACE))


def _reviews(
    written: pa.Table, item_ids: np.ndarray, user_ids: np.ndarray, keys: pa.ChunkedArray, contents: np.ndarray
) -> Reviews:
    """The reviews whose user, item and vector are known, by place."""
    values = (user_ids.tolist(), item_ids.tolist(), keys)
    columns = (written["user_id"], written["item_id"], written["text_key"])
    places = [
        pc.index_in(column, value_set=known if isinstance(known, pa.ChunkedArray) else pa.array(known, pa.string()))
        for column, known in zip(columns, values, strict=True)
    ]
    table = pa.table(places, names=["user", "item", "content"]).drop_null()
    return Reviews(*(table[name].to_numpy() for name in table.column_names), contents)


def _owners(items: pa.Table, modality: str) -> tuple[np.ndarray, pa.Array]:
    """Pairs of an item's place and one of its content keys."""
    if modality == "text":
        return np.arange(len(items)), items["text_key"].combine_chunks()
    keys = items[f"{modality}_keys"].combine_chunks()
    return pc.list_parent_indices(keys).to_numpy(), pc.list_flatten(keys)


def _categories(items: pa.Table) -> np.ndarray:
    """str [N], "" where an item has none."""
    return np.asarray(items["category"].fill_null("").to_pylist(), dtype=np.str_)


def _history(rows: pa.Table, item_ids: np.ndarray) -> History:
    """The rows whose item the catalog still has, by place. Ids stay codes all the way: 10 million rows are 240 MB."""
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
    """A column of ids as its different values and each row's place among them, int32 [n]."""
    encoded = (
        column.combine_chunks() if pa.types.is_dictionary(column.type) else column.combine_chunks().dictionary_encode()
    )
    return encoded.dictionary.cast(pa.string()), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)


def _fingerprint(items: pa.Table, history: pa.Table, written: pa.Table) -> str:
    """SHA-256 over the items' ids, categories and content keys, over the history and over what users wrote, hex."""
    digest = hashlib.sha256()
    columns = ["item_id", "category", "text_key", *(f"{m}_keys" for m in MODALITIES if m != "text")]
    for row in items.select(columns).to_pylist():
        digest.update(repr(tuple(row.values())).encode())
    for name, column in zip(
        [*history.column_names, *written.column_names], [*history.columns, *written.columns], strict=True
    ):
        digest.update(f"{name} {len(column)}".encode())
        if name.endswith(("_id", "_key")):
            values, codes = _coded(column)
            digest.update(repr(values.to_pylist()).encode())
            digest.update(codes)
        else:
            numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            digest.update(np.ascontiguousarray(numbers.to_numpy()))
    return digest.hexdigest()
