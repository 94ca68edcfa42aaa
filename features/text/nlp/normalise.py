"""Raw text, which may be HTML → one line of plain Unicode."""

import html
import re
import unicodedata

# Elements that are removed with their content, as it isn't displayed.
_HIDDEN = re.compile(r"<(script|style|template|noscript|head)\b[^>]*>.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)|<!\[CDATA\[|\]\]>", re.DOTALL)
# A tag begins with a letter right after "<", so "a < b", "<3" and "<-" stay. An unclosed tag at the text's end is
# removed only where it has an attribute.
_TAG = re.compile(
    r"""</?[a-z][\w:-]*(\s([^<>"']|"[^<"]*"|'[^<']*')*|\s[^<>]*)?/?>|<[!?][^<>]*>|<[a-z][\w:-]*\s+[\w:-]+\s*=[^<>]*\Z""",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_JOINERS = "\u200c\u200d"


def clean_text(raw: str | None) -> str:
    """The text of `raw`, which may be HTML: without scripts, comments and tags, entities resolved, NFC, one line.

    Entities are resolved once, after the tags have been removed: `&lt;b&gt;` is the text `<b>`, not a tag. None becomes
    the empty string.

    >>> clean_text("<p>Caf&eacute;&nbsp;<b>au</b>\\n lait</p><script>x()</script>")
    'Café au lait'
    """
    if not raw:
        return ""
    text = _COMMENT.sub(" ", _HIDDEN.sub(" ", raw))
    text = _TAG.sub(_gap, text)
    return plain_line(html.unescape(text))


def plain_line(text: str) -> str:
    """`text` in NFC, without control characters and lone surrogates, every run of white space one space.

    >>> plain_line("  Cafe\\u0301\\t\\u200bau\\nlait ")
    'Café au lait'
    """
    text = _SPACE.sub(" ", unicodedata.normalize("NFC", text))
    if not text.isprintable():
        text = "".join(_visible(character) for character in text)
    return _SPACE.sub(" ", text).strip()


def _visible(character: str) -> str:
    """The character, or in its place a space (controls, separators) or nothing (formatting, private use).

    Zero-width joiners stay: they join several emoji to one, and shape letters of Persian and Hindi. So do characters
    that are not assigned as far as this Python knows, since a later version of Unicode has assigned them; only those
    that Unicode promises never to assign go.
    """
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    if category == "Cn":
        return "" if _is_noncharacter(character) else character
    hidden = category in ("Cf", "Cs", "Co") and character not in _JOINERS and not _is_tag(character)
    return "" if hidden else character


def _is_noncharacter(character: str) -> bool:
    """Whether Unicode promises that the code point never is a character: the last two of each plane, U+FDD0 to FDEF."""
    return ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"


def _is_tag(character: str) -> bool:
    """Whether the character is a tag character, as in the flags of England, Scotland and Wales."""
    return "\U000e0020" <= character <= "\U000e007f"


# Tags within a line of text; every other tag separates words.
_INLINE = re.compile(r"</?(a|abbr|b|bd[io]|big|cite|code|em|font|i|mark|q|s|small|span|strong|su[bp]|tt|u|wbr)\b", re.I)


def _gap(tag: re.Match[str]) -> str:
    """The replacement of a tag: nothing for one within a line, else a space."""
    return "" if _INLINE.match(tag[0]) else " "
