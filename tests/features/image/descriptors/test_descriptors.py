"""The readable features of pictures, on pictures whose features are known."""

import io
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from features.image.base import ImageEncoder
from features.image.descriptors import colour, hog, lbp
from features.image.descriptors.colour import colour_histogram
from features.image.descriptors.edges import edges
from features.image.descriptors.hog import oriented_gradients
from features.image.descriptors.lbp import binary_patterns
from features.image.descriptors.phash import perceptual_hash
from features.image.descriptors.statistics import image_statistics
from features.image.load import load_picture
from features.registry import encoder
from schemas.features import FeaturesImage

ROWS, COLUMNS = np.indices((224, 224))
# By the direction in which the stripes run, and the direction in which brightness changes, in degrees.
STRIPES = {"level": (0, 90, ROWS), "rising": (45, 45, ROWS + COLUMNS), "upright": (90, 0, COLUMNS)}
STRIPES["falling"] = (135, 135, ROWS - COLUMNS + 224)


def grey(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint8)[..., None].repeat(3, axis=2)


def stripes(along: np.ndarray) -> np.ndarray:
    """Dark and bright stripes of 28 pixels."""
    return grey(along // 28 % 2 * 200)


def halves(left: tuple[int, ...], right: tuple[int, ...]) -> np.ndarray:
    return np.array([left, right], np.uint8).repeat(112, axis=0)[None].repeat(224, axis=0)


def distance(a: int, b: int) -> int:
    return ((a ^ b) & ((1 << 64) - 1)).bit_count()


@pytest.mark.parametrize("name", STRIPES)
def test_gradients_point_across_the_stripes(name: str) -> None:
    _, across, along = STRIPES[name]
    energy = oriented_gradients(stripes(along)).reshape(-1, 9).sum(axis=0)
    assert energy.argmax() == across // 20
    assert energy.max() > 0.7 * energy.sum()


def test_gradients_stand_where_the_shape_is() -> None:
    """A step in the lower right corner: only the block of the cells there has it."""
    picture = np.zeros((224, 224, 3), np.uint8)
    picture[190:, 190:] = 255
    blocks = np.linalg.norm(oriented_gradients(picture).reshape(3, 3, 36), axis=2)
    np.testing.assert_allclose(blocks, [[0, 0, 0], [0, 0, 0], [0, 0, 1]], atol=1e-3)


@pytest.mark.parametrize("name", STRIPES)
def test_edges_run_along_the_stripes(name: str) -> None:
    direction, _, along = STRIPES[name]
    density, shares = edges(stripes(along))
    assert 0.02 < density < 0.2
    assert shares.argmax() == direction / 22.5
    assert shares.max() > 0.9
    assert shares.sum() == pytest.approx(1)


def test_one_edge_has_the_density_of_its_line() -> None:
    """Both columns beside the step are equally steep; the line runs along one of them."""
    density, shares = edges(halves((0, 0, 0), (255, 255, 255)))
    assert density == pytest.approx(1 / 112)
    assert shares.tolist() == [0, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("level", [0, 1, 100, 254, 255])
def test_flat_pictures_have_no_shape(level: int) -> None:
    flat = np.full((224, 224, 3), level, np.uint8)
    assert not oriented_gradients(flat).any()
    density, shares = edges(flat)
    assert density == 0
    assert not shares.any()
    assert binary_patterns(flat).tolist() == [0] * 8 + [1, 0]
    assert perceptual_hash(flat) == 0


def test_texture_of_spots_and_noise() -> None:
    """Spots of one pixel of the reduced picture: none of a spot's neighbours is as bright, all others see no darker."""
    spots = np.zeros((112, 112))
    spots[2::4, 2::4] = 255
    shares = binary_patterns(grey(spots.repeat(2, axis=0).repeat(2, axis=1)))
    np.testing.assert_allclose(shares[[0, 8]], [1 / 16, 15 / 16], atol=0.01)
    noise = binary_patterns(np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8))
    assert noise[9] > 0.2
    assert noise.sum() == pytest.approx(1)


def test_colour_of_halves() -> None:
    red, green, blue, white, black = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)

    def vivid_bright(hue: int) -> int:
        return 4 + 4 * hue + 3

    for left, right, bins in (
        (red, white, (vivid_bright(0), 3)),
        (green, blue, (vivid_bright(4), vivid_bright(8))),
        (black, (100, 100, 100), (0, 1)),
        ((255, 255, 0), (128, 0, 0), (vivid_bright(2), 4 + 2)),  # yellow; dark red is vivid and dark
        ((255, 170, 170), (60, 40, 40), (4 + 1, 4 + 0)),  # pink is red, pale and bright; brown pale and dark
    ):
        found = colour_histogram(halves(left, right))
        assert np.flatnonzero(found).tolist() == sorted(bins)
        assert found[list(bins)].tolist() == [0.5, 0.5]


def test_statistics_of_plain_pictures() -> None:
    white = image_statistics(np.full((8, 8, 3), 255, np.uint8))
    assert white == {"brightness": pytest.approx(1), "contrast": 0, "colourfulness": 0, "sharpness": 0, "blank": True}
    # Red: rg = 1, yb = 0.5, no spread: 0.3 * sqrt(1.25).
    red = image_statistics(np.tile(np.array([255, 0, 0], np.uint8), (8, 8, 1)))
    assert red["colourfulness"] == pytest.approx(0.3 * 1.25**0.5)
    assert red["brightness"] == pytest.approx(0.299)


def test_statistics_of_a_chequerboard() -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    seen = image_statistics(board)
    assert seen["contrast"] == pytest.approx(0.5)
    assert seen["sharpness"] == pytest.approx(16)  # the Laplacian is 4 and -4 in turn
    assert seen["blank"] is False


def test_hash_of_four_quarters_by_hand() -> None:
    """Bright where row and column are in like halves: its transform is the product of those of two steps.

    A step has coefficients at odd frequencies only, of signs + - + - for 1, 3, 5, 7; so bits (1, 1), (1, 5), (5, 1),
    (5, 5), (3, 3), (3, 7), (7, 3), (7, 7) are set, and half of all coefficients being 0, so is the median.
    """
    picture = grey(np.where((ROWS < 112) == (COLUMNS < 112), 255, 0))
    assert perceptual_hash(picture) == int.from_bytes(bytes.fromhex("8800220088002200"), "big", signed=True)
    # All signs turn over; what was 0 stays 0.
    assert perceptual_hash(255 - picture) == 0x2200880022008800


def test_hash_does_not_see_brightness() -> None:
    dark = np.random.default_rng(3).integers(0, 156, (28, 28, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    assert distance(perceptual_hash(dark), perceptual_hash(dark + 100)) <= 2


def test_distance_in_sql() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (28, 28, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    hashes = [perceptual_hash(picture), perceptual_hash(picture[:, ::-1])]
    assert all(-(1 << 63) <= number < 1 << 63 for number in hashes)
    table = pa.table({"a": pa.array(hashes[:1], pa.int64()), "b": pa.array(hashes[1:], pa.int64())})
    found = duckdb.arrow(table).query("t", "SELECT bit_count(xor(a, b)) FROM t").fetchall()
    assert found == [(distance(*hashes),)]


def recoded(path: Path, *, scale: float, quality: int) -> Image.Image:
    """The picture on white, in another size, as a JPEG of that quality."""
    pixels = Image.fromarray(load_picture(path).whole)
    with Image.open(path) as image:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    data = io.BytesIO()
    pixels.resize(size, Image.Resampling.LANCZOS).save(data, "jpeg", quality=quality)
    return Image.open(data)


def test_near_duplicates_of_real_pictures_are_near_and_others_far(stamps: Path, tmp_path: Path) -> None:
    paths = sorted((stamps / "image").glob("*.png"))[::11]
    hashes = [perceptual_hash(load_picture(path).whole) for path in paths]
    for path, original in zip(paths, hashes, strict=True):
        recoded(path, scale=0.6, quality=50).save(tmp_path / "again.png")
        assert distance(original, perceptual_hash(load_picture(tmp_path / "again.png").whole)) <= 8, path.name
    between = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert np.median(between) >= 26
    assert np.mean(np.array(between) <= 8) < 0.005


@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_columns_are_of_the_whole_picture_with_either_fit(tmp_path: Path, fit: str) -> None:
    Image.fromarray(np.hstack([stripes(COLUMNS), stripes(ROWS)])).save(tmp_path / "wide.png")
    hog_encoder = encoder("image", "hog", fit=fit)
    assert isinstance(hog_encoder, ImageEncoder)
    picture = hog_encoder.decode(tmp_path / "wide.png")
    row = hog_encoder.encode([picture]).to_pylist()[0]
    whole = load_picture(tmp_path / "wide.png").whole
    assert [len(row[name]) for name in ("gradients", "texture", "edges", "colour")] == [324, 10, 8, 52]
    assert (hog.DIM, lbp.DIM, colour.DIM) == (324, 10, 52)
    np.testing.assert_array_equal(np.float32(row["gradients"]), oriented_gradients(whole))
    assert row["perceptual_hash"] == perceptual_hash(whole)
    assert set(row) == {"vector", *(field.name for field in FeaturesImage.columns)}


def test_vector_of_hog_has_three_blocks_of_length_one() -> None:
    vectors = encoder("image", "hog").embed(np.stack([stripes(COLUMNS), np.zeros((224, 224, 3), np.uint8)]))
    lengths = [np.linalg.norm(vectors[:, part], axis=1) for part in (slice(324), slice(324, 334), slice(334, None))]
    np.testing.assert_allclose(lengths, [[1, 0], [1, 1], [1, 1]], atol=1e-5)


def test_fit_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="fit is 'stretch'; expected one of squash, crop, cover"):
        encoder("image", "hog", fit="stretch")
