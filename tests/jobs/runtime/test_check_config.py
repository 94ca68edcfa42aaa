"""What a configuration names is found, or named with the nearest that there is, before any step runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from features.registry import locate
from fusion.data.arguments import class_by_name
from fusion.data.splits import Split
from fusion.evaluation.evaluate import METRICS, evaluate
from jobs.runtime.check_config import check, settings
from schemas.config import Config, ConfigError, load
from schemas.table import MEDIA
from tests.features import tiny_onnx
from tests.features.text import tiny_bert
from tests.fusion.worlds import history_of


@pytest.mark.parametrize("profile", ["embedded", "gpu"])
def test_a_profile_that_needs_nothing_from_elsewhere_is_valid(profile: str) -> None:
    check(load(profile))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"fusion": {"strategy": "dceision"}}, r"fusion\.strategy: .*'dceision': unknown; did you mean decision\?"),
        ({"fusion": {"candidates": ["decision", "wieghted"]}}, r"fusion\.candidates: .*did you mean weighted\?"),
        (
            {"fusion": {"strategy": "decision", "parameters": {"rnak": 1}}},
            r"fusion\.strategy: strategy 'decision' has no parameter 'rnak'; did you mean rank\?",
        ),
        ({"fusion": {"parameters": {"rank": 8}}}, r"strategy 'stack' has no parameter 'rank'; it takes leave_out"),
        (
            {"fusion": {"parameters": {"leave_out": ["trned"]}}},
            r"fusion\.strategy: strategy 'stack': leave_out 'trned': no scorer; did you mean trend\?",
        ),
        ({"fusion": {"strategy": "decision", "candidates": ["oracle"]}}, r"fusion\.candidates: strategy 'oracle'"),
        ({"fusion": {"missing": {"policy": "meen"}}}, r"fusion\.missing: .*'meen': unknown; did you mean mean\?"),
        (
            {"fusion": {"missing": {"policy": "neighbours", "parameters": {"neighbuors": 5}}}},
            r"fusion\.missing: .* has no parameter 'neighbuors'; did you mean neighbours\? it takes neighbours, dims",
        ),
        (
            {"fusion": {"missing": {"policy": "neighbours", "parameters": {"neighbours": 0}}}},
            r"fusion\.missing: .*'neighbours': neighbours 0: expected 1 or more",
        ),
        ({"fusion": {"missing": {"policy": "mean", "parameters": {"k": 1}}}}, r"no parameter 'k'; it takes none"),
        (
            {"fusion": {"strategy": "content", "tuning": {"trials": 3}}},
            r"fusion\.tuning: content has no parameters to search",
        ),
        (
            {"fusion": {"strategy": "weighted", "parameters": {"epocs": 3}}},
            r"strategy 'weighted' has no parameter 'epocs'; did you mean epochs\? it takes weighting,",
        ),
        (
            {"fusion": {"strategy": "multitask", "parameters": {"loss": "bpr"}}},
            r"strategy 'multitask' has no parameter 'loss'",
        ),
        ({"fusion": {"strategy": "weighted", "parameters": {"epochs": -3}}}, r"'weighted': epochs -3: input should be"),
        ({"evaluate": {"gate_metric": "ndgc"}}, r"evaluate\.gate_metric 'ndgc': unknown; did you mean ndcg\?"),
        ({"evaluate": {"gate_metric": "coverage"}}, r"evaluate\.gate_metric 'coverage': unknown"),
    ],
)
def test_a_name_of_fusion_is_found_or_refused(given: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        check(Config.model_validate(given))


@pytest.mark.parametrize(
    ("modality", "choice", "expected"),
    [
        ("text", {"name": "e6-small"}, r"no text encoder is called 'e6-small'; did you mean e5-small\?"),
        ("text", {"name": "bag-of-words", "parameters": {"dmi": 8}}, r"has no parameter 'dmi'; did you mean dim\?"),
        ("text", {"name": "bag-of-words", "parameters": {"dim": 1}}, r"bag-of-words: dim is 1"),
        ("text", {"name": "hog"}, "no text encoder is called 'hog'"),
        ("text", {"name": "nosuch.module:Mine"}, "'nosuch.module:Mine' cannot be imported: No module named 'nosuch'"),
        ("text", {"name": "tests.toys:Nosuch"}, "'tests.toys:Nosuch' cannot be imported"),
        ("text", {"name": "tests.toys:ImageBytes"}, "'tests.toys:ImageBytes' is no encoder of text"),
        ("text", {"name": "pathlib:Path"}, "'pathlib:Path' is no encoder of text"),
        ("image", {"name": "resnet50", "parameters": {"weights": "/nowhere/resnet.h5"}}, "no weight file at /nowhere"),
        ("image", {"name": "given"}, "given: name is ''; expected a name for what made the vectors"),
        ("image", {"name": "given", "parameters": {"name": " ", "dim": 8}}, "given: name is ' '; expected"),
        ("image", {"name": "given", "parameters": {"name": "clip"}}, "given: dim is 0; expected the width"),
        ("text", {"name": "given", "parameters": {"name": "clip", "dim": -1}}, "given: dim is -1; expected"),
        ("audio", {"name": "given", "parameters": {"name": "clip", "dim": "8"}}, "given: dim is '8'; expected"),
        ("video", {"name": "given", "parameters": {"name": "clip", "dim": True}}, "given: dim is True; expected"),
        (
            "image",
            {"name": "given", "parameters": {"name": "clip", "dims": 8}},
            r"given has no parameter 'dims'; did you mean dim\? it takes name, dim",
        ),
        ("text", {"name": "tests.jobs.toys:Gift"}, "'tests.jobs.toys:Gift' calls itself 'given-away'"),
        ("video", {"name": "frame-rnn", "parameters": {"momments": 4}}, r"'momments'; did you mean moments\?"),
        ("video", {"name": "frame-rnn", "parameters": {"appearance": {"name": "hgo"}}}, r"did you mean hog\?"),
        (
            "video",
            {"name": "frame-mean", "parameters": {"appearance": {"name": "hog", "parameters": {"fitt": "crop"}}}},
            r"frame-mean: hog has no parameter 'fitt'; did you mean fit\? it takes fit",
        ),
        ("image", {"name": "onnx", "parameters": {"weights": "/nowhere/clip.onnx"}}, "'/nowhere/clip.onnx', which is"),
        (
            "image",
            {"name": "onnx", "parameters": {"weights": "x", "sise": 8}},
            r"'sise'; did you mean size\? it takes w",
        ),
        ("audio", {"name": "onnx"}, "onnx: .*missing 1 required keyword-only argument: 'weights'"),
        (
            "text",
            {"name": "keras-hub", "parameters": {"weights": "bert_base_en"}},
            "'bert_base_en', which is no folder",
        ),
    ],
)
def test_an_encoder_is_found_or_refused(modality: str, choice: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=rf"extract\.encoders\.{modality}: .*{expected}"):
        check(Config.model_validate({"extract": {"encoders": {modality: choice}}}))


@pytest.mark.parametrize("modality", MEDIA)
def test_vectors_may_be_given_for_every_modality(modality: str) -> None:
    given = {"name": "given", "parameters": {"name": "my-clip", "dim": 512}}
    check(Config.model_validate({"extract": {"encoders": {modality: given}}}))


def test_an_encoder_of_ones_own_is_found() -> None:
    check(Config.model_validate({"extract": {"encoders": {"text": {"name": "tests.toys:TextBytes"}}}}))


def test_a_search_needs_one_strategy_that_can_be_searched() -> None:
    searched = {"strategy": "auto", "candidates": ["content", "decision"], "tuning": {"minutes": 1}}
    check(Config.model_validate({"fusion": searched}))


def test_the_registries_name_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"animal 'hrose': unknown; did you mean horse\? choose one of cow, horse"):
        class_by_name("animal", {"horse": "a:B", "cow": "a:C"}, "hrose")
    with pytest.raises(ValueError, match=r"'resnet51'; did you mean resnet50\?"):
        locate("image", "resnet51")


def test_every_metric_of_the_gate_has_a_figure_a_user_at_each_k() -> None:
    """The others that have one measure what lists show, where more is not better."""
    train, test = history_of([(0, 0, 1), (1, 1, 1)]), history_of([(0, 1, 2), (1, 2, 2)])
    split = Split(train, history_of([], users=2), test)
    figures = evaluate(
        {"model": lambda users: np.tile(np.array([3.0, 2.0, 1.0], np.float32), (len(users), 1))},
        split=split,
        split_name="",
        n_items=3,
        ks=[2],
        segments=["all"],
    )
    judged = {figure.metric for figure in figures if figure.k == 2 and len(figure.per_user) == 2}
    assert judged == {*METRICS, "novelty", "popularity_bias"}


def test_a_line_for_each_setting_names_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    given = {
        "extract": {"encoders": {"text": {"name": "bag-of-words", "parameters": {"dim": 64}}}},
        "events": {"weights": {"view": 0.25}},
        "fusion": {"candidates": ["decision"]},
    }
    path.write_text(json.dumps(given))
    lines = list(settings(load(path).model_dump(mode="json"), given, source="night.yaml"))
    for line in (
        'extract.encoders.text.name: "bag-of-words" (night.yaml)',
        "extract.encoders.text.parameters.dim: 64 (night.yaml)",
        "extract.encoders.text.batch_size: 32 (default)",
        'extract.encoders.image.name: "efficientnet-lite0" (default)',
        "extract.encoders.image.parameters: {} (default)",
        "events.weights.view: 0.25 (night.yaml)",
        "events.aliases: {} (default)",
        'fusion.candidates: [{"strategy": "decision", "parameters": {}}] (night.yaml)',
        'fusion.strategy: "auto" (default)',
        "fusion.tuning.trials: null (default)",
        "evaluate.ks: [10, 20] (default)",
    ):
        assert lines.count(line) == 1, line
    assert not any(line.startswith("events.weights.click") for line in lines)


def test_a_model_that_takes_other_pictures_is_refused(tmp_path: Path) -> None:
    weights = tiny_onnx.image(tmp_path / "model.onnx")
    image = {"name": "onnx", "parameters": {"weights": weights, "output": "embeds", "size": 224}}
    expected = (
        r"extract\.encoders\.image: onnx: the model in .*model\.onnx takes pixels float32 \[n, 3, 16, 16\]; expected"
    )
    with pytest.raises(ConfigError, match=expected):
        check(Config.model_validate({"extract": {"encoders": {"image": image}}}))


def test_vectors_of_one_space_have_one_width(tmp_path: Path) -> None:
    weights = tiny_onnx.image(tmp_path / "model.onnx")
    parameters = {"weights": weights, "output": "embeds", "size": tiny_onnx.SIDE, "space": "clip"}
    words = {"weights": tiny_onnx.text(tmp_path / "words.onnx"), "pooling": "mean", "max_tokens": 8, "space": "clip"}
    encoders = {"image": {"name": "onnx", "parameters": parameters}, "text": {"name": "onnx", "parameters": words}}
    check(Config.model_validate({"extract": {"encoders": encoders}}))
    sounds = {"weights": tiny_onnx.audio(tmp_path / "sounds.onnx"), "space": "clip"}
    other = {"name": "keras-hub", "parameters": {"weights": tiny_bert.write(tmp_path / "bert"), "space": "clip"}}
    encoders |= {"text": other, "audio": {"name": "onnx", "parameters": sounds}}
    expected = r"share the space 'clip' with vectors (16|4) and (16|4) wide; give both towers of one model"
    with pytest.raises(ConfigError, match=expected):
        check(Config.model_validate({"extract": {"encoders": encoders}}))
