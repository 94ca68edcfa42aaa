"""Who was forgotten is known again, and nothing says who that is."""

import pickle
from pathlib import Path

import pytest

from lake import forgotten
from lake.errors import LakeError
from lake.forgotten import Forgotten, Subject
from lake.lake import Lake
from schemas.features import FeaturesText
from schemas.tables import GivenVectors, Items, Recommendations, SimilarItems

ADA, TABLE = Subject("user", "ada"), Subject("item", "ada")


def forget(lake: Lake, subject: Subject) -> str:
    name = forgotten.begin(lake).name(subject)
    forgotten.keep(lake, name, {"name": name})
    return name


def test_who_was_forgotten_is_known_again_by_kind_and_id(lake: Lake) -> None:
    assert not forgotten.read(lake).has(ADA) and forgotten.certificate(lake, ADA) is None
    name = forget(lake, ADA)
    known = pickle.loads(pickle.dumps(forgotten.read(lake)))
    assert known.has(ADA) and not known.has(TABLE) and not known.has(Subject("user", "ad"))
    assert forgotten.certificate(lake, ADA) == {"name": name}
    assert forget(lake, TABLE) != name and forgotten.read(lake).has(ADA)


def test_a_lake_hashes_under_a_key_of_its_own(tmp_path: Path) -> None:
    one, other = (forget(Lake(str(tmp_path / name)), ADA) for name in ("one", "other"))
    assert one != other and "ada" not in one and len(one) == len(other) == len("user-") + 32
    assert Forgotten(bytes(16)).name(ADA) != Forgotten(bytes(15)).name(ADA)


def test_another_lake_is_made_to_leave_out_the_same(lake: Lake, tmp_path: Path) -> None:
    aside = Lake(str(tmp_path / "aside"))
    forgotten.carry(lake, aside)
    assert forgotten.read(aside) == Forgotten()
    forget(lake, ADA)
    forgotten.carry(lake, aside)
    assert forgotten.read(aside) == forgotten.read(lake) and forgotten.read(aside).has(ADA)


def test_a_key_that_is_lost_stops_whoever_asks(lake: Lake) -> None:
    forget(lake, ADA)
    (Path(lake.uri.removeprefix("file://")) / "forgotten" / "key.json").unlink()
    for ask in (forgotten.read, forgotten.begin):
        with pytest.raises(LakeError, match=r"key.json is missing, .* bring that file back"):
            ask(lake)


def test_the_columns_that_name_a_user_or_an_item() -> None:
    assert ADA.columns(Recommendations) == ["user_id"] and ADA.columns(Items) == []
    assert TABLE.columns(SimilarItems) == ["item_id", "similar_item_id"]
    assert ADA.named(GivenVectors) is None is TABLE.named(FeaturesText)
