"""The encoders' networks are Keras alone: another backend of Keras computes the same vectors."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("jax", "torch")
"""Backends of Keras that are not this project's own; the tests use the first that is installed."""

PROGRAM = """
import sys
import numpy as np
from features.keras_forward import forward
from features.registry import encoder
from features.text.nlp.analysis import Analysis
from features.video.recurrent import _network
from tests.features.conftest import texture

pictures = np.stack([texture(224, 224, seed=seed) for seed in range(2)])
texts = ("A green frog sits in the pond.", "一只绿色的青蛙坐在池塘里。", "frog " * 700)
frames = np.random.default_rng(0).normal(size=(2, 16, 1280)).astype(np.float32)
there = np.array([np.arange(16) < 16, np.arange(16) < 5]).astype(np.float32)
last, mean = forward(_network(16, 1280, 64, "float32"), [frames, there], batch=2)
np.savez(
    sys.argv[1],
    efficientnet=encoder("image", "efficientnet-lite0", batch=2, engine="keras").embed(pictures),
    resnet=encoder("image", "resnet50", weights="none", batch=2, engine="keras").embed(pictures),
    e5=encoder("text", "e5-small", engine="keras").vectors([Analysis(text, "und", [], []) for text in texts]),
    last=last,
    mean=mean,
)
"""


def vectors(backend: str, path: Path) -> dict[str, np.ndarray]:
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], env=environment, check=True, timeout=500)
    return dict(np.load(path))


def test_another_backend_computes_the_same_vectors(tmp_path: Path) -> None:
    other = next((name for name in OTHERS if find_spec(name)), None)
    if other is None:
        pytest.skip(f"none of {', '.join(OTHERS)} is installed, which are Keras' other backends")
    ours, theirs = vectors("tensorflow", tmp_path / "ours.npz"), vectors(other, tmp_path / "theirs.npz")
    for name, rows in ours.items():
        assert rows.shape == theirs[name].shape, name
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(theirs[name], axis=1)
        assert ((rows * theirs[name]).sum(axis=1) / lengths >= 0.999).all(), name


def test_no_encoder_imports_a_backend() -> None:
    for path in sorted((ROOT / "features").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"tensorflow", *OTHERS}, path
