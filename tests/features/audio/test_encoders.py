"""Sounds whose features are known without a computer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.audio.base import AudioEncoder
from features.audio.decode import SAMPLE_RATE, Clip, decode_audio
from features.audio.loudness import integrated_loudness
from features.audio.mel import MelMfcc
from features.audio.mfcc import Mfcc
from features.audio.preprocessing import TARGET_LUFS, normalise_loudness, spectral_gate, trim_silence
from features.audio.rhythm import PULSE_BPM, rhythm
from features.audio.spectrum import FLOOR_DB, segment_means, spectrum
from tests.features.conftest import clicks, sine

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def clip(samples: np.ndarray) -> Clip:
    return Clip(samples.astype(np.float32), SAMPLE_RATE, truncated=False)


def features(*sounds: np.ndarray, encoder: AudioEncoder | None = None) -> pa.RecordBatch:
    return (encoder or MelMfcc()).encode([clip(samples) for samples in sounds])


def row(samples: np.ndarray) -> dict:
    return features(samples).to_pylist()[0]


def vectors(*sounds: np.ndarray, encoder: AudioEncoder | None = None) -> np.ndarray:
    return (encoder or MelMfcc()).vectors([clip(samples) for samples in sounds])


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))


def noise(samples: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return level * np.random.default_rng(seed).normal(size=samples)


def spoken(seconds: float = 3.0) -> np.ndarray:
    """Three syllables a second, each a buzz of 120 Hz under two formants that change from one to the next."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    syllable = np.floor(3 * time)
    first, second = 400 + 150 * (syllable % 3), 1200 + 300 * (syllable % 4)
    partials = np.arange(1, 40)[:, None] * 120.0
    weight = 1 / (1 + ((partials - first) / 100) ** 2) + 0.5 / (1 + ((partials - second) / 150) ** 2)
    buzz = (weight * np.sin(2 * np.pi * partials * time)).sum(axis=0)
    return 0.1 * buzz * np.sin(np.pi * (3 * time % 1)) ** 0.5


@pytest.mark.parametrize("frequency", [220.0, 1000.0, 5000.0])
def test_centroid_and_crossings_of_a_sine_are_its_frequency(frequency: float) -> None:
    found = row(sine(frequency))
    assert found["spectral_centroid_hz"] == pytest.approx(frequency, rel=0.02)
    assert found["spectral_rolloff_hz"] == pytest.approx(frequency, abs=25)
    assert found["zero_crossing_rate"] * SAMPLE_RATE / 2 == pytest.approx(frequency, rel=0.02)
    assert found["spectral_flatness"] < 0.01


def test_white_noise_is_flat_and_its_centroid_is_in_the_middle() -> None:
    found = row(noise(3 * SAMPLE_RATE))
    assert found["spectral_flatness"] == pytest.approx(np.exp(-np.euler_gamma), abs=0.02)
    assert found["spectral_centroid_hz"] == pytest.approx(SAMPLE_RATE / 4, rel=0.02)
    assert found["zero_crossing_rate"] == pytest.approx(0.5, abs=0.01)


def test_level_of_a_sine() -> None:
    assert row(sine(440))["rms_db"] == pytest.approx(20 * np.log10(0.4 / 2**0.5), abs=0.05)


@pytest.mark.parametrize(
    ("frequency", "note"), [(440.0, "A"), (220.0, "A"), (880.0, "A"), (261.63, "C"), (1174.66, "D"), (739.99, "F#")]
)
def test_chroma_of_a_note(frequency: float, note: str) -> None:
    chroma = row(sine(frequency))["chroma"]
    assert NOTES[int(np.argmax(chroma))] == note
    assert max(chroma) == pytest.approx(1.0)


def test_chroma_of_a_chord_has_its_three_notes() -> None:
    chroma = row((sine(440.0) + sine(554.37) + sine(659.26)) / 3)["chroma"]
    assert {NOTES[i] for i in np.argsort(chroma)[-3:]} == {"A", "C#", "E"}


@pytest.mark.parametrize("bpm", [75, 90, 120, 150])
def test_tempo_of_a_click_track(bpm: int) -> None:
    found = row(clicks(bpm))
    assert found["tempo_bpm"] == pytest.approx(bpm, rel=0.02)
    assert found["onsets_per_s"] == pytest.approx(bpm / 60, rel=0.15)


def test_tempo_of_a_long_track_that_is_read_in_windows(make_wav: Callable[..., Path]) -> None:
    decoded = decode_audio(make_wav(clicks(120, 100.0)), max_seconds=24.0, windows=3)
    assert decoded.truncated
    assert row(decoded.samples)["tempo_bpm"] == pytest.approx(120, rel=0.02)


def test_rhythm_of_a_hand_made_envelope() -> None:
    """An onset in every 10th of 20 frames a second: two a second, 120 a minute."""
    envelope = np.tile(np.eye(1, 10)[0] * 5, 12)
    found = rhythm(envelope, frames_per_s=20.0)
    assert found.tempo_bpm == pytest.approx(120, rel=0.01)
    assert found.onsets_per_s == pytest.approx(2.0)
    assert int(np.argmax(found.pulse[4:])) + 4 == int(np.argmin(np.abs(PULSE_BPM - 120)))


def test_loudness_of_a_full_scale_sine() -> None:
    """ITU-R BS.1770-4, annex 1: 0 dB FS at 997 Hz in one channel reads -3.01 LKFS."""
    tone = sine(997.0, 5.0) / 0.4
    assert integrated_loudness(tone) == pytest.approx(-3.01, abs=0.05)
    assert integrated_loudness(0.1 * tone) == pytest.approx(-23.01, abs=0.05)


def test_loudness_is_gated() -> None:
    """Silence doesn't count, nor a part 20 dB below the rest, but for the few blocks that lie across the border."""
    tone = sine(997.0, 5.0) / 0.4
    for rest in (np.zeros(len(tone)), 0.1 * tone):
        assert integrated_loudness(np.concatenate([tone, rest])) == pytest.approx(-3.01, abs=0.3)
    assert integrated_loudness(np.concatenate([tone, 0.5 * tone])) == pytest.approx(-3.01 - 2.04, abs=0.1)


def test_loudness_of_next_to_nothing() -> None:
    assert integrated_loudness(np.zeros(SAMPLE_RATE)) is None
    assert integrated_loudness(sine(997.0, 0.1) / 0.4) == pytest.approx(-3.01, abs=0.5)


def test_levelled_sounds_are_equally_loud() -> None:
    for level in (0.01, 0.3, 1.0):
        assert integrated_loudness(normalise_loudness(level * spoken())) == pytest.approx(TARGET_LUFS, abs=0.01)


def test_trimming_cuts_the_ends_and_no_more() -> None:
    pause = np.zeros(SAMPLE_RATE)
    sound = np.concatenate([pause, sine(440, 1.0), pause, sine(440, 1.0), pause]).astype(np.float32)
    assert len(trim_silence(sound, 40.0)) / SAMPLE_RATE == pytest.approx(3.0, abs=0.1)
    assert row(sound)["trimmed_s"] == pytest.approx(2.0, abs=0.1)
    assert row(sound)["duration_s"] == 5.0


def test_silence_around_a_sound_hardly_changes_its_vector() -> None:
    pause = np.zeros(2 * SAMPLE_RATE)
    bare, padded, other = vectors(spoken(), np.concatenate([pause, spoken(), pause]), clicks(120, 3.0))
    assert distance(bare, padded) < 0.15 * distance(bare, other)


@pytest.mark.parametrize("gain_db", [-20, -10, 6])
def test_gain_hardly_changes_the_vector(gain_db: int) -> None:
    sound = 0.4 * spoken()
    plain, louder, other = vectors(sound, sound * 10 ** (gain_db / 20), clicks(120, 3.0))
    assert distance(plain, louder) < 0.01 * distance(plain, other)
    assert row(sound * 10 ** (gain_db / 20))["loudness_lufs"] == pytest.approx(row(sound)["loudness_lufs"] + gain_db)


@pytest.mark.parametrize("snr_db", [10, 5])
def test_gate_brings_a_noisy_vector_closer(snr_db: int) -> None:
    clean = spoken()
    level = np.sqrt(np.mean(clean**2)) * 10 ** (-snr_db / 20)
    noisy = clean + noise(len(clean), level)
    apart = {
        denoise: distance(*vectors(clean, noisy, encoder=MelMfcc(denoise=denoise))) for denoise in ("none", "gate")
    }
    assert apart["gate"] < 0.8 * apart["none"]


def test_gate_lowers_noise_and_keeps_the_sound() -> None:
    """Noise alone for a second, then a tone for a second 20 dB above it."""
    hiss = noise(2 * SAMPLE_RATE, 0.01)
    tone = np.concatenate([np.zeros(SAMPLE_RATE), sine(1000, 1.0)])
    left = spectral_gate((hiss + tone).astype(np.float32))
    level = [20 * np.log10(part.std()) for part in (hiss, left[:SAMPLE_RATE], tone[SAMPLE_RATE:], left[SAMPLE_RATE:])]
    assert level[1] < level[0] - 8
    assert level[3] == pytest.approx(level[2], abs=0.5)


def test_gate_leaves_what_is_clean() -> None:
    sound = np.concatenate([sine(1000, 1.0), np.zeros(SAMPLE_RATE), sine(300, 1.0)]).astype(np.float32)
    np.testing.assert_allclose(spectral_gate(sound), sound, atol=1e-5)
    assert len(spectral_gate(sound[:100])) == 100


def test_deltas_of_a_steady_tone_are_nothing() -> None:
    seen = spectrum(sine(440, 3.0).astype(np.float32))
    for order in (1, 2):
        assert np.abs(seen.deltas(order)[:, 9:-9]).max() < 0.05


def test_delta_of_a_crescendo_is_its_slope() -> None:
    """20 dB more in every second moves the first MFCC by 20 dB times the root of 64 bands, in 43 frames."""
    samples = noise(3 * SAMPLE_RATE) * 10 ** (np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)
    slope = spectrum(samples.astype(np.float32)).deltas(1)[0, 9:-9].mean()
    assert slope == pytest.approx(20 * 8 / (SAMPLE_RATE / 512), rel=0.05)


def test_contrast_of_a_tone_is_above_that_of_noise() -> None:
    tone, hiss = (
        row(sound)["spectral_contrast"] for sound in (sine(1000) + noise(2 * SAMPLE_RATE, 1e-3), noise(44100))
    )
    assert tone[3] > hiss[3] + 15


def test_steps_are_means_over_equal_parts() -> None:
    curves = np.arange(8.0)[None]
    np.testing.assert_allclose(segment_means(curves, 4), [[0.5, 2.5, 4.5, 6.5]])
    np.testing.assert_allclose(segment_means(curves[:, :2], 4), [[0, 0, 1, 1]])
    np.testing.assert_allclose(segment_means(curves[:, :3], 2), [[1 / 3, 5 / 3]])


def test_mel_sequence_is_time_by_bands() -> None:
    """A low tone, then a high one: the loudest of 32 bands moves up at half of 32 steps."""
    sequence = np.reshape(row(np.concatenate([sine(300, 2.0), sine(5000, 2.0)]))["mel_sequence"], (32, 32))
    loudest = sequence.argmax(axis=1)
    assert len(set(loudest[:15])) == len(set(loudest[17:])) == 1
    assert loudest[0] < loudest[-1]
    assert sequence.min() == pytest.approx(FLOOR_DB)


def test_silence_is_finite_and_undefined_features_are_null() -> None:
    undefined = ("tempo_bpm", "loudness_lufs", "spectral_centroid_hz", "zero_crossing_rate", "chroma")
    for samples in (np.zeros(SAMPLE_RATE), np.zeros(1), noise(SAMPLE_RATE, 1e-5)):
        found = row(samples)
        assert np.isfinite(found["vector"]).all()
        assert {found[name] for name in undefined} == {None}
        assert (found["silent"], found["onsets_per_s"]) == (True, 0.0)
    assert row(np.zeros(1))["rms_db"] == -100


def test_no_two_sounds_are_too_short_to_encode() -> None:
    for length in (1, 2, 100, 2047, 2048, 2049, 8819, 8820):
        assert np.isfinite(vectors(sine(440)[:length])).all()


def test_vector_sees_timbre_and_tempo() -> None:
    tone = sine(440, seconds=4.0)
    hiss = noise(len(tone))
    slow, slow_again, fast, bright = vectors(tone + hiss, tone + 0.9 * hiss, clicks(150, 4.0), sine(4000, 4.0))
    near = distance(slow, slow_again)
    assert near < 0.5 * min(distance(slow, bright), distance(slow, fast))
    at_75, at_150 = vectors(clicks(75, 6.0), clicks(150, 6.0))[:, -15:]
    assert distance(at_75, at_150) > 0.5


@pytest.mark.parametrize("encoder", [MelMfcc(), Mfcc()], ids=lambda encoder: encoder.name)
def test_vectors_are_those_of_the_batch(encoder: AudioEncoder) -> None:
    sounds = (spoken(), clicks(100, 2.0))
    batch = features(*sounds, encoder=encoder)
    np.testing.assert_array_equal(np.array(batch["vector"].to_pylist(), np.float32), vectors(*sounds, encoder=encoder))


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_seconds", 0.0), ("window_s", -1.0), ("trim_db", float("nan")), ("windows", 0), ("denoise", "much")],
)
def test_wrong_parameters_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} is .*{value}.*; give"):
        MelMfcc(**{name: value})


def test_all_that_changes_the_samples_is_in_the_fingerprint() -> None:
    others = ({"max_seconds": 9.0}, {"window_s": 9.0}, {"windows": 9}, {"denoise": "gate"}, {"trim_db": 9.0})
    assert len({MelMfcc(**other).fingerprint for other in others} | {MelMfcc().fingerprint}) == 6


def test_real_sounds(stamps: Path) -> None:
    """A cow's voice, and its name in French."""
    effect, name = (
        decode_audio(stamps / "audio" / f"animals-mammals-bovines-{kind}.ogg")
        for kind in ("cow-effect", "cow_white-spoken-fr")
    )
    for found in MelMfcc().encode([effect, name]).to_pylist():
        assert not found["silent"]
        assert -50 < found["loudness_lufs"] < 0
        assert 100 < found["spectral_centroid_hz"] < 5000
