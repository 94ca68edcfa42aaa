import pyarrow as pa
import pytest

from features.registry import encoder
from features.text.nlp import chinese, english
from features.text.nlp.analysis import Analysis, analyse
from features.text.nlp.columns import MAX_TOKENS, readable_columns
from features.text.nlp.phrases import key_phrases
from features.text.nlp.scripts import script_runs
from features.text.nlp.tokens import ENTITY_TYPES, UPOS, Token


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("", []),
        ("!!! …", []),
        ("A frog. 青蛙。", ["A frog. |", "青蛙。"]),
        ("A frog.\n青蛙\nanimals\nfish", ["A frog.\n|", "青蛙\n", "animals\n|", "fish|"]),
        ("小米 Redmi Note 12 Pro 手机壳", ["小米 Redmi Note 12 Pro 手机壳"]),
        ("The Forbidden City (故宫) in Beijing is old", ["The Forbidden City (|", "故宫) ", "in Beijing is old|"]),
        ("Mr. Smith saw it! He left.", ["Mr. Smith saw it! He left.|"]),
        ("A frog sits in the pond 青蛙坐在池塘里", ["A frog sits in the pond |", "青蛙坐在池塘里"]),
        ("東京タワーは高い", ["東京タワーは高い"]),
    ],
)
def test_runs_of_script(text: str, runs: list[str]) -> None:
    """A bar ends a run that isn't East Asian."""
    assert [text[run.start : run.end] + "|" * (not run.east) for run in script_runs(text)] == runs


def test_analysis_takes_time_in_proportion_to_length() -> None:
    for hostile in ("." * 8192, "。" * 8192, "a." * 4096, "a 中" * 2700, "中" * 8192, "a" * 8192, "1 " * 4096):
        assert isinstance(analyse(hostile)[0], Analysis)


def words(analysis: Analysis) -> list[tuple[str, str]]:
    return [(analysis.text[token.start : token.end], token.pos) for token in analysis.tokens]


def test_words_of_a_text_in_two_languages_come_in_its_order() -> None:
    analysis = analyse("A green frog.\n一只绿色的青蛙。\nanimals")[0]
    assert words(analysis) == [
        ("A", "DET"),
        ("green", "ADJ"),
        ("frog", "NOUN"),
        ("一只", "NUM"),
        ("绿色", "NOUN"),
        ("的", "PART"),
        ("青蛙", "NOUN"),
        ("animals", "NOUN"),
    ]
    assert analysis.tokens[-1].lemma == "animal"


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("Une grenouille dans l'étang", "fr", ["Une", "grenouille", "dans", "l", "étang"]),
        ("한국어 문장입니다", "ko", ["한국어", "문장입니다"]),
        ("高いタワー", "ja", ["高", "い", "タ", "ワ", "ー"]),
        ("12:30", "und", ["12", "30"]),
        ("\U0001f438", "und", []),
    ],
)
def test_other_languages_have_words_alone(text: str, language: str, tokens: list[str]) -> None:
    row = readable_columns(text, analyse(text)[0])
    assert (row["language"], row["tokens"], row["pos"], row["entities"]) == (language, tokens, [], [])
    assert len(row["term_ids"]) == len(set(tokens))


def test_every_tag_of_both_analysers_is_a_universal_one() -> None:
    lac, labels = chinese._lac(), english._pipeline().pipe_labels
    tags = {tag.rpartition("-")[0] for tag in lac._id2tag.values()} - {"", "w"}
    assert tags <= set(chinese._UPOS)
    assert set(chinese._UPOS.values()) <= UPOS
    assert set(chinese._ENTITIES.values()) | set(english._ENTITIES.values()) == set(ENTITY_TYPES)
    numbers = {"CARDINAL", "MONEY", "ORDINAL", "PERCENT", "QUANTITY"}
    assert set(labels["ner"]) == set(english._ENTITIES) | numbers


def test_the_chinese_network_runs_in_one_thread() -> None:
    options = chinese._lac()._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_names_are_listed_once_by_type_without_articles() -> None:
    text = "The Eiffel Tower's lights in Paris. 埃菲尔铁塔在巴黎。 Paris in 2019."
    entities = dict(readable_columns(text, analyse(text)[0])["entities"])
    assert entities["LOC"] == ["Eiffel Tower", "Paris", "埃菲尔铁塔", "巴黎"]
    assert entities["TIME"] == ["2019"]


def test_key_phrases_by_hand() -> None:
    """deep: 2 + 2 words over 2; learning: 2 over 1; frogs: 2 over 1; pond: 1 over 1."""
    text = "deep learning, deep frogs in pond"
    tokens = [
        Token(0, 4, "deep", "ADJ"),
        Token(5, 13, "learning", "NOUN"),
        Token(15, 19, "deep", "ADJ"),
        Token(20, 25, "frog", "NOUN"),
        Token(29, 33, "pond", "NOUN"),
    ]
    assert key_phrases(text, tokens) == ["deep learning", "deep frogs", "pond"]
    assert key_phrases(text, tokens[:1]) == []


def test_key_phrases_of_both_languages() -> None:
    text = "A big digital camera takes pictures. 一台大型数码相机。"
    phrases = readable_columns(text, analyse(text)[0])["key_phrases"]
    assert phrases[0] == "big digital camera"
    assert any("相机" in phrase for phrase in phrases)


def test_a_row_stays_small() -> None:
    text = "".join(f"{year}年青蛙坐在池塘里。" for year in range(1000, 1700))
    row = readable_columns(text, analyse(text)[0])
    assert len(row["tokens"]) == sum(row["term_counts"]) == sum(count for _, count in row["pos"]) == MAX_TOKENS
    assert sum(len(names) for _, names in row["entities"]) == 100
    assert len(row["key_phrases"]) <= 10


def test_the_columns_of_a_batch() -> None:
    bag = encoder("text", "bag-of-words")
    row = bag.encode([bag.decode("Frogs see frogs in Paris.\n青蛙")]).to_pylist(maps_as_pydicts="strict")[0]
    assert row["characters"] == 28
    assert row["words"] == 7
    assert row["tokens"] == ["Frogs", "see", "frogs", "in", "Paris", "青蛙"]
    assert row["pos"] == {"ADP": 1, "NOUN": 3, "PROPN": 1, "VERB": 1}
    assert row["entities"] == {"LOC": ["Paris"]}
    assert sorted(row["term_counts"]) == [1, 1, 1, 1, 2]
    assert row["term_ids"] == sorted(row["term_ids"])
    assert bag.schema().field("pos").type == pa.map_(pa.string(), pa.int32())
