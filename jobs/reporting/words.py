"""What the report says, in English and in Chinese: both stand in the page, and its style shows one of them."""

from markupsafe import Markup, escape

NAMES: dict[str, tuple[str, str]] = {
    # modalities, and the parts of a score
    "text": ("text", "文本"),
    "image": ("image", "图片"),
    "audio": ("sound", "声音"),
    "video": ("film", "视频"),
    "attributes": ("attributes", "属性"),
    "history": ("history", "历史行为"),
    "popularity": ("popularity", "热门程度"),
    # steps
    "clean_items": ("items", "物品"),
    "clean_interactions": ("events of users", "用户行为"),
    "clean_media": ("media files", "媒体文件"),
    **{
        f"clean_vectors_{modality}": (f"vectors given for {en}", f"自带的{zh}向量")
        for modality, en, zh in (("text", "text", "文本"), ("image", "image", "图片"))
    },
    "clean_vectors_audio": ("vectors given for sound", "自带的声音向量"),
    "clean_vectors_video": ("vectors given for film", "自带的视频向量"),
    "extract_text": ("features of texts", "文本特征"),
    "extract_image": ("features of pictures", "图片特征"),
    "extract_audio": ("features of sounds", "声音特征"),
    "extract_video": ("features of films", "视频特征"),
    "clean": ("reading what arrived", "读取数据"),
    "train": ("training", "训练"),
    "evaluate": ("evaluation", "评估"),
    "verify": ("audit", "审计"),
    "report": ("this page", "本页"),
    "recommend": ("people to be served, and one row for newcomers", "待推荐的用户（含一行新用户）"),
    "contradictions": ("contradicting modalities (a warning)", "模态互相矛盾（警告）"),
    # events
    "view": ("view", "浏览"),
    "click": ("click", "点击"),
    "like": ("like", "喜欢"),
    "dislike": ("dislike", "不喜欢"),
    "cart": ("cart", "加入购物车"),
    "purchase": ("purchase", "购买"),
    "rating": ("rating", "评分"),
    "review": ("review", "评论"),
    # populations
    "with_history": ("users with history", "有历史的用户"),
    "without_history": ("users without history", "没有历史的用户"),
    "new_items": ("new items", "新物品"),
    # models
    "item_knn": ("item-kNN", "item-kNN 近邻"),
    "ease": ("EASE", "EASE"),
    "ials": ("iALS", "iALS"),
    "tfidf_neighbours": ("neighbours by words", "词语近邻"),
    "text_neighbours": ("neighbours by text", "文本近邻"),
    "image_neighbours": ("neighbours by image", "图片近邻"),
    "audio_neighbours": ("neighbours by sound", "声音近邻"),
    "video_neighbours": ("neighbours by film", "视频近邻"),
    "last_promoted": ("the last promoted model", "上一个上线的模型"),
    "best_promoted": ("the best model so far", "迄今最好的模型"),
    "last_weights": ("tonight's model with the last weights", "沿用上次权重的本夜模型"),
    # segments
    "all": ("all likes", "全部喜欢"),
    "warm_users": ("users with likes", "有喜欢记录的用户"),
    "cold_users": ("users without likes", "没有喜欢记录的用户"),
    "warm_items": ("items with likes", "有人喜欢的物品"),
    "cold_items": ("items without likes", "无人喜欢过的物品"),
    "head_items": ("most liked third", "最热门的三分之一"),
    "middle_items": ("middle third", "中间的三分之一"),
    "tail_items": ("least liked third", "最冷门的三分之一"),
    **{
        f"{word}_{modality}": (f"{word} {en}", f"{zh_word}{zh}的物品")
        for modality, en, zh in (
            ("text", "text", "文本"),
            ("image", "image", "图片"),
            ("audio", "sound", "声音"),
            ("video", "film", "视频"),
            ("attributes", "attributes", "属性"),
        )
        for word, zh_word in (("with", "有"), ("without", "没有"))
    },
    # hues
    "red": ("red", "红色"),
    "orange": ("orange", "橙色"),
    "yellow": ("yellow", "黄色"),
    "lime": ("lime", "黄绿色"),
    "green": ("green", "绿色"),
    "mint": ("mint", "薄荷绿"),
    "cyan": ("cyan", "青色"),
    "azure": ("azure", "天蓝色"),
    "blue": ("blue", "蓝色"),
    "violet": ("violet", "紫色"),
    "magenta": ("magenta", "品红色"),
    "pink": ("pink", "粉红色"),
    # shelves
    "for_you": ("for you", "为你推荐"),
    # splits
    "per_user": ("the last likes of each user", "每位用户最近的喜欢"),
    "global_time": ("likes after one moment", "某一时刻之后的喜欢"),
}
"""Name in the tables → in English, in Chinese. What is not here is shown as the tables have it."""


def say(en: str, zh: str, /, **values: object) -> Markup:
    """A phrase in both languages.

    Args:
        en, zh: the phrase, with `{name}` or `{name:format}` where one of `values` stands. They are ours; values may be
            anybody's, and are escaped unless they are `Markup`.

    >>> say("{n:,} items", "{n:,} 件", n=1200)
    Markup('<span class="en">1,200 items</span><span class="zh" lang="zh-Hans">1,200 件</span>')
    """
    english, chinese = (escape(text).format(**values) if values else escape(text) for text in (en, zh))
    return Markup('<span class="en">{}</span><span class="zh" lang="zh-Hans">{}</span>').format(english, chinese)


def name(word: str) -> Markup:
    """A name of the tables in both languages; as it is where there is no other.

    >>> name("<b>")
    Markup('&lt;b&gt;')
    """
    if word in NAMES:
        return say(*NAMES[word])
    step, dot, encoder = word.partition(".")
    if dot and step in NAMES:
        return Markup("{} <small>{}</small>").format(say(*NAMES[step]), encoder)
    return escape(word)


def both(word: str) -> str:
    """A name for where there is one text only, such as an attribute: in English, then in Chinese.

    >>> both("audio"), both("e5-small")
    ('sound · 声音', 'e5-small')
    """
    return " · ".join(dict.fromkeys(NAMES[word])) if word in NAMES else word


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """A number as it is printed, with a minus that is as wide as a plus; a dash for none.

    >>> number(-0.25), number(0.1, sign=True), number(None)
    ('−0.250', '+0.100', '–')
    """
    return "–" if value is None else f"{value:{'+' if sign else ''},.{digits}f}".replace("-", "−")


def percent(share: float | None) -> str:
    """A share as a percentage, with one decimal below 10%.

    >>> percent(0.5), percent(0.031), percent(0.0)
    ('50%', '3.1%', '0%')
    """
    if share is None:
        return "–"
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def size(count: int | None) -> str:
    """A number of bytes, in the largest unit that it has one of; a dash for none.

    >>> size(512), size(1536), size(3 << 30), size(None)
    ('512 B', '1.5 KiB', '3.0 GiB', '–')
    """
    if count is None:
        return "–"
    power = min(4, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:,.1f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}" if power else f"{count} B"
