"""Attributes as rows of hashed values and numbers, and their embedding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.data.attributes import MAX_DEVIATIONS, NUMBERS, VALUES, AttributeEmbedding, attribute_rows

SHOP = [
    {"brand": "acme", "price": 0.0},
    {"brand": "lumo", "price": 2.0},
    {"brand": "acme", "price": 1.0},
    {"brand": "lumo"},
]


def everyone(rows):
    return np.ones(rows.shape[0], bool)


def fitted(records, *, dims=8):
    return AttributeEmbedding.fit(attribute_rows(records), dims=dims)


def products(embedding, records):
    """Dot products of every two records."""
    rows = attribute_rows(records)
    embedded = embedding(rows, everyone(rows))
    return embedded @ embedded.T


def test_a_row_holds_values_and_numbers_and_nothing_that_is_not_said():
    rows = attribute_rows(
        [{"colours": '["Red", " red ", "blue"]', "size": " XL "}, {"price": 0.0}, {"year": "1999"}, {}]
    )
    assert rows.shape == (4, VALUES + NUMBERS) and rows.dtype == np.float32
    assert np.diff(rows[:, :VALUES].indptr).tolist() == [3, 0, 1, 0]
    assert np.diff(rows[:, VALUES:].indptr).tolist() == [0, 1, 1, 0], "a price of 0 is told from no price"
    assert rows[:, VALUES:].data.tolist() == [0, 1999]


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e60", "12 kg", "[1, 2]", "", "   "])
def test_what_is_no_number_is_none(value):
    assert attribute_rows([{"weight": value}])[:, VALUES:].nnz == 0


def test_by_hand():
    """Two brands of two items each: the unit vectors (1, 0) and (0, 1) less their mean, so that items of one brand have
    the product 1/2 and of two -1/2. Prices 0, 2 and 1 are -a, a and 0 with a² = 3/2, as their variance is 2/3."""
    expected = np.array([[2, -2, 0.5, -0.5], [-2, 2, -0.5, 0.5], [0.5, -0.5, 0.5, -0.5], [-0.5, 0.5, -0.5, 0.5]])
    np.testing.assert_allclose(products(fitted(SHOP), SHOP), expected, atol=1e-6)


def test_a_rare_value_that_two_share_weighs_more_than_a_common_one():
    """Of 20 items all but one are sold in blue, and two are by one maker: 1 + ln(21/20) to 1 + ln(21/3)."""
    records = [{"colour": "blue"} for _ in range(17)] + [{"colour": "blue", "maker": "m"}] * 2 + [{"colour": "red"}]
    embedding = fitted(records)
    assert sorted(embedding.weight.tolist()) == pytest.approx([1 + np.log(21 / 20), 1 + np.log(21 / 3)])


def test_what_no_fitted_item_said_is_nothing_and_what_one_item_said_is_not_told_apart():
    embedding = fitted([*SHOP, {"brand": "alone"}])
    rows = attribute_rows(
        [{"brand": "new"}, {"brand": "alone"}, {"smell": "sweet"}, {}, {"brand": "acme", "smell": "x"}]
    )
    embedded = embedding(rows, everyone(rows))
    assert not embedded[:4].any()
    known = attribute_rows([{"brand": "acme"}])
    np.testing.assert_array_equal(embedded[4], embedding(known, everyone(known))[0])


def test_what_all_items_say_tells_nothing():
    assert fitted([{"currency": "eur", "stock": "5"}] * 9).dims == 0
    assert fitted([]).dims == 0 and fitted([{}, {}]).dims == 0


def test_a_number_far_outside_is_clipped():
    embedding = fitted([{"price": float(n % 2)} for n in range(40)])
    rows = attribute_rows([{"price": 1e9}, {"price": -1e9}])
    np.testing.assert_allclose(np.abs(embedding(rows, everyone(rows))), MAX_DEVIATIONS, rtol=1e-6)


def test_rows_without_attributes_are_exactly_0():
    embedding, rows = fitted(SHOP), attribute_rows(SHOP)
    mask = np.array([True, False, True, False])
    embedded = embedding(rows, mask)
    assert not embedded[~mask].any() and embedded[mask].any(axis=1).all()


def test_it_is_restored_from_its_state():
    embedding = fitted(SHOP)
    again = AttributeEmbedding.from_state({**embedding.state(), "other": np.zeros(1)})
    np.testing.assert_array_equal(products(again, SHOP), products(embedding, SHOP))


words = st.sampled_from(["acme", "lumo", "nordhavn", "青禾", "7", "12.5"])
records = st.lists(
    st.dictionaries(st.sampled_from(["brand", "colour", "weight"]), words).map(
        lambda said: said | ({"price": float(len(said["brand"]))} if "brand" in said else {})
    ),
    min_size=4,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(records, st.randoms(use_true_random=False))
def test_neither_the_order_of_items_nor_of_what_they_say_matters(said, random):
    """Products compare items; the sign of an axis between equal ones may differ."""
    order = list(range(len(said)))
    random.shuffle(order)
    shuffled = [dict(reversed(said[place].items())) for place in order]
    found, expected = products(fitted(shuffled), said), products(fitted(said), said)
    np.testing.assert_allclose(found, expected, atol=1e-4)
