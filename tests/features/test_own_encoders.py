"""What the pages about encoders show, run as shown: encoders of one's own, and configurations."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from features.registry import encoder, locate
from schemas.classes import check_parameters, class_at
from schemas.config import Config
from tests.features.conftest import save

DOCS = Path(__file__).parents[2] / "docs"
OWN = (DOCS / "howto" / "own-encoder.md").read_text("utf-8")
CONFIGURED = (DOCS / "reference" / "encoders.md").read_text("utf-8")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documentation's classes, where they can be imported."""
    (tmp_path / "own_encoders.py").write_text("\n".join(re.findall(r"^```python\n(.*?)^```", OWN, re.M | re.S)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_encoders", raising=False)


@pytest.mark.usefixtures("own")
def test_the_documented_encoder_of_texts() -> None:
    made = encoder("text", "own_encoders:TitleLength")
    assert made.encode([made.decode("frog")])["vector"].to_pylist() == [[4.0]]
    assert made.fingerprint.startswith("title-length-")


@pytest.mark.usefixtures("own")
def test_the_documented_encoder_on_pytorch(tmp_path: Path) -> None:
    """Eight sums of a white picture's 16 x 16 patches, of which each has 768 ones."""
    weights = np.arange(8, dtype=np.float32)
    kernels = np.broadcast_to(weights[:, None, None, None], (8, 3, 16, 16))
    save_file({"0.weight": np.ascontiguousarray(kernels), "0.bias": weights}, tmp_path / "weights.safetensors")
    made = encoder("image", "own_encoders:TorchPicture", weights=str(tmp_path / "weights.safetensors"))
    assert made.fingerprint.startswith("torch-picture-")
    pytest.importorskip("torch", reason="PyTorch is no dependency")
    picture = made.decode(save(np.full((40, 60, 3), 255, np.uint8), tmp_path / "white.png"))
    (vector,) = made.encode([picture])["vector"].to_pylist()
    np.testing.assert_allclose(vector, 769 * weights, rtol=1e-5)
    assert made.encode([]).num_rows == 0


@pytest.mark.usefixtures("own")
def test_the_documented_configurations_name_encoders_and_parameters_that_there_are() -> None:
    for text in re.findall(r"^```yaml\n(.*?)^```", CONFIGURED + OWN, re.M | re.S):
        for modality, several in Config.model_validate(yaml.safe_load(text)).extract.encoders.items():
            for choice in several:
                check_parameters(choice.name, class_at(locate(modality, choice.name)), choice.parameters)
