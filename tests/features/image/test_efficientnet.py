import json
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from features.image import efficientnet
from features.image.load import load_picture
from features.image.torch_checkpoint import MAGIC, PROTOCOL, CheckpointError, read_checkpoint
from features.registry import ENCODERS, encoder
from schemas.features import GIVEN
from tests.conftest import ROOT
from tests.features.conftest import texture
from tests.features.test_encoders import arguments

# ImageNet classes of photographs whose subject fills the picture.
PHOTOGRAPHS = {
    "animals-birds-rooster.png": 7,  # cock
    "animals-birds-hen.png": 8,  # hen
    "animals-birds-magpie.png": 18,  # magpie
    "animals-birds-peacock.png": 84,  # peacock
    "animals-birds-tucan.png": 96,  # toucan
    "animals-birds-pink_flamingo.png": 130,  # flamingo
    "animals-marsupials-koala.png": 105,  # koala
    "animals-marsupials-wombat.png": 106,  # wombat
    "animals-insects-Brown_slug.png": 114,  # slug
    "animals-mammals-cats-tiger.png": 292,  # tiger
    "animals-insects-fly.png": 308,  # fly
    "animals-insects-mantis.png": 315,  # mantis
    "animals-mammals-rodents-beaver.png": 337,  # beaver
    "animals-mammals-equines-zebra.png": 340,  # zebra
    "animals-mammals-bovines-bison.png": 347,  # bison
    "animals-mammals-camel-dromedary.png": 354,  # Arabian camel
    "animals-mammals-aquatic-otter.png": 360,  # otter
    "animals-mammals-badger.png": 362,  # badger
    "animals-mammals-apes-gorilla.png": 366,  # gorilla
    "hobbies-binoculars.png": 447,  # binoculars
    "hobbies-music-string-cello.png": 486,  # cello
    "hobbies-music-string-guitar_electric.png": 546,  # electric guitar
    "medical-stethoscope.png": 823,  # stethoscope
    "medical-syringe.png": 845,  # syringe
    "household-toilet.png": 861,  # toilet seat
    "food-vegetables-broccoli.png": 937,  # broccoli
    "food-fruit-strawberry.png": 949,  # strawberry
    "food-fruit-lemon.png": 951,  # lemon
}


@pytest.mark.slow
def test_photographs_get_their_class(stamps: Path) -> None:
    pixels = np.stack([load_picture(stamps / "image" / name).pixels for name in PHOTOGRAPHS])
    found = dict(zip(PHOTOGRAPHS, efficientnet.classify(pixels).argmax(axis=1).tolist(), strict=True))
    assert found == PHOTOGRAPHS


def sample_pixels(index: int) -> np.ndarray:
    photograph = Image.fromarray(load_sample_images().images[index])
    return np.asarray(photograph.resize((224, 224), Image.Resampling.BICUBIC))


def test_sample_photographs_get_their_class() -> None:
    """scikit-learn's photographs: a Chinese palace, which could be called many things, and a yellow dahlia."""
    palace, flower = efficientnet.classify(np.stack([sample_pixels(0), sample_pixels(1)]))
    # bell cote, boathouse, monastery, palace
    assert set(np.argsort(-palace)[:4].tolist()) == {442, 449, 663, 698}
    assert flower.argmax() == 985  # daisy, the nearest that there is


def test_embedding_does_not_depend_on_companions() -> None:
    pictures = np.stack([texture(224, 224, seed=seed) for seed in range(efficientnet.BATCH + 3)])
    made = encoder("image", "efficientnet-lite0")
    together = made.embed(pictures)
    assert together.shape == (efficientnet.BATCH + 3, 1280)
    assert together.dtype == np.float32
    assert (together >= 0).all()
    for index in (0, 7, efficientnet.BATCH + 2):
        np.testing.assert_array_equal(made.embed(pictures[index : index + 1])[0], together[index])


def test_no_pictures() -> None:
    assert encoder("image", "efficientnet-lite0").embed(np.zeros((0, 224, 224, 3), np.uint8)).shape == (0, 1280)


@pytest.mark.parametrize("wrong", [np.zeros((1, 224, 224, 3)), np.zeros((1, 3, 224, 224), np.uint8)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encoder("image", "efficientnet-lite0").embed(wrong)


def test_fingerprints_need_no_tensorflow() -> None:
    program = (
        "import json, sys; from features.registry import encoder; import features.text.nlp.language;"
        "made = [encoder(*names, **given) for *names, given in json.load(sys.stdin)];"
        "print(*(each.fingerprint for each in made));"
        "assert not {'tensorflow', 'keras', 'torch', 'librosa'} & set(sys.modules)"
    )
    given = json.dumps([(modality, name, arguments(name, modality)) for modality, name in ENCODERS])
    done = subprocess.run([sys.executable, "-c", program], input=given, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # vectors that are given are the same encoder whatever their modality
    assert len(set(done.stdout.split())) == len(ENCODERS) - sum(name == GIVEN for _, name in ENCODERS) + 1


def checkpoint(path: Path, state: bytes, storage: bytes) -> Path:
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {}))
    path.write_bytes(head + state + pickle.dumps(["0"], 2) + storage)
    return path


def state(
    shape: tuple[int, ...], strides: tuple[int, ...], *, call: bytes = b"torch._utils\n_rebuild_tensor_v2"
) -> bytes:
    """The pickle of `{"w": tensor}` over a FloatStorage of 6 elements, written by hand as PyTorch writes it."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"t"

    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06NtQ"
    tensor = b"c" + call + b"\n(" + storage + b"K\x00" + numbers(shape) + numbers(strides) + b"tR"
    return b"\x80\x02}U\x01w" + tensor + b"s."


SIX = (6).to_bytes(8, "little") + np.arange(6, dtype="<f4").tobytes()


def test_checkpoint_is_read_with_its_strides(tmp_path: Path) -> None:
    plain = read_checkpoint(checkpoint(tmp_path / "a", state((2, 3), (3, 1)), SIX))
    np.testing.assert_array_equal(plain["w"], [[0, 1, 2], [3, 4, 5]])
    transposed = read_checkpoint(checkpoint(tmp_path / "b", state((3, 2), (1, 3)), SIX))
    np.testing.assert_array_equal(transposed["w"], [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(
    ("pickled", "storage", "words"),
    [
        (state((3, 3), (3, 1)), SIX, "outside its storage"),
        (state((2, 3), (3, 1)), SIX[:-1], "ends inside"),
        (state((2, 3), (3, 1), call=b"os\nsystem"), SIX, r"os\.system"),
        (state((2, 3), (3, 1), call=b"builtins\neval"), SIX, r"builtins\.eval"),
        (pickle.dumps(OrderedDict(w=Path("x")), 2), SIX, "pathlib"),
        (b"", b"", "not a legacy"),
    ],
)
def test_hostile_checkpoints_are_refused(tmp_path: Path, pickled: bytes, storage: bytes, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(checkpoint(tmp_path / "hostile", pickled, storage))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"a text", pickle.dumps(1)):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / "x")
