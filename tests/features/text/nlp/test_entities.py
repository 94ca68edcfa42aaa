"""Names found in twenty sentences of each language, against those that a reader finds."""

from collections.abc import Iterable

import pytest

from features.text.nlp.analysis import Analysis, analyse
from features.text.nlp.tokens import ENTITY_TYPES

ENGLISH = [
    ("Marie Curie was born in Warsaw in 1867.", "PERSON:Marie Curie LOC:Warsaw TIME:1867"),
    ("Barack Obama visited Berlin on Tuesday.", "PERSON:Barack Obama LOC:Berlin TIME:Tuesday"),
    ("Microsoft opened an office in Nairobi last year.", "ORG:Microsoft LOC:Nairobi TIME:last year"),
    ("The United Nations sent observers to Colombia.", "ORG:United Nations LOC:Colombia"),
    ("Angela Merkel met Emmanuel Macron in Paris.", "PERSON:Angela Merkel PERSON:Emmanuel Macron LOC:Paris"),
    ("Toyota will build cars in Kentucky until 2030.", "ORG:Toyota LOC:Kentucky TIME:2030"),
    ("In 1912 the Titanic left Southampton for New York.", "TIME:1912 MISC:Titanic LOC:Southampton LOC:New York"),
    ("Harvard University and MIT are in Cambridge.", "ORG:Harvard University ORG:MIT LOC:Cambridge"),
    ("The Amazon flows through Brazil.", "LOC:Amazon LOC:Brazil"),
    ("Serena Williams won Wimbledon in July 2016.", "PERSON:Serena Williams MISC:Wimbledon TIME:July 2016"),
    ("Leo Tolstoy wrote War and Peace in Russia.", "PERSON:Leo Tolstoy WORK:War and Peace LOC:Russia"),
    ("The Bank of England raised rates on Thursday.", "ORG:Bank of England TIME:Thursday"),
    ("Many Italian engineers work for Siemens in Munich.", "MISC:Italian ORG:Siemens LOC:Munich"),
    ("Neil Armstrong walked on the Moon in 1969.", "PERSON:Neil Armstrong LOC:Moon TIME:1969"),
    ("Lake Victoria lies between Uganda, Kenya and Tanzania.", "LOC:Lake Victoria LOC:Uganda LOC:Kenya LOC:Tanzania"),
    ("Netflix bought the film from Warner Bros. in March.", "ORG:Netflix ORG:Warner Bros. TIME:March"),
    ("Pablo Picasso painted Guernica in 1937.", "PERSON:Pablo Picasso WORK:Guernica TIME:1937"),
    ("World War II ended in 1945.", "MISC:World War II TIME:1945"),
    ("George Lucas directed Star Wars in California.", "PERSON:George Lucas WORK:Star Wars LOC:California"),
    ("The European Union and Japan signed a treaty in Tokyo.", "ORG:European Union LOC:Japan LOC:Tokyo"),
]
CHINESE = [
    ("鲁迅1881年出生于浙江绍兴。", "PERSON:鲁迅 TIME:1881年 LOC:浙江 LOC:绍兴"),
    ("马云在杭州创办了阿里巴巴集团。", "PERSON:马云 LOC:杭州 ORG:阿里巴巴集团"),
    ("清华大学和北京大学都在北京。", "ORG:清华大学 ORG:北京大学 LOC:北京"),
    ("张艺谋导演的《红高粱》1988年在柏林获奖。", "PERSON:张艺谋 WORK:红高粱 TIME:1988年 LOC:柏林"),
    ("姚明曾效力于休斯敦火箭队。", "PERSON:姚明 ORG:休斯敦火箭队"),
    ("2008年8月8日，奥运会在北京开幕。", "TIME:2008年8月8日 MISC:奥运会 LOC:北京"),
    ("华为公司的总部设在深圳。", "ORG:华为公司 LOC:深圳"),
    ("莫言凭借小说《蛙》获得茅盾文学奖。", "PERSON:莫言 WORK:蛙 MISC:茅盾文学奖"),
    ("长江流经武汉、南京和上海。", "LOC:长江 LOC:武汉 LOC:南京 LOC:上海"),
    ("中国人民银行昨天宣布降息。", "ORG:中国人民银行 TIME:昨天"),
    ("屠呦呦于2015年10月获得诺贝尔奖。", "PERSON:屠呦呦 TIME:2015年10月 MISC:诺贝尔奖"),
    ("联合国秘书长访问了日本。", "ORG:联合国 LOC:日本"),
    ("曹雪芹写了《红楼梦》。", "PERSON:曹雪芹 WORK:红楼梦"),
    ("今年夏天，王菲将在台北举行演唱会。", "TIME:今年夏天 PERSON:王菲 LOC:台北"),
    ("腾讯公司投资了一家法国公司。", "ORG:腾讯公司 LOC:法国"),
    ("丽江古城位于云南省。", "LOC:丽江古城 LOC:云南省"),
    ("李白和杜甫是唐代的诗人。", "PERSON:李白 PERSON:杜甫 TIME:唐代"),
    ("周杰伦2000年11月发行了专辑《Jay》。", "PERSON:周杰伦 TIME:2000年11月 WORK:Jay"),
    ("中央电视台每天19点播出《新闻联播》。", "ORG:中央电视台 TIME:19点 WORK:新闻联播"),
    ("黄河发源于青海省的巴颜喀拉山。", "LOC:黄河 LOC:青海省 LOC:巴颜喀拉山"),
]


def expected(names: str) -> set[tuple[str, str]]:
    """The names of a line such as "PERSON:Marie Curie LOC:Warsaw"."""
    found: list[list[str]] = []
    for word in names.split(" "):
        kind, colon, name = word.partition(":")
        if colon and kind in ENTITY_TYPES:
            found.append([kind, name])
        else:
            found[-1][1] += f" {word}"
    return {(kind, name) for kind, name in found}


def found(analysis: Analysis) -> set[tuple[str, str]]:
    return {(entity.type, analysis.text[entity.start : entity.end]) for entity in analysis.entities}


def precision_and_recall(sentences: Iterable[tuple[str, str]]) -> tuple[float, float]:
    """Of names that agree in their words and their type."""
    pairs = [(found(analyse(sentence)[0]), expected(names)) for sentence, names in sentences]
    right = sum(len(ours & theirs) for ours, theirs in pairs)
    return right / sum(len(ours) for ours, _ in pairs), right / sum(len(theirs) for _, theirs in pairs)


@pytest.mark.parametrize(("sentences", "floor"), [(ENGLISH, 0.75), (CHINESE, 0.75)], ids=["en", "zh"])
def test_names_are_found(sentences: list[tuple[str, str]], floor: float) -> None:
    precision, recall = precision_and_recall(sentences)
    assert precision >= floor
    assert recall >= floor
