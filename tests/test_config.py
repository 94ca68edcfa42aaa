"""The configuration: wrong names are found with the nearest right one, and settings that belong together fit."""

from pathlib import Path

import pytest

from schemas.config import Config, ConfigError, EncoderChoice, load
from schemas.errors import did_you_mean


def error_of(text: str, folder: Path) -> str:
    """The error of a configuration, without the path of its file."""
    path = folder / "night.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    return str(refused.value).removeprefix(f"{path}: ")


def test_the_nearest_name_is_named_and_a_far_one_is_not() -> None:
    assert did_you_mean("dceision", ["decision", "stack"]) == "did you mean decision? "
    assert did_you_mean("oracle", ["decision", "stack"]) == ""
    assert did_you_mean(7, [70, 1]) == "did you mean 70? "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fuson: {}", "no setting is called 'fuson'; did you mean fusion? choose among landing, events, clean,"),
        ("fusion: {stratgy: x}", "fusion: no setting is called 'stratgy'; did you mean strategy?"),
        ("fusion: {candidates: [{strategy: x, parms: {}}]}", "fusion.candidates.0: no setting is called 'parms'; did"),
        (
            "extract: {encoders: {text: {nmae: x}}}",
            "extract.encoders.text.0: no setting is called 'nmae'; did you",
        ),
        ("extract: {encoders: {text: []}}", "extract.encoders: text has no encoder: expected one, or a list"),
        ("extract: {encoders: {text: [{name: a}, {name: a}]}}", "extract.encoders: text names 'a' twice"),
        (
            "extract: {encoders: {text: [{name: given}, {name: given, parameters: {dim: 3}}]}}",
            "extract.encoders: text names 'given'",
        ),
        ("extract: {encoders: {vidoe: {name: x}}}", "extract.encoders.vidoe 'vidoe': did you mean video?"),
        ("fusion: {split: {kind: per_usr}}", "fusion.split.kind 'per_usr': did you mean per_user?"),
        ("fusion: {contradictions: {alignment: cca}}", "fusion.contradictions: alignment: modalities are always"),
        ("fusion: {standardise: robots}", "fusion.standardise 'robots': did you mean robust?"),
        ("events: {aliases: {thumb: lke}}", "events: aliases.thumb 'lke': did you mean like? expected an event"),
        ("events: {aliases: {thumb: like}, weights: {view: 1}}", "events: aliases.thumb 'like': expected an event"),
        ("fusion: {split: {test_share: 0.6, valid_share: 0.4}}", "fusion.split: test_share 0.6 and valid_share 0.4:"),
        ("evaluate: {gate_k: 7}", "evaluate: gate_k 7 is not in ks [10, 20]"),
        ("evaluate: {ks: [10]}", "evaluate: gate_k 20 is not in ks [10]"),
        ("evaluate: {ks: [0, 20]}", "evaluate: ks [0, 20]: expected at least one length"),
        ("evaluate: {ks: [20, 20]}", "evaluate: ks [20, 20]: expected at least one length"),
        ("evaluate: {ks: [], gate_k: 1}", "evaluate: ks []: expected at least one length"),
        ("clean: {max_refused_share: 2}", "clean.max_refused_share 2: input should be less than or equal to 1"),
        ("fusion: {min_likes: 0, seed: x}", "fusion.min_likes 0: input should be greater than or equal to 1; fusion."),
        ("- clean", "expected the sections landing, events, clean,"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_expected(tmp_path: Path, text: str, expected: str) -> None:
    error = error_of(text, tmp_path)
    assert error.startswith(expected)
    assert len(error.splitlines()) == 1


def test_a_file_that_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_bytes(b"fusion: \xff\xfe")
    with pytest.raises(ConfigError, match=r"night\.yaml: not valid YAML"):
        load(tmp_path / "night.yaml")


def test_a_misspelt_profile_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"--config embeded: no such file; did you mean embedded\?"):
        load("embeded")


def test_encoders_that_are_left_out_are_the_default_ones(tmp_path: Path) -> None:
    """The first example of docs/reference/encoders.md with one line of its two."""
    path = tmp_path / "night.yaml"
    path.write_text("extract: {encoders: {image: {name: resnet50, parameters: {weights: none}, batch_size: 64}}}")
    found, default = load(path).extract.encoders, Config().extract.encoders
    assert found["image"] == (EncoderChoice(name="resnet50", parameters={"weights": "none"}, batch_size=64),)
    assert {m: found[m] for m in ("text", "audio", "video")} == {m: default[m] for m in ("text", "audio", "video")}
    assert list(found) == list(default)
    assert Config().extract.encoders["image"][0].name == "efficientnet-lite0", "the default is as it was"
