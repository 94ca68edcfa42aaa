"""The profiles under `conf/`."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from features.registry import encoder
from fusion.data.attributes import attribute_rows
from fusion.data.catalog import Catalog
from fusion.models.registry import create
from jobs.demo.encode import encode_video
from jobs.demo.pictures import picture, write_picture
from jobs.demo.sounds import tune, write_sound
from jobs.demo.videos import FPS, clip
from jobs.runtime.check_config import check
from schemas.config import PROFILES, Config, ConfigError, load
from schemas.table import MEDIA
from tests.fusion.worlds import history_of


def test_the_default_profile_is_the_default_config() -> None:
    assert load("embedded") == Config()


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_what_a_profile_names_can_be_made(profile: str) -> None:
    config = load(profile)
    for candidate in config.fusion.considered:
        create(candidate.strategy, candidate.parameters)
    for modality in MEDIA:
        for choice in config.extract.encoders[modality]:
            assert encoder(modality, choice.name, **without_weights(choice.parameters)).fingerprint


def test_the_reference_profile_makes_4096_columns() -> None:
    choices = load("reference").extract.encoders
    widths = [encoder(m, one.name, **without_weights(one.parameters)).dim for m in MEDIA for one in choices[m]]
    assert sum(widths) == 4096


def test_the_reference_profile_says_in_one_line_what_its_weights_need(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ConfigError) as told:
        check(load("reference"))
    assert "\n" not in str(told.value)
    for words in ("extract.encoders.image", f"{tmp_path}/models holds no resnet50", "ResNet50()", "path as weights"):
        assert words in str(told.value)


@pytest.mark.slow
def test_the_reference_profile_goes_from_media_to_scores(tmp_path: Path) -> None:
    """With untrained weights: 4,096 columns of real media, and the multi-task model that is trained on them."""
    config, n = load("reference"), 4
    vectors = {}
    for modality in MEDIA:
        (choice,) = config.extract.encoders[modality]
        made = encoder(modality, choice.name, **without_weights(choice.parameters))
        batch = made.encode([made.decode(CONTENT[modality](tmp_path, k)) for k in range(n)])
        vectors[modality] = np.array(batch.column("vector").to_pylist(), np.float32)
    assert sum(found.shape[1] for found in vectors.values()) == 4096
    ids, has = np.array([f"i{k}" for k in range(n)]), dict.fromkeys(MEDIA, np.ones(n, np.bool_))
    vectors["attributes"] = attribute_rows([{} for _ in ids])
    has["attributes"] = np.zeros(n, np.bool_)
    catalog = Catalog(ids, vectors, has, np.array(["lamp", "mug"] * 2))
    history = history_of([(user, user % 2 + 2 * k, k, 1.0, 4 + k) for user in range(8) for k in range(2)])
    (candidate,) = config.fusion.considered
    model = create(candidate.strategy, {**candidate.parameters, "untuned_epochs": 1, "steps_per_epoch": [2, 2]})
    log = model.fit(catalog, history, seed=1)
    assert list(log.tasks) == ["interaction", "rating", "category"]
    scores = model.user_vectors(catalog, history) @ model.item_vectors(catalog).T
    liked = np.zeros(scores.shape, np.bool_)
    liked[history.user, history.item] = True
    assert scores[liked].mean() > scores[~liked].mean()
    assert all(model.masks(catalog)[modality].all() for modality in MEDIA)


def test_the_gpu_profile_asks_spark_for_gpus() -> None:
    settings = load("gpu").extract.spark_settings()
    script = Path(settings["spark.executor.resource.gpu.discoveryScript"])
    assert os.access(script, os.X_OK)
    assert settings["spark.executor.resource.gpu.amount"] == "1"
    assert 0 < float(settings["spark.task.resource.gpu.amount"]) <= 1


def test_the_gpu_profile_makes_the_vectors_of_the_default_in_larger_batches() -> None:
    made, usual = (
        {m: [encoder(m, one.name, **one.parameters) for one in several] for m, several in extract.encoders.items()}
        for extract in (load("gpu").extract, Config().extract)
    )
    for modality in MEDIA:
        assert [one.fingerprint for one in made[modality]] == [one.fingerprint for one in usual[modality]]
    networks = (made["text"][0], made["image"][0], made["video"][0].appearance)
    assert [network.batch for network in networks] == [256] * 3


def test_the_discovery_script_says_what_the_driver_says(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run([PROFILES / "gpu_addresses.sh"], env={"PATH": path}, capture_output=True, check=True).stdout
    assert json.loads(told) == {"name": "gpu", "addresses": ["0", "1"]}


def without_weights(parameters: dict) -> dict:
    """The parameters with `none` for weights that the machine may lack."""
    return {
        name: "none" if name == "weights" else without_weights(value) if isinstance(value, dict) else value
        for name, value in parameters.items()
    }


def a_picture(folder: Path, number: int) -> Path:
    random, path = np.random.default_rng(number), folder / f"{number}.png"
    write_picture(path, picture(random, kind=number, palette=number, texture=number, count=1, daylight=0.0))
    return path


def a_sound(folder: Path, number: int) -> Path:
    path = folder / f"{number}.wav"
    write_sound(path, tune(np.random.default_rng(number), timbre=number, tempo=number / 4, daylight=0.0))
    return path


def a_film(folder: Path, number: int) -> Path:
    path = folder / f"{number}.mp4"
    frames = clip(np.random.default_rng(number), pattern=number, direction=number, speed=0.0, daylight=0.0)
    encode_video(path, frames, FPS)
    return path


CONTENT = {
    "text": lambda folder, number: ["a lamp", "a blue mug", "a desk lamp", "a mug for tea"][number],
    "image": a_picture,
    "audio": a_sound,
    "video": a_film,
}
"""Modality → (folder, number) → a content of that modality."""
