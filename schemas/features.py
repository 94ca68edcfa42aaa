"""The feature stores, one table a modality: the same identity in each, beside it the modality's readable features."""

from dataclasses import replace
from typing import ClassVar, NamedTuple

import pyarrow as pa

from schemas.table import STRINGS, VECTOR, Check, Column, Medium, Table, query

INT, FLOAT, FLAG, FLOATS = pa.int32(), pa.float32(), pa.bool_(), pa.list_(pa.float32())

TERM_SPACE = 1 << 20
"""`term_ids` of a text are below this."""

GIVEN = "given"
"""Name of the encoders whose vectors arrive in RAW: their contents are rows of `given_vectors`, not texts and files."""


def is_given(fingerprint: str) -> bool:
    """Return whether a fingerprint is of an encoder that is given its vectors.

    >>> is_given("given-0123456789ab"), is_given("e5-small-0123456789ab")
    (True, False)
    """
    return fingerprint.startswith(f"{GIVEN}-")


def of_given(column: str) -> str:
    """Return `is_given` of a column of fingerprints as an SQL condition; false for null, the fingerprint of an account
    that did not record it."""
    return f"coalesce(starts_with({column}, '{GIVEN}-'), false)"


class VectorBlock(NamedTuple):
    """Some of the columns of a modality's vectors: those of one encoder, or of another column of vectors beside them.

    Attributes:
        name: the encoder's fingerprint; `FINGERPRINT:COLUMN` for another column of the feature store than `vector`.
        width: how many; None where they are as wide as the store's rows happen to be, in the models of versions that
            did not record it.

    >>> VectorBlock("frame-sequence-0123456789ab:audio_vector", 512).column
    'audio_vector'
    """

    name: str
    width: int | None

    @property
    def encoder(self) -> str:
        """The encoder's fingerprint."""
        return self.name.partition(":")[0]

    @property
    def column(self) -> str:
        return self.name.partition(":")[2] or "vector"


class FeatureStore(Table):
    """Base of the four.

    Class attributes:
        readable: the columns that every encoder which reads contents gives beside its vector.
        columns: their Arrow fields, as such an encoder gives them. In the table all of them may be null: they are
            under an encoder that is given its vectors.
    """

    partition_by = ("encoder",)
    key = ("content_key", "encoder")
    readable: ClassVar[tuple[Column, ...]]
    columns: ClassVar[tuple[pa.Field, ...]]

    def __init_subclass__(cls, *, modality: Medium) -> None:
        cls.name = f"features_{modality}"
        cls.described = (*_identity(modality), *map(_null_under_given, cls.readable))
        cls.columns = tuple(column.field for column in cls.readable)
        # Lists are left out: reading them, only to see that they are there, takes as long as all else.
        flat = [c.name for c in cls.readable if not c.nullable and not pa.types.is_nested(c.type)]
        absent = " OR ".join(f"{name} IS NULL" for name in flat)
        values = {"table": cls.name, "given": of_given("encoder"), "absent": absent}
        cls.checks = (
            Check("vectors are finite", query("any/vectors_are_finite.sql", table=cls.name)),
            Check("vectors are not constant", query("features/vectors_are_not_constant.sql", modality=modality)),
            Check(
                "readable features are there unless vectors were given",
                query("features/readable_features_are_there.sql", **values),
            ),
        )
        super().__init_subclass__()


def _null_under_given(column: Column) -> Column:
    return replace(column, nullable=True, description=f"{column.description} Under `{GIVEN}`, null.")


def _identity(modality: Medium) -> tuple[Column, ...]:
    content = "the text's UTF-8 bytes" if modality == "text" else "the file's bytes"
    names = "`text_key` of `items` and `interactions`" if modality == "text" else f"`{modality}_keys` of `items`"
    return (
        Column(
            "content_key",
            pa.string(),
            f"SHA-256 of {content}, hex; {names} point here. Under `{GIVEN}`, the `content_key` of `given_vectors`.",
        ),
        Column(
            "encoder",
            pa.string(),
            "Fingerprint of the encoder: its name, then 12 hex digits of a hash over name, version, weights and "
            "parameters; `-untrained` between them where nothing was learnt by its weights.",
        ),
        Column(
            "date",
            pa.date32(),
            "Night that first extracted the content: the one value that the order in which nights run may change.",
        ),
        Column("vector", VECTOR, "The encoder's embedding of the content; of one width for all rows of an encoder."),
    )


class FeaturesText(FeatureStore, modality="text"):
    """One piece of text under one encoder.

    `characters` and `words` count the whole text; all else is of its beginning, as far as the encoder analyses it. An
    empty list or map means that nothing was found.
    """

    readable = (
        Column("characters", INT, "Length of the whole text, in Unicode characters."),
        Column("words", INT, "Words of the whole text; each Chinese or Japanese character is one."),
        Column("language", pa.string(), 'ISO 639-1 code of the language; "und" where none stands out.'),
        Column("tokens", STRINGS, "The words as written, in order, without punctuation; 2,000 at most."),
        Column(
            "pos",
            pa.map_(pa.string(), pa.int32()),
            "How many of `tokens` there are of each Universal part of speech (NOUN, PROPN, VERB, ...); of the Chinese "
            "and English parts of a text, empty for other languages.",
        ),
        Column(
            "entities",
            pa.map_(pa.string(), STRINGS),
            "The distinct names by type (PERSON, ORG, LOC, TIME, WORK, MISC), 100 at most; of the Chinese and English "
            "parts of a text, empty for other languages.",
        ),
        Column("key_phrases", STRINGS, "Phrases that the text is about, at most ten, the most important first."),
        Column(
            "term_ids",
            pa.list_(pa.int32()),
            "Hashes of the different terms (dictionary forms, case folded) of `tokens`, ascending, 0 to 2 ** 20 - 1; a "
            "term has the same number in every text and on every night.",
        ),
        Column("term_counts", pa.list_(pa.int32()), "How often each of `term_ids` occurs, in the same order."),
    )


class FeaturesImage(FeatureStore, modality="image"):
    """One picture under one encoder.

    But for `width`, `height` and `animated` they are of the whole upright first
    frame, squashed to a square, whatever part of it the encoder took: they agree between encoders.
    """

    readable = (
        Column("width", INT, "The file's own width in pixels, as seen upright."),
        Column("height", INT, "The file's own height in pixels, as seen upright."),
        Column("brightness", FLOAT, "Mean luma, 0 (black) to 1 (white)."),
        Column("contrast", FLOAT, "Standard deviation of luma, 0 to 0.5."),
        Column("colourfulness", FLOAT, "Hasler and Süsstrunk's measure: 0 is grey, above 0.4 extremely colourful."),
        Column(
            "sharpness",
            FLOAT,
            "Variance of the Laplacian of luma (0 to 1) at 224 x 224 pixels; a low value is a blurred or even picture.",
        ),
        Column("animated", FLAG, "The file has more frames than the one described here."),
        Column("blank", FLAG, "Every pixel has the same colour, give or take 2 of 255."),
        Column(
            "gradients",
            FLOATS,
            "Histogram of oriented gradients [324]: 3 x 3 blocks of 2 x 2 cells, 9 orientations each.",
        ),
        Column("texture", FLOATS, "Histogram of uniform local binary patterns [10]; sums to 1."),
        Column("edge_density", FLOAT, "Share of the pixels that lie on an edge, 0 to 1."),
        Column(
            "edges",
            FLOATS,
            "Share of edge pixels by direction [8], in steps of 22.5 degrees, level first, then rising; sums to 1, or "
            "all 0 where there is no edge.",
        ),
        Column(
            "colour",
            FLOATS,
            "Histogram of colours [52]: 4 greys, then 12 hues as pale dark, pale bright, vivid dark, vivid bright; "
            "sums to 1.",
        ),
        Column(
            "perceptual_hash",
            pa.int64(),
            "64 bits as a signed number; `bit_count(xor(a, b))` of two pictures is up to about 8 for near-duplicates.",
        ),
    )


class FeaturesAudio(FeatureStore, modality="audio"):
    """One sound under one encoder.

    The prepared sound, which some columns describe, is what was read of the file, denoised where the encoder does so,
    less the silence at its ends, brought to -23 LUFS. A mean by power is a mean over its time in which each moment
    weighs as its power; it is null in silence.
    """

    readable = (
        Column(
            "duration_s",
            FLOAT,
            "Seconds that were read; where `truncated`, they are not the whole file but windows of it, joined.",
        ),
        Column("sample_rate", INT, "The file's own sample rate in Hz."),
        Column("rms_db", FLOAT, "Root mean square level of what was read, in dB below full scale; -100 at least."),
        Column("silent", FLAG, "`rms_db` is below -70."),
        Column("truncated", FLAG, "Part of the file was left unread, as it is longer than the encoder reads."),
        Column("trimmed_s", FLOAT, "Seconds of silence cut off both ends of what was read."),
        Column(
            "header_duration_s",
            FLOAT,
            "Length in seconds by the file's header, which may be wrong; null where the header has none.",
            nullable=True,
        ),
        Column(
            "loudness_lufs",
            FLOAT,
            "Integrated loudness of what was read, mixed to mono, in LUFS (ITU-R BS.1770-4); null where `silent`, or "
            "where all is below -70 LUFS.",
            nullable=True,
        ),
        Column(
            "tempo_bpm",
            FLOAT,
            "Tempo of the prepared sound in beats a minute; null where nothing repeats, and in silence.",
            nullable=True,
        ),
        Column("onsets_per_s", FLOAT, "Onsets of the prepared sound a second; 0 in silence."),
        Column("mfcc", FLOATS, "Mel-frequency cepstral coefficients [20] of the prepared sound, means over time."),
        Column(
            "mel_sequence",
            FLOATS,
            "Log-mel power [1024] of the prepared sound in dB, -45 at least, to be reshaped to [32, 32]: equal parts "
            "of time (rows) by bands (columns).",
        ),
        Column(
            "spectral_centroid_hz",
            FLOAT,
            "Centre of the power over frequency, in Hz; mean by power, null in silence.",
            nullable=True,
        ),
        Column(
            "spectral_bandwidth_hz",
            FLOAT,
            "Spread of the power around that centre, in Hz; mean by power, null in silence.",
            nullable=True,
        ),
        Column(
            "spectral_rolloff_hz",
            FLOAT,
            "Frequency below which 85% of the power lie, in Hz; mean by power, null in silence.",
            nullable=True,
        ),
        Column(
            "spectral_flatness",
            FLOAT,
            "From 0 for a tone to 1 for white noise; mean by power, null in silence.",
            nullable=True,
        ),
        Column(
            "zero_crossing_rate",
            FLOAT,
            "Changes of sign a sample, at 22,050 samples a second, 0 to 1; mean by power, null in silence.",
            nullable=True,
        ),
        Column(
            "chroma",
            FLOATS,
            "Strength of the pitch classes [12], C, C sharp to B, 1 for the strongest of the moment; mean by power, "
            "null in silence.",
            nullable=True,
        ),
        Column(
            "spectral_contrast",
            FLOATS,
            "dB from valleys to peaks [7], below 200 Hz and in the six octaves above; mean by power, null in silence.",
            nullable=True,
        ),
    )


class FeaturesVideo(FeatureStore, modality="video"):
    """One film under one encoder.

    All of a short film is read, and of a long one pieces (then `truncated`). The motion columns but for `motion_mean`
    are null where there are no two frames to compare.
    """

    readable = (
        Column("duration_s", FLOAT, "When the last frame that was read ends, in seconds from the first one."),
        Column("width", INT, "Width in pixels as the file stores it."),
        Column("height", INT, "Height in pixels as the file stores it."),
        Column("fps", FLOAT, "Frames a second, the mean over what was read."),
        Column("truncated", FLAG, "Part of the film was left unread."),
        Column("has_audio", FLAG, "The file has a sound track."),
        Column("scenes", INT, "Scenes of what was read: one more than there are hard cuts."),
        Column(
            "cuts_s",
            FLOATS,
            "When the hard cuts are, in seconds from the first frame, ascending; where two pieces meet and differ, "
            "there is one too. Empty where there is none.",
        ),
        Column("frames", INT, "Frames that stand for the film."),
        Column(
            "frame_times_s", FLOATS, "When those frames [frames] are shown, in seconds from the first one, ascending."
        ),
        Column(
            "sequence",
            FLOATS,
            "Embeddings of those frames, in order, to be reshaped to [frames, width of the image encoder's vector].",
        ),
        Column(
            "motion_mean", FLOAT, "Mean absolute change of luma (0 to 1) within about 0.08 s; 0 where nothing changes."
        ),
        Column(
            "motion_source",
            pa.string(),
            'What the motion columns that follow are measured on: "codec", motion vectors in the film\'s code, or '
            '"frames", shifts of parts of the picture between frames; null where nothing can be compared.',
            nullable=True,
        ),
        Column(
            "motion_right_px",
            FLOAT,
            "Median displacement of the picture's parts to the right, in pixels of the file from one frame to the "
            "next, mean over time; negative to the left, null without `motion_source`.",
            nullable=True,
        ),
        Column(
            "motion_down_px",
            FLOAT,
            "The same displacement downwards, in pixels; negative upwards, null without `motion_source`.",
            nullable=True,
        ),
        Column(
            "motion_speed",
            FLOAT,
            "Mean speed of the picture's parts in picture diagonals a second; null without `motion_source`.",
            nullable=True,
        ),
        Column(
            "motion_histogram",
            FLOATS,
            "Share of parts [25] that are still (below 0.02 diagonals a second), then of slow (below 0.1), faster "
            "(below 0.5) and fast ones, each by 8 directions: right, right and down, down, left and down, left, left "
            "and up, up, right and up; sums to 1, null without `motion_source`.",
            nullable=True,
        ),
        Column(
            "objects",
            pa.map_(pa.string(), INT),
            "The most of each class that the encoder's detector saw in one frame; empty where it saw none, null where "
            "the encoder has no detector.",
            nullable=True,
        ),
        Column(
            "audio_vector",
            FLOATS,
            "The sound track's vector under the film encoder's audio encoder; null where no sound can be decoded.",
            nullable=True,
        ),
    )


FEATURES: dict[Medium, type[FeatureStore]] = {
    "text": FeaturesText,
    "image": FeaturesImage,
    "audio": FeaturesAudio,
    "video": FeaturesVideo,
}
