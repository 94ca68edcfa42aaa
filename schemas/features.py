"""The feature stores, one table a modality: the same identity in each, beside it the modality's readable features."""

from typing import ClassVar

import pyarrow as pa

from schemas.table import DATE, VECTOR, Check, Modality, Table, finite, string

Columns = tuple[pa.Field, ...]
INT, FLOAT, FLAG, FLOATS = pa.int32(), pa.float32(), pa.bool_(), pa.list_(pa.float32())
STRINGS = pa.list_(pa.string())


TERM_SPACE = 1 << 20
"""`term_ids` of a text are below this."""


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
    """One piece of text under one encoder.

    `characters` and `words` count the whole text (each Chinese or Japanese character is a word); all else is of its
    analysed beginning. `language` is an ISO 639-1 code, "und" where none stands out. `tokens` are its words in order,
    2,000 at most, without punctuation. `pos` counts them by Universal part of speech (NOUN, PROPN, VERB, ...) and
    `entities` holds the distinct names by type (PERSON, ORG, LOC, TIME, WORK, MISC), 100 at most: of the Chinese and
    English parts of a text, empty for other languages. `key_phrases` are at most ten, the most telling first.
    `term_ids` are the hashed terms (dictionary forms, case folded) of those tokens, ascending, below 2 ** 20 and the
    same every night; `term_counts` says how often each occurs. An empty list or map means that nothing was found.
    """

    columns = _columns(
        characters=INT,
        words=INT,
        language=pa.string(),
        tokens=STRINGS,
        pos=pa.map_(pa.string(), pa.int32()),
        entities=pa.map_(pa.string(), STRINGS),
        key_phrases=STRINGS,
        term_ids=pa.list_(pa.int32()),
        term_counts=pa.list_(pa.int32()),
    )


class FeaturesImage(FeatureStore, modality="image"):
    """One picture under one encoder.

    None of the columns is ever null. But for `width`, `height` and `animated` they are of the whole upright first
    frame, squashed to a square, whatever part of it the encoder took: they agree between encoders.

    - `width`, `height`: the file's own, in pixels, as seen upright.
    - `animated`: the file has more frames.
    - `blank`: every pixel has the same colour, give or take 2 of 255.
    - `brightness`: mean luma, 0 to 1.
    - `contrast`: standard deviation of luma, 0 to 0.5.
    - `colourfulness`: 0 is grey, above 0.4 extremely colourful.
    - `sharpness`: variance of luma's Laplacian at 224 x 224; little is blurred or even.
    - `gradients`: histogram of oriented gradients [324]: 3 x 3 blocks of 2 x 2 cells, 9 orientations each.
    - `texture`: histogram of uniform local binary patterns [10], sums to 1.
    - `edge_density`: share of pixels on an edge, 0 to 1.
    - `edges`: share of edge pixels by direction [8], steps of 22.5 degrees, level first, then rising; 0 without edges.
    - `colour`: histogram [52], sums to 1: 4 greys, then 12 hues as pale dark, pale bright, vivid dark, vivid bright.
    - `perceptual_hash`: 64 bits; `bit_count(xor(a, b))` is up to about 8 for near-duplicates.
    """

    columns = _columns(
        width=INT,
        height=INT,
        brightness=FLOAT,
        contrast=FLOAT,
        colourfulness=FLOAT,
        sharpness=FLOAT,
        animated=FLAG,
        blank=FLAG,
        gradients=FLOATS,
        texture=FLOATS,
        edge_density=FLOAT,
        edges=FLOATS,
        colour=FLOATS,
        perceptual_hash=pa.int64(),
    )


class FeaturesAudio(FeatureStore, modality="audio"):
    """One sound under one encoder.

    As the file has it:

    - `duration_s`: seconds that were read; where `truncated`, they aren't the whole file, but windows of it joined.
    - `header_duration_s`: seconds that the file says it lasts, which may be wrong; null where it doesn't say.
    - `sample_rate`: in Hz.
    - `rms_db`: level below full scale, -100 at least; `silent` says that it is below -70.
    - `loudness_lufs`: integrated loudness of the mix to mono (ITU-R BS.1770-4); null where all is below -70 LUFS.

    Of what was read, denoised where the encoder does so, less `trimmed_s` seconds of silence at its ends, brought to
    -23 LUFS:

    - `onsets_per_s` and `tempo_bpm`: beats a minute; null where nothing repeats, and in silence.
    - `mfcc` [20]: mel-frequency cepstral coefficients, means over time.
    - `mel_sequence` [1024], to be reshaped to [32, 32]: log-mel power in dB, -45 at least, of 32 equal parts of time
      (rows) in 32 bands (columns).

    And means over time weighted by power, null in silence:

    - `spectral_centroid_hz`, `spectral_bandwidth_hz`, `spectral_rolloff_hz`: centre and spread of the power, and below
      what 85 % of it lie.
    - `spectral_flatness`: from 0 for a tone to 1 for white noise.
    - `zero_crossing_rate`: changes of sign a sample, at 22,050 samples a second.
    - `chroma` [12]: strength of the pitch classes C, C sharp to B, 1 for the strongest of the moment.
    - `spectral_contrast` [7]: dB from valleys to peaks below 200 Hz and in the six octaves above.
    """

    columns = (
        *_columns(duration_s=FLOAT, sample_rate=INT, rms_db=FLOAT, silent=FLAG, truncated=FLAG, trimmed_s=FLOAT),
        *_columns(nullable=True, header_duration_s=FLOAT, loudness_lufs=FLOAT, tempo_bpm=FLOAT),
        *_columns(onsets_per_s=FLOAT, mfcc=FLOATS, mel_sequence=FLOATS),
        *_columns(nullable=True, spectral_centroid_hz=FLOAT, spectral_bandwidth_hz=FLOAT, spectral_rolloff_hz=FLOAT),
        *_columns(nullable=True, spectral_flatness=FLOAT, zero_crossing_rate=FLOAT, chroma=FLOATS),
        *_columns(nullable=True, spectral_contrast=FLOATS),
    )


class FeaturesVideo(FeatureStore, modality="video"):
    """One film under one encoder.

    As the file has it: `width` and `height` in stored pixels; `has_audio`, there is a sound track. Of what was read,
    all of a short film and pieces of a long one (then `truncated`): `duration_s`, when its last frame ends; `fps`,
    frames a second; `scenes`, one more than there are hard cuts; `cuts_s`, when those are, in seconds (where two pieces
    meet and differ, there is one too).

    `frames` stand for the film, at the seconds `frame_times_s`; `sequence` has their embeddings in that order, to be
    reshaped to [frames, width of the image encoder's vector]. `motion_mean` is the mean absolute change of luma (0 to
    1) within about 0.08 s.

    `motion_source` says what the other motion columns are measured on: "codec", motion vectors in the film's code, or
    "frames", shifts of parts of the picture between frames; null, as they all are, where there are no two frames to
    compare. `motion_right_px` and `motion_down_px` are the median displacement of the picture's parts, in pixels of the
    file from one frame to the next, averaged over time: positive where what is shown moves to the right, or down.
    `motion_speed` is the mean speed of the parts in picture diagonals a second. `motion_histogram` [25] has the share
    of parts that are still (below 0.02 diagonals a second), then of slow (below 0.1), faster (below 0.5) and fast ones,
    each by 8 directions: right, right and down, down, left and down, left, left and up, up, right and up.

    `objects` is the most of each class that the encoder's detector saw at once, empty where it saw none, null where the
    encoder has no detector. `audio_vector` is the sound track's vector under the film encoder's audio encoder, null
    where no sound can be decoded.
    """

    columns = (
        *_columns(duration_s=FLOAT, width=INT, height=INT, fps=FLOAT, truncated=FLAG, has_audio=FLAG),
        *_columns(scenes=INT, cuts_s=FLOATS, frames=INT, frame_times_s=FLOATS, sequence=FLOATS, motion_mean=FLOAT),
        *_columns(nullable=True, motion_source=pa.string(), motion_right_px=FLOAT, motion_down_px=FLOAT),
        *_columns(nullable=True, motion_speed=FLOAT, motion_histogram=FLOATS),
        *_columns(nullable=True, objects=pa.map_(pa.string(), INT), audio_vector=FLOATS),
    )


FEATURES: dict[Modality, type[FeatureStore]] = {
    "text": FeaturesText,
    "image": FeaturesImage,
    "audio": FeaturesAudio,
    "video": FeaturesVideo,
}
