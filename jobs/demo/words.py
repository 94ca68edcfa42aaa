"""The shop's vocabulary in English and Chinese, by the levels of those traits that show in text."""

from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Vocabulary:
    """One language's words. From `kinds` to `occasions`, tuples are indexed by a trait's level.

    Attributes:
        kinds: names of the product, several each.
        categories: the category of each kind.
        themes: pairs of a series' name and what it evokes, two each.
        theme_tags, occasion_tags: the tag of each theme and occasion.
        occasions: the purpose, as a phrase.
        hours: phrases for night, twilight, day.
        titles, descriptions: patterns over `theme`, `feel`, `kind`, `occasion` and `hour`.
        praise, shrug, complaint: first sentences of reviews with at least 4 stars, at least 3, and fewer.
        remarks: second sentences, patterns over the same names as titles.
    """

    kinds: tuple[tuple[str, ...], ...]
    categories: tuple[str, ...]
    themes: tuple[tuple[Pair, Pair], ...]
    theme_tags: tuple[str, ...]
    occasion_tags: tuple[str, ...]
    occasions: tuple[str, ...]
    hours: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...]
    descriptions: tuple[str, ...]
    praise: tuple[str, ...]
    shrug: tuple[str, ...]
    complaint: tuple[str, ...]
    remarks: tuple[str, ...]


ENGLISH = Vocabulary(
    kinds=(
        ("mug", "coffee mug", "tea mug"),
        ("lamp", "table lamp", "reading lamp"),
        ("vase", "flower vase", "bud vase"),
        ("bag", "tote bag", "handbag"),
        ("clock", "table clock", "alarm clock"),
        ("bottle", "water bottle", "flask"),
        ("stool", "footstool", "low stool"),
        ("speaker", "bookshelf speaker", "wireless speaker"),
    ),
    categories=("Mugs", "Lamps", "Vases", "Bags", "Clocks", "Bottles", "Stools", "Speakers"),
    themes=(
        (("Ocean", "the smell of salt and the sound of waves"), ("Lighthouse", "a harbour with fishing boats")),
        (("Forest", "moss, pine needles and wet bark"), ("Woodland", "mushrooms under old oak trees")),
        (("Galaxy", "planets, comets and a rocket on its way"), ("Orbit", "astronauts looking back at the Earth")),
        (("Metro", "skyscrapers, trams and crowded crossings"), ("Downtown", "cafés and neon signs between towers")),
        (("Dunes", "hot sand and a line of camels"), ("Oasis", "cactus, dates and dry desert wind")),
        (("Tea House", "a bowl of green tea and a quiet garden"), ("Matcha", "bamboo whisks and tatami mats")),
        (("Jazz Club", "a saxophone, a piano and applause"), ("Concert", "violins being tuned before the music")),
        (("Summit", "ropes, rock faces and mountain huts"), ("Glacier", "snow peaks and the last climb to the top")),
    ),
    theme_tags=("sea", "forest", "space", "city", "desert", "tea", "music", "mountains"),
    occasion_tags=("office", "travel", "gift", "kids", "garden"),
    occasions=(
        "long days at the office",
        "journeys by train and plane",
        "a birthday or wedding present",
        "the children's room",
        "parties in the garden",
    ),
    hours=(
        ("midnight", "a starry night", "the small hours"),
        ("dusk", "late afternoon", "the first light"),
        ("a sunny noon", "bright morning sun", "a cloudless summer day"),
    ),
    titles=(
        "{theme} {kind}",
        "{theme} {kind} for {occasion}",
        "{kind} from the {theme} collection",
        "{theme} series: {kind}, inspired by {hour}",
    ),
    descriptions=(
        "A {kind} that brings you {feel}. Made for {occasion}, and at its best at {hour}.",
        "Our designers thought of {feel} when they drew this {kind}. It suits {occasion}. Think of {hour}.",
        "Think of {hour}: {feel}. This {kind} from the {theme} collection is a fine choice for {occasion}.",
        "For {occasion} we recommend this {kind}. It reminds you of {feel}, and of {hour}.",
    ),
    praise=("I love it.", "Better than I had hoped.", "Exactly what I was looking for.", "Would buy it again."),
    shrug=("It is all right.", "Decent for the price.", "Does what it should."),
    complaint=("Not for me.", "I sent it back.", "It disappointed me.", "Looks better on the screen."),
    remarks=("The {theme} idea is clear to see.", "We use this {kind} for {occasion}.", "Arrived in two days.", ""),
)

CHINESE = Vocabulary(
    kinds=(
        ("马克杯", "咖啡杯", "茶杯"),
        ("台灯", "阅读灯", "床头灯"),
        ("花瓶", "插花瓶", "小花瓶"),
        ("手提包", "托特包", "单肩包"),
        ("座钟", "闹钟", "时钟"),
        ("水壶", "水瓶", "保温瓶"),
        ("凳子", "矮凳", "脚凳"),
        ("音箱", "书架音箱", "无线音箱"),
    ),
    categories=("杯具", "灯具", "花器", "箱包", "钟表", "水具", "坐具", "音响"),
    themes=(
        (("海洋", "海风的咸味和浪花的声音"), ("灯塔", "停满渔船的港湾")),
        (("森林", "苔藓、松针和雨后的树皮"), ("林间", "老橡树下的蘑菇")),
        (("银河", "行星、彗星和远航的火箭"), ("星轨", "宇航员回望地球的那一刻")),
        (("都市", "高楼、电车和热闹的路口"), ("街角", "霓虹灯下的咖啡馆")),
        (("沙丘", "滚烫的沙子和一队骆驼"), ("绿洲", "仙人掌、椰枣和干燥的大漠风")),
        (("茶室", "一碗绿茶和安静的庭院"), ("抹茶", "竹茶筅和榻榻米")),
        (("爵士", "萨克斯、钢琴和掌声"), ("音乐会", "演出前小提琴调音的声音")),
        (("登峰", "绳索、岩壁和山间小屋"), ("冰川", "雪山和登顶前的最后一段路")),
    ),
    theme_tags=("大海", "森林", "太空", "城市", "沙漠", "茶道", "音乐", "登山"),
    occasion_tags=("办公", "旅行", "礼物", "儿童", "庭院"),
    occasions=("办公室的漫长一天", "火车和飞机上的旅途", "生日或婚礼送礼", "孩子的房间", "花园里的聚会"),
    hours=(
        ("午夜", "繁星满天的夜晚", "夜深人静的时候"),
        ("黄昏", "傍晚时分", "天刚蒙蒙亮的时候"),
        ("阳光灿烂的正午", "明亮的早晨", "万里无云的夏日"),
    ),
    titles=(
        "{theme}{kind}",
        "{theme}系列{kind}",
        "{theme}{kind}，适合{occasion}",
        "{theme}{kind}，灵感来自{hour}",
    ),
    descriptions=(
        "这款{kind}让人想起{feel}，为{occasion}而设计，最适合{hour}使用。",
        "设计灵感来自{feel}。{theme}系列{kind}，适合{occasion}，尤其是{hour}。",
        "想象一下{hour}，{feel}，手边是一款{theme}主题的{kind}。{occasion}的好选择。",
        "{occasion}，推荐这款{kind}：{feel}，仿佛{hour}就在眼前。",
    ),
    praise=("非常喜欢！", "比想象中还要好。", "正是我想要的。", "会再次购买。"),
    shrug=("还可以。", "对得起这个价格。", "中规中矩。"),
    complaint=("不适合我。", "已经退货了。", "有点失望。", "实物不如图片。"),
    remarks=("{theme}主题做得很用心。", "买来这款{kind}用于{occasion}。", "两天就送到了。", ""),
)
VOCABULARIES = {"en": ENGLISH, "zh": CHINESE}
