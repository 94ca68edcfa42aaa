"""The feature stores, one table a modality: the same identity in each, beside it the modality's readable features."""

from typing import ClassVar

import pyarrow as pa

from schemas.columns import DATE, VECTOR, finite, string
from schemas.table import Check, Modality, Table

Columns = tuple[pa.Field, ...]
INT, FLOAT, FLAG, FLOATS = pa.int32(), pa.float32(), pa.bool_(), pa.list_(pa.float32())


def _columns(*, nullable: bool = False, **types: pa.DataType) -> Columns:
    return tuple(pa.field(name, dtype, nullable=nullable) for name, dtype in types.items())


class FeatureStore(Table):
    """Base of the four. `columns` are the readable features that every encoder of the modality gives.

    `date` is the night that first extracted the content: the one value that the order of nights may change.
    """

    partition_by = ("encoder",)
    key = ("content_key", "encoder")
    columns: ClassVar[Columns]

    def __init_subclass__(cls, *, modality: Modality) -> None:
        cls.name = f"features_{modality}"
        identity = [string("content_key"), string("encoder"), DATE, pa.field("vector", VECTOR, nullable=False)]
        cls.schema = pa.schema([*identity, *cls.columns])
        cls.checks = (
            Check("vectors are finite", finite(cls.name)),
            Check(
                "vectors are not constant",
                f"SELECT * FROM {cls.name} WHERE len(vector) > 1 AND list_max(vector) = list_min(vector)",
            ),
        )


class FeaturesText(FeatureStore, modality="text"):
    """One piece of text under one encoder."""

    columns = _columns(characters=INT, words=INT)


class FeaturesImage(FeatureStore, modality="image"):
    """One picture under one encoder."""

    columns = _columns(
        width=INT,
        height=INT,
        brightness=FLOAT,
        contrast=FLOAT,
        colourfulness=FLOAT,
        sharpness=FLOAT,
        animated=FLAG,
        blank=FLAG,
    )


class FeaturesAudio(FeatureStore, modality="audio"):
    """One sound under one encoder."""

    columns = (
        *_columns(duration_s=FLOAT, sample_rate=INT, rms_db=FLOAT, mfcc=FLOATS, silent=FLAG, truncated=FLAG),
        *_columns(nullable=True, tempo_bpm=FLOAT, spectral_centroid_hz=FLOAT),
    )


class FeaturesVideo(FeatureStore, modality="video"):
    """One film under one encoder."""

    columns = _columns(
        duration_s=FLOAT,
        width=INT,
        height=INT,
        fps=FLOAT,
        frames=INT,
        sequence=FLOATS,
        motion_mean=FLOAT,
        has_audio=FLAG,
        truncated=FLAG,
    )


FEATURES: dict[Modality, type[FeatureStore]] = {
    "text": FeaturesText,
    "image": FeaturesImage,
    "audio": FeaturesAudio,
    "video": FeaturesVideo,
}
