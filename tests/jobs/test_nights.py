"""Whole nights on the demo catalog: the laws, as a user would see them kept or broken."""

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from fusion.data.splits import split_as
from fusion.evaluation.protocol import Judgements
from fusion.missing.fill import model_input
from fusion.models.scorer import scorer
from fusion.ranking.sigmoid import Sigmoid
from fusion.ranking.top_k import top_k
from jobs.demo import write_catalog
from jobs.explain import explain_shelves
from jobs.landing.writing import Summary
from jobs.modelling import artifacts
from jobs.modelling.dataset import load
from jobs.recommend import populations, probabilities
from jobs.runtime.night import NightError
from jobs.verify import findings
from lake import views
from lake.lake import Lake
from lake.rows import Engine
from schemas.features import FEATURES
from schemas.table import MEDIA, MODALITIES
from schemas.tables import Ledger, Models, Quarantine
from tests.jobs.nights import a_night, contents, finish, prepare, run_night

pytestmark = pytest.mark.night
FIRST, SECOND = "2026-11-01", "2026-11-02"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    raw = tmp_path_factory.mktemp("demo") / "raw"
    return raw, write_catalog(raw, items=60, users=40, nights=2, seed=3, progress=False)


@pytest.fixture(scope="module")
def two_nights(catalog: tuple[Path, Summary], engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    for night in (FIRST, SECOND):
        run_night(engine, a_night(night, catalog[0], lake))
    return lake


def ask(lake: Lake, sql: str) -> list[tuple]:
    return views.connect(lake).sql(sql).fetchall()


def test_what_is_promised_holds(two_nights: Lake) -> None:
    looked, broken = findings(two_nights)
    assert looked > 40 and not broken


def test_every_row_of_the_landing_zone_is_accounted_for(two_nights: Lake, catalog: tuple[Path, Summary]) -> None:
    (items,) = ask(two_nights, "SELECT sum(rows_in) FROM ledger WHERE step = 'clean_items'")
    (events,) = ask(two_nights, "SELECT sum(rows_in) FROM ledger WHERE step = 'clean_interactions'")
    assert (items[0], events[0]) == (catalog[1].item_rows, catalog[1].interaction_rows)


def test_what_was_planted_is_in_quarantine_with_file_and_line(two_nights: Lake, catalog: tuple[Path, Summary]) -> None:
    planted = catalog[1].planted
    refused = dict(ask(two_nights, "SELECT reason, count(*) FROM quarantine GROUP BY 1"))
    assert refused["unknown_event"] == planted["interaction_unknown_event"]
    assert refused["timestamp_type"] == planted["interaction_bad_timestamp"]
    for source, position, detail in ask(
        two_nights, "SELECT source, position, detail FROM quarantine WHERE reason = 'not_json'"
    ):
        line = (catalog[0] / source).read_text("utf-8").splitlines()[position - 1]
        with pytest.raises(json.JSONDecodeError):
            json.loads(line)
        assert detail


def test_each_modality_of_each_item_has_its_features(two_nights: Lake) -> None:
    for modality in MEDIA:
        assert len(two_nights.read(FEATURES[modality])) > 10


def test_shelves_hold_what_they_are_for(two_nights: Lake) -> None:
    shelves = dict(ask(two_nights, "SELECT shelf, count(DISTINCT user_id) FROM recommendations GROUP BY 1"))
    assert shelves["for_you"] >= 40 and shelves["new_items"] >= 40
    known = """SELECT count(*) FROM recommendations r JOIN interactions i USING (item_id)
               WHERE r.shelf = 'new_items' AND i.date <= r.date"""
    assert ask(two_nights, known) == [(0,)]


def test_chances_of_a_like_come_true_as_often_as_they_say(two_nights: Lake, catalog: tuple[Path, Summary]) -> None:
    """Of the first ten that the model would show whoever has a held-out like, as many are held out as their chances
    add up to, give or take three standard deviations of so many draws."""
    night = a_night(SECOND, catalog[0], two_nights)
    (made,) = two_nights.read(Models, where=pc.field("date") == night.date).to_pylist()
    (data,) = load(night, artifacts.encoders_of(night, made["path"]))
    parts = split_as(data.history, night.config.fusion, item_ids=data.catalog.item_ids, kind="per_user")
    known, judged = parts.known(), Judgements.of(parts, len(data.catalog))
    items = model_input(data.catalog, data.reviews, known, night.config.fusion)
    users = np.unique(parts.test.likes().user).astype(np.int64)
    scores = scorer(artifacts.load(night, made["path"], artifacts.held_out("per_user")), items, known)(users)
    first, theirs = top_k(scores, 10, exclude=~judged.candidates(users))
    calibration = {population: Sigmoid(*pair) for population, pair in made["calibration"]}
    chance = probabilities(
        theirs.ravel(), populations(np.ones(first.size, np.bool_), shelf="for_you"), calibration=calibration
    )
    liked = {(u, i) for u, i in zip(parts.test.likes().user.tolist(), parts.test.likes().item.tolist(), strict=True)}
    observed = sum((u, i) in liked for u, row in zip(users.tolist(), first.tolist(), strict=True) for i in row)
    assert len(users) > 20 and chance.max() > 3 * chance.min() > 0
    assert abs(observed - chance.sum()) < 3 * np.sqrt((chance * (1 - chance)).sum())


def test_explanations_are_of_what_stands_on_shelves(two_nights: Lake) -> None:
    """`verify` looks at them too; here that there are some, of both shelves, and that likes are worth saying."""
    told = ask(two_nights, "SELECT shelf, count(*), count(DISTINCT user_id) FROM explanations GROUP BY 1 ORDER BY 1")
    assert [(shelf, users) for shelf, _, users in told] == [("for_you", 4), ("new_items", 4)]
    shared = "SELECT count(*) FROM explanations WHERE len(shared_words) > 0 OR len(shared_hues) > 0"
    lower = "SELECT count(*) FROM explanations e JOIN recommendations r USING (date, user_id, shelf, item_id) "
    assert ask(two_nights, shared)[0][0] > 10 and ask(two_nights, f"{lower} WHERE rank_without > rank")[0][0] > 10


def test_a_missing_modality_adds_nothing_to_a_score(two_nights: Lake) -> None:
    rows = 0
    for modality in MODALITIES:
        without = f"SELECT count(*), max(abs(contribution_{modality})) FROM recommendations "
        count, largest = ask(two_nights, f"{without} WHERE NOT list_contains(modalities, '{modality}')")[0]
        rows += count
        assert not largest
    assert rows


def test_a_join_of_recommendations_with_items_is_answered(two_nights: Lake) -> None:
    rows = ask(
        two_nights,
        "SELECT r.user_id, i.title FROM recommendations r JOIN items i USING (item_id) WHERE r.rank = 1 LIMIT 3",
    )
    assert len(rows) == 3


def test_the_same_night_twice_changes_no_row(two_nights: Lake, catalog: tuple[Path, Summary], engine) -> None:
    before = contents(two_nights)
    run_night(engine, a_night(SECOND, catalog[0], two_nights))
    assert contents(two_nights) == before


def test_a_night_whose_model_combines_rankings(
    two_nights: Lake, catalog: tuple[Path, Summary], engine, tmp_path: Path
) -> None:
    copied = Lake(shutil.copytree(two_nights.uri.removeprefix("file://"), tmp_path / "lake").as_uri())
    config = tmp_path / "borda.yaml"
    config.write_text("fusion: {strategy: decision, parameters: {combination: borda}}")
    finish(engine, a_night(SECOND, catalog[0], copied, config=str(config)))
    looked, broken = findings(copied)
    assert looked and not broken
    night = "date = DATE '2026-11-02'"
    assert ask(copied, f"SELECT DISTINCT combination FROM item_embeddings WHERE {night}") == [("borda",)]
    model = ask(copied, f"SELECT DISTINCT model_version FROM recommendations WHERE {night}")
    assert [name.partition("-")[0] for (name,) in model] == ["decision"]
    told = explain_shelves(a_night(SECOND, catalog[0], copied, config=str(config)), without_likes=True)
    assert "Scores are points of a Borda count" in told and "without the like of " in told


def test_shelves_say_what_they_owe_to_single_likes(two_nights: Lake, catalog: tuple[Path, Summary]) -> None:
    told = explain_shelves(a_night(SECOND, catalog[0], two_nights), places=3, without_likes=True).splitlines()
    places = [n for n, line in enumerate(told) if line.startswith(("  for_you ", "  new_items "))]
    below = {told[n + 1].strip().partition(" of ")[0] for n in places}
    assert len(places) > 6 and below <= {"without the like", "no like alone holds it there"}
    assert "without the like" in below


def test_ten_more_items_cost_ten_extractions(two_nights: Lake, catalog: tuple[Path, Summary], engine) -> None:
    def extracted() -> dict[str, int]:
        return {m: len(set(two_nights.read(FEATURES[m])["content_key"].to_pylist())) for m in MEDIA}

    before = extracted()
    folder = catalog[0] / "items" / "ds=2026-11-03"
    folder.mkdir()
    lines = [json.dumps({"item_id": f"extra-{n}", "title": f"Extra number {n}"}) for n in range(10)]
    (folder / "items.jsonl").write_text("\n".join(lines))
    prepare(engine, a_night("2026-11-03", catalog[0], two_nights))
    after = extracted()
    assert {m: after[m] - before[m] for m in MEDIA} == {"text": 10, "image": 0, "audio": 0, "video": 0}


def test_cleaning_and_extracting_nights_backwards_gives_the_same_rows(
    two_nights: Lake, catalog: tuple[Path, Summary], engine, tmp_path: Path
) -> None:
    backwards = Lake(str(tmp_path / "lake"))
    nights = {night: a_night(night, catalog[0], backwards) for night in (FIRST, SECOND)}
    prepare(engine, nights[SECOND])
    with pytest.raises(NightError, match=f"not complete: {FIRST}"):
        finish(engine, nights[SECOND])
    prepare(engine, nights[FIRST])
    kept = pc.field("date") <= date(2026, 11, 2)
    for modality in MEDIA:
        columns = ["content_key", "vector"]
        forwards = two_nights.read(FEATURES[modality], columns=columns, where=kept).sort_by("content_key")
        found = backwards.read(FEATURES[modality], columns=columns).sort_by("content_key")
        assert found["content_key"].equals(forwards["content_key"])
        # on some processors the last bits of a network's rows follow their place in a batch
        vectors = [np.array(table["vector"].to_pylist(), np.float32) for table in (found, forwards)]
        if vectors[0].size:
            np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-5 * np.abs(vectors[1]).max())
    assert sorted(map(repr, backwards.read(Quarantine).to_pylist())) == sorted(
        map(repr, two_nights.read(Quarantine, where=kept).to_pylist())
    )


def test_a_night_without_interactions_still_shows_what_is_alike(
    catalog: tuple[Path, Summary], engine, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    (raw / "items" / "ds=2026-11-01").mkdir(parents=True)
    words = ["red wine glass", "white wine glass", "steel hammer", "iron hammer", "glass of red wine", "claw hammer"]
    lines = [json.dumps({"item_id": f"i{n}", "title": title}) for n, title in enumerate(words)]
    (raw / "items" / "ds=2026-11-01" / "items.jsonl").write_text("\n".join(lines))
    lake = Lake(str(tmp_path / "lake"))
    run_night(engine, a_night(FIRST, raw, lake))
    assert lake.read(Models)["strategy"].to_pylist() == ["content"]
    nearest = dict(ask(lake, "SELECT item_id, similar_item_id FROM similar_items WHERE rank = 1"))
    assert nearest["i0"] == "i4" and nearest["i2"] in ("i3", "i5")
    shelves = ask(lake, "SELECT user_id, shelf, count(*) FROM recommendations GROUP BY ALL ORDER BY ALL")
    assert shelves == [("*", "for_you", 6), ("*", "new_items", 6)], "nobody but whoever comes"


def test_a_night_under_spark_has_the_rows_of_one_in_this_process(
    catalog: tuple[Path, Summary], engine: Engine, spark_engine: Engine, tmp_path: Path
) -> None:
    config = tmp_path / "toys.yaml"
    encoders = {medium: {"name": f"tests.toys:{medium.capitalize()}Bytes", "batch_size": 8} for medium in MEDIA}
    config.write_text(json.dumps({"extract": {"encoders": encoders}}))
    found = []
    for number, each in enumerate((engine, spark_engine)):
        lake = Lake(str(tmp_path / f"lake-{number}"))
        run_night(each, a_night(FIRST, catalog[0], lake, config=str(config)))
        found.append(contents(lake))
    assert all(found[0][table.name] for table in (Quarantine, Ledger, Models))
    assert found[0] == found[1]


def test_too_many_refused_rows_stop_the_night_before_anything_is_published(engine, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "items" / "ds=2026-11-01").mkdir(parents=True)
    (raw / "items" / "ds=2026-11-01" / "items.jsonl").write_text('{"item_id": "a"}\nbroken\nbroken\n')
    lake = Lake(str(tmp_path / "lake"))
    with pytest.raises(NightError, match="law 3"):
        prepare(engine, a_night(FIRST, raw, lake))
    assert ask(lake, "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM quarantine)") == [(0, 2)]
    assert len(lake.read(Ledger)) == 0


def test_nights_without_items_and_with_items_that_nothing_is_known_of(engine, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "items" / "ds=2026-11-02").mkdir(parents=True)
    (raw / "items" / "ds=2026-11-02" / "items.csv").write_text("item_id\none\ntwo\n")
    lake = Lake(str(tmp_path / "lake"))
    for night, items in ((FIRST, 0), (SECOND, 2)):
        run_night(engine, a_night(night, raw, lake))
        assert ask(lake, f"SELECT count(*) FROM item_embeddings WHERE date = '{night}'") == [(items,)]
        assert ask(lake, f"SELECT count(*) FROM recommendations WHERE date = '{night}'") == [(0,)]
