from dataclasses import replace

import numpy as np
import pytest

from fusion.data.attributes import attribute_rows
from fusion.data.projection import Projection, fit_projections, modality_masks, projections_from, projections_state
from tests.fusion.worlds import catalog_of


def everyone(x):
    return np.ones(len(x), bool)


def test_by_hand():
    """Two columns that are one: a single direction, of which each row has (1, 1)/sqrt 2 times its standard score."""
    x = np.array([[1, 10], [3, 30]], np.float32)
    projection = Projection.fit(x, everyone(x))
    assert projection.dims == 1
    np.testing.assert_allclose(projection(x, everyone(x)), [[-1], [1]], atol=1e-6)


def test_columns_are_uncorrelated_ordered_and_of_variance_1_on_average():
    x = (np.random.default_rng(0).normal(size=(200, 6)) @ np.diag([9, 5, 3, 2, 1, 1])).astype(np.float32)
    x[:, 1] += x[:, 0]
    projection = Projection.fit(x, everyone(x), dims=4)
    covariance = np.cov(projection(x, everyone(x)), rowvar=False, ddof=0)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-4)
    assert (np.diff(np.diag(covariance)) <= 0).all()
    assert np.diag(covariance).mean() == pytest.approx(1, rel=1e-4)
    whitened = projection(x, everyone(x)) @ projection.whitening(3)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False, ddof=0), np.eye(3), atol=1e-4)


def test_only_rows_that_have_the_modality_are_fitted_and_the_others_are_0():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    mask = np.arange(20) < 12
    spoilt = np.where(mask[:, None], x, 1e6).astype(np.float32)
    projection = Projection.fit(spoilt, mask)
    np.testing.assert_array_equal(projection.axes, Projection.fit(x[:12], np.ones(12, bool)).axes)
    assert not projection(spoilt, mask)[12:].any()


@pytest.mark.parametrize("rows", [0, 1])
def test_too_little_to_learn_from(rows):
    x = np.ones((3, 4), np.float32)
    projection = Projection.fit(x, np.arange(3) < rows)
    assert projection(x, everyone(x)).shape == (3, 0)


def test_constant_columns_and_fewer_rows_than_columns():
    x = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    x[:, 7] = 3
    projection = Projection.fit(x, everyone(x))
    assert projection.dims == 4
    changed = x.copy()
    changed[:, 7] = -50
    np.testing.assert_array_equal(projection(x, everyone(x)), projection(changed, everyone(x)))


def test_order_of_rows_does_not_matter():
    x = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    np.testing.assert_allclose(
        Projection.fit(x, everyone(x)).axes, Projection.fit(x[::-1], everyone(x)).axes, atol=1e-5
    )


def test_another_width_is_refused_unless_nobody_has_it():
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    projection = Projection.fit(x, everyone(x))
    with pytest.raises(ValueError, match="expected"):
        projection(x[:, :2], everyone(x))
    assert projection(x[:, :2], ~everyone(x)).shape == (9, projection.dims)


def test_the_inverse_projects_onto_the_same_and_gives_back_what_the_axes_span():
    x = np.random.default_rng(0).normal(3, 2, size=(40, 5)).astype(np.float32)
    x[:, 2] = 7
    few, whole = (Projection.fit(x, everyone(x), dims=dims) for dims in (2, 5))
    projected = few(x, everyone(x))
    np.testing.assert_allclose(few(few.inverse(projected), everyone(x)), projected, atol=1e-5)
    np.testing.assert_allclose(whole.inverse(whole(x, everyone(x))), x, atol=1e-4)
    np.testing.assert_allclose(few.inverse(np.zeros((1, 2), np.float32))[0], x.mean(axis=0), rtol=1e-6)


def test_states_come_back():
    catalog = catalog_of(np.random.default_rng(0).normal(size=(9, 3)))
    fitted = fit_projections(catalog, dims=2)
    x, mask = catalog.vectors["text"], catalog.masks["text"]
    again = projections_from(projections_state(fitted))["text"]
    np.testing.assert_array_equal(again(x, mask), fitted["text"](x, mask))


def two_blocks():
    """Twenty rows of a wide block, and of a narrow one that the first five lack."""
    random = np.random.default_rng(0)
    wide, narrow = random.normal(size=(20, 16)) * 9 + 3, random.normal(size=(20, 2))
    narrow[:5] = 0
    return np.hstack([wide, narrow]).astype(np.float32)


def test_blocks_are_of_equal_variance_whatever_their_width():
    x = two_blocks()
    projection = Projection.fit(x, everyone(x), widths=[16, 2])
    standard = (x - projection.mean) / projection.scale
    assert (standard[:, :16] ** 2).sum() / 20 == pytest.approx(9, rel=1e-4)
    assert (standard[5:, 16:] ** 2).sum() / 15 == pytest.approx(9, rel=1e-4), "half of 18 each"


def test_a_block_that_a_row_lacks_is_at_its_mean():
    x = two_blocks()
    projection = Projection.fit(x, everyone(x), widths=[16, 2])
    at_the_mean = x[:5].copy()
    at_the_mean[:, 16:] = x[5:, 16:].mean(axis=0)
    np.testing.assert_allclose(
        projection(x[:5], everyone(x[:5])), projection(at_the_mean, everyone(at_the_mean)), atol=1e-5
    )


def test_a_block_that_no_fitted_row_has_says_nothing_when_it_comes():
    x = two_blocks()
    x[:, 16:] = 0
    projection = Projection.fit(x, everyone(x), widths=[16, 2])
    later = x.copy()
    later[:, 16:] = 5
    np.testing.assert_array_equal(projection(later, everyone(later)), projection(x, everyone(x)))


def said(records):
    rows = attribute_rows(records)
    catalog = catalog_of(np.random.default_rng(0).normal(size=(len(records), 4)))
    vectors, masks = {**catalog.vectors, "attributes": rows}, {**catalog.masks, "attributes": np.diff(rows.indptr) > 0}
    return replace(catalog, vectors=vectors, masks=masks)


def test_attributes_are_projected_beside_the_media_and_restored():
    catalog = said([{"brand": "ab"[n % 2], "price": float(n)} if n else {} for n in range(9)])
    projections = projections_from(projections_state(fit_projections(catalog, dims=8)))
    x = projections["attributes"](catalog.vectors["attributes"], catalog.masks["attributes"])
    assert x.shape == (9, 2) and not x[0].any()
    assert x[1:].var(axis=0).mean() == pytest.approx(1, rel=1e-4)
    whitened = x[1:] @ projections["attributes"].whitening(2)
    np.testing.assert_allclose(whitened.var(axis=0), [1, 1], rtol=1e-4)
    assert modality_masks(catalog, projections)["attributes"].tolist() == [False] + [True] * 8


def test_a_state_of_a_version_without_attributes_and_widths_is_read():
    catalog = said([{"brand": "ab"[n % 2]} for n in range(9)])
    state = projections_state(fit_projections(catalog, dims=8))
    before = {n: a for n, a in state.items() if not n.startswith("attributes/") and not n.endswith("/widths")}
    projections = projections_from(before)
    assert list(projections) == ["text", "image", "audio", "video"]
    assert not modality_masks(catalog, projections)["attributes"].any()
    expected = projections_from(state)["text"]
    for read in (projections["text"], expected):
        np.testing.assert_array_equal(
            read(catalog.vectors["text"], catalog.masks["text"]),
            expected(catalog.vectors["text"], catalog.masks["text"]),
        )
