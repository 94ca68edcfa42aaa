"""The bytes of a record file as lines of UTF-8: decompressed, transcoded, and counted apart from any parser."""

import codecs
import re
from collections.abc import Iterator

import pyarrow as pa

from jobs.landing.refusal import Refusal
from schemas.config import RecordFiles

BLOCK_BYTES = 1 << 20
MOST_CONTROLS = 4
"""Control characters, as many and per cent, that a text may begin with: compressed or encrypted data has over 9%."""
NOT_UTF8 = "no UTF-8, as of Windows-1252; convert the file, as by iconv -f WINDOWS-1252 -t UTF-8"
"""What bytes are that cannot be read as a text, and what to do."""
SPACE = " \t\n\r\v\f"

_COMPRESSED = (
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), "zstd"),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bz2"),
)
_BINARY = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x04\x22M\x18": "an lz4 archive",
    b"Obj\x01": "Avro",
    b"%PDF-": "PDF",
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_MARK = (
    (re.compile(rb"[^\0]\0[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]"), "utf-16-be"),
)
_CONTROLS = bytes({*range(32), 127} - {8, 9, 10, 11, 12, 13, 27})
_FILLED = re.compile(rb"[^\s][^\r\n]*")
_EMPTY = re.compile(rb"\n\s*\n")
_FIRST = re.compile(rb"[^\r\n]*")


def blocks(file: pa.NativeFile, *, compressed: bool, limits: RecordFiles) -> Iterator[bytes]:
    """Yield the text of a file as blocks of UTF-8.

    How it is compressed follows from its first bytes; gzip, zstd and bz2 are read, and what a transport has
    decompressed without renaming it. UTF-16 and UTF-32 are known by their
    mark, UTF-16 also by the zeros between its letters. Bytes that are no UTF-8 are passed on.

    Args:
        compressed: whether its name is that of a compressed file; then it is not empty.

    Raises:
        Refusal: it is no text, it expands too much, or its compression or its UTF-16 is damaged or ends early.
    """
    size = file.size()
    allowed = max(limits.max_expanded_bytes, limits.max_expansion * size)
    compression = compression_of(file)
    if compressed and not size:
        raise Refusal("not_compressed", "an empty file; expected compressed data", rows=None)
    stream = pa.CompressedInputStream(file, compression) if compression else file
    total, decoder = 0, None
    while block := _read(stream, compression):
        beginning, total = not total, total + len(block)
        if beginning:
            block, decoder = _beginning(block, spared=0 if compressed and not compression else MOST_CONTROLS)
        if compression and total > allowed:
            raise Refusal("expands_too_much", f"{size} bytes become more than {allowed}", rows=None)
        yield _transcoded(decoder, block) if decoder else block
    if decoder:
        yield _transcoded(decoder, b"")


def compression_of(file: pa.NativeFile) -> str | None:
    """Return how a file is compressed that is at its beginning, and leave it there; None where it is not, or in a way
    that is not read."""
    head = file.read(16)
    file.seek(0)
    return next((codec for magic, codec in _COMPRESSED if magic.match(head)), None)


def _read(stream: pa.NativeFile, compression: str | None) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except OSError as error:
        if not compression:
            raise
        raise Refusal("damaged_compression", f"{compression}: {error}", rows=None) from None


def _transcoded(decoder: codecs.IncrementalDecoder, block: bytes) -> bytes:
    """The block as UTF-8; an empty one is the end."""
    try:
        return decoder.decode(block, final=not block).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Refusal("damaged_encoding", f"{error.encoding}: {error.reason}", rows=None) from None


def _beginning(block: bytes, *, spared: int) -> tuple[bytes, codecs.IncrementalDecoder | None]:
    """A text's first block without its mark, and its decoder unless it is UTF-8.

    Args:
        spared: control characters, as many and per cent, that it may have.

    Raises:
        Refusal: it is no text.
    """
    for magic, kind in _BINARY.items():
        if block.startswith(magic):
            raise Refusal("not_text", f"it is {kind}", rows=None)
    mark, encoding = next(((mark, name) for mark, name in _MARKS if block.startswith(mark)), (b"", "utf-8"))
    if not mark:
        encoding = next((name for pattern, name in _WITHOUT_MARK if pattern.match(block)), "utf-8")
    block = block[len(mark) :]
    if encoding == "utf-8":
        controls = len(block) - len(block.translate(None, _CONTROLS))
        if controls > max(spared, spared * len(block) // 100):
            raise Refusal("not_text", f"{controls} of its first {len(block)} bytes are control characters", rows=None)
        return block, None
    return block, codecs.getincrementaldecoder(encoding)("surrogatepass")


class Tally:
    """Counts the lines of a text that are not blank, as its blocks pass by on their way to a parser."""

    def __init__(self) -> None:
        self.lines = 0
        self._inside = False

    def tap(self, source: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks of `source`, counting them."""
        for block in source:
            self._count(block)
            yield block

    def _count(self, block: bytes) -> None:
        self.lines += _filled(block)
        first = _FIRST.match(block)
        if self._inside and first and not first[0].isspace() and first[0]:
            self.lines -= 1  # the rest of a line that was counted
        last = block[max(block.rfind(b"\n"), block.rfind(b"\r")) + 1 :]
        goes_on = self._inside and len(last) == len(block)
        self._inside = goes_on or bool(last.strip())


def _filled(block: bytes) -> int:
    """How many lines of the block are not blank."""
    if block.count(b"\r") != block.count(b"\r\n") or _EMPTY.search(b"\n" + block):
        return len(_FILLED.findall(block))
    return block.count(b"\n") + bool(block[block.rfind(b"\n") + 1 :].strip())


def lines(source: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the lines of a text with their ends: LF, CRLF or CR.

    Of a line of more than `max_bytes` the beginning is yielded, longer than that.
    """
    rest = b""
    for block in filter(None, source):
        if rest.endswith(b"\r") and not block.startswith(b"\n"):
            yield rest
            rest = b""
        first, *more = block.splitlines(keepends=True)
        if len(rest) > max_bytes:
            first = first[-1:] if first.endswith((b"\n", b"\r")) else b"" if rest.strip() else first.strip()[:1]
        more.insert(0, rest + first)
        rest = b"" if more[-1].endswith(b"\n") else more.pop()
        yield from more
    if rest:
        yield rest
