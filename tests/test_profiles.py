"""The profiles under `conf/`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from features.registry import encoder
from fusion.models.registry import create
from schemas.config import PROFILES, Config, load
from schemas.table import MEDIA


def test_the_default_profile_is_the_default_config() -> None:
    assert load("embedded") == Config()


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_what_a_profile_names_can_be_made(profile: str) -> None:
    config = load(profile)
    for candidate in config.fusion.considered:
        create(candidate.strategy, candidate.parameters)
    for modality in MEDIA:
        (choice,) = config.extract.encoders[modality]
        assert encoder(modality, choice.name, **without_weights(choice.parameters)).fingerprint


def test_the_reference_profile_makes_4096_columns() -> None:
    choices = load("reference").extract.encoders
    widths = [encoder(m, one.name, **without_weights(one.parameters)).dim for m in MEDIA for one in choices[m]]
    assert sum(widths) == 4096


def test_the_gpu_profile_asks_spark_for_gpus() -> None:
    settings = load("gpu").extract.spark_settings()
    script = Path(settings["spark.executor.resource.gpu.discoveryScript"])
    assert os.access(script, os.X_OK)
    assert settings["spark.executor.resource.gpu.amount"] == "1"
    assert 0 < float(settings["spark.task.resource.gpu.amount"]) <= 1


def test_the_gpu_profile_makes_the_vectors_of_the_default_in_larger_batches() -> None:
    made, usual = (
        {m: encoder(m, choice.name, **choice.parameters) for m, (choice,) in config.extract.encoders.items()}
        for config in (load("gpu"), Config())
    )
    assert [made[m].fingerprint for m in MEDIA] == [usual[m].fingerprint for m in MEDIA]
    assert [network.batch for network in (made["text"], made["image"], made["video"].appearance)] == [256] * 3


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
