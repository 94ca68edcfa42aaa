import base64
import gzip
import http.server
import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.base import MediaError
from features.image.load import MAX_PIXELS, load_picture
from tests.features.conftest import save, texture

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{w}" height="{h}">'
RED_HALF = SVG.format(w="40", h="20") + '<rect width="20" height="20" fill="red"/></svg>'


def corners(path: Path) -> list[tuple[int, ...]]:
    """Colours near the four corners, clockwise from the upper left."""
    pixels = load_picture(path).pixels
    return [tuple(int(v) for v in pixels[y, x]) for y, x in ((12, 12), (12, -12), (-12, -12), (-12, 12))]


def quarters(mode: str = "RGB") -> Image.Image:
    """40 x 20: red, green, blue, white quarters, clockwise from the upper left."""
    image = Image.new("RGB", (40, 20), "white")
    image.paste("red", (0, 0, 20, 10))
    image.paste("lime", (20, 0, 40, 10))
    image.paste("blue", (20, 10, 40, 20))
    return image.convert(mode)


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "png"), ("P", "png"), ("RGBA", "webp"), ("P", "gif"), ("RGB", "bmp"), ("CMYK", "tiff"), ("RGB", "ppm")],
)
def test_modes_and_formats_become_rgb(tmp_path: Path, mode: str, kind: str) -> None:
    path = tmp_path / f"picture.{kind}"
    quarters(mode).save(path, **({"lossless": True} if kind == "webp" else {}))
    assert corners(path) == [RED, GREEN, BLUE, WHITE]
    picture = load_picture(path)
    assert (picture.width, picture.height, picture.animated) == (40, 20, False)
    assert (picture.pixels.shape, picture.pixels.dtype) == ((224, 224, 3), np.uint8)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    quarters("CMYK").save(tmp_path / "print.jpg", quality=95, subsampling=0)
    for found, wanted in zip(corners(tmp_path / "print.jpg"), (RED, GREEN, BLUE, WHITE), strict=True):
        np.testing.assert_allclose(found, wanted, atol=16)


def test_the_name_may_lie(tmp_path: Path) -> None:
    quarters().save(tmp_path / "picture.png", "png")
    lying = (tmp_path / "picture.png").rename(tmp_path / "picture.jpg")
    assert corners(lying) == [RED, GREEN, BLUE, WHITE]


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    quarters().save(tmp_path / "turned.png", exif=exif)
    picture = load_picture(tmp_path / "turned.png")
    assert (picture.width, picture.height) == (20, 40)
    assert corners(tmp_path / "turned.png") == [WHITE, RED, GREEN, BLUE]


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
    quarters().save(tmp_path / "exif.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert corners(tmp_path / "exif.png") == [RED, GREEN, BLUE, WHITE]


def test_sixteen_bit_grey_keeps_its_tones(tmp_path: Path) -> None:
    ramp = np.repeat(np.array([0, 16384, 32768, 65535], np.uint16), 16)[None].repeat(8, axis=0)
    path = save(ramp, tmp_path / "deep.png")
    assert load_picture(path).pixels[100, 28::56, 0].tolist() == [0, 64, 128, 255]


def test_transparent_parts_are_white_and_a_white_drawing_is_on_black(tmp_path: Path) -> None:
    drawing = np.zeros((32, 32, 4), np.uint8)
    drawing[8:24, 8:24] = (255, 0, 0, 255)
    assert corners(save(drawing, tmp_path / "red.png")) == [WHITE] * 4
    drawing[8:24, 8:24] = 255
    pixels = load_picture(save(drawing, tmp_path / "white.png")).pixels
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[112, 112].tolist() == [255, 255, 255]


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    picture = load_picture(tmp_path / "moving.gif")
    assert picture.animated
    assert picture.pixels[5, 5].tolist() == [255, 0, 0]


def test_jpeg_is_scaled_while_decoded_and_keeps_its_size_on_record(tmp_path: Path) -> None:
    path = save(np.asarray(quarters().resize((4000, 2000))), tmp_path / "large.jpg")
    picture = load_picture(path)
    assert (picture.width, picture.height) == (4000, 2000)
    np.testing.assert_allclose(picture.pixels[12, 12], RED, atol=4)


def refused(path: Path) -> MediaError:
    with pytest.raises(MediaError) as error:
        load_picture(path)
    assert str(path) not in str(error.value)
    return error.value


def test_truncated_files_are_refused_with_the_decoders_words(tmp_path: Path) -> None:
    for kind in ("png", "jpg", "webp", "gif"):
        whole = save(texture(200, 200), tmp_path / f"whole.{kind}").read_bytes()
        cut = tmp_path / f"cut.{kind}"
        cut.write_bytes(whole[: len(whole) // 2])
        error = refused(cut)
        assert error.reason in ("undecodable", "unknown-format")
        assert error.detail
    assert "truncated" in refused(tmp_path / "cut.jpg").detail


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"this is a text", "unknown-format"),
        (b"\x89PNG\r\n\x1a\n", "unknown-format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "unknown-format"),
        (b"\x1f\x8bnot gzip at all", "undecodable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9'", "undecodable"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    assert refused(path).reason == reason


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.png").reason == "missing"


def test_header_that_promises_too_many_pixels_is_refused(tmp_path: Path) -> None:
    assert MAX_PIXELS < 12_000 * 12_000
    for side in (12_000, 100_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + header
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        (tmp_path / "bomb.png").write_bytes(
            png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        )
        assert refused(tmp_path / "bomb.png").reason == "too-large"


@pytest.mark.parametrize("name", ["drawing.svg", "drawing.svgz", "drawing.png"])
def test_svg_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    data = RED_HALF.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("z") else data)
    assert corners(tmp_path / name) == [RED, WHITE, WHITE, RED]


def svg(path: Path, body: str, prologue: str = "") -> Path:
    path.write_text(prologue + SVG.format(w="40pt", h="40pt") + body + "</svg>")
    return path


def test_svg_of_any_size_and_encoding(tmp_path: Path) -> None:
    for width in ("1000000", "5", "210mm"):
        path = tmp_path / "sized.svg"
        path.write_text(SVG.format(w=width, h=width) + '<rect width="100%" height="100%" fill="blue"/></svg>')
        assert corners(path) == [BLUE] * 4
    path.write_bytes(('<?xml version="1.0" encoding="UTF-16"?>' + RED_HALF).encode("utf-16"))
    assert corners(path) == [RED, WHITE, WHITE, RED]


def test_svg_keeps_internal_entities_and_embedded_pictures(tmp_path: Path) -> None:
    entity = svg(tmp_path / "e.svg", '<rect width="99" height="99" fill="&c;"/>', '<!DOCTYPE svg [<!ENTITY c "blue">]>')
    assert corners(entity) == [BLUE] * 4
    data = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(data, "png")
    uri = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    embedded = svg(tmp_path / "d.svg", f'<image width="99" height="99" preserveAspectRatio="none" xlink:href="{uri}"/>')
    assert corners(embedded) == [RED] * 4


def test_svg_reads_nothing_from_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (4, 4), "red").save(secret)
    asked: list[str] = []

    class Spy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    server = http.server.HTTPServer(("127.0.0.1", 0), Spy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/x.png"
    inner = f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{secret}' width='99' height='99'/></svg>"
    nested = "data:image/svg+xml;base64," + base64.b64encode(inner.encode()).decode()
    for target in (str(secret), secret.as_uri(), "secret.png", address, nested, "&s;"):
        body = f'<image width="99" height="99" href="{target}" xlink:href="{target}"/>'
        path = svg(tmp_path / "out.svg", body, f'<!DOCTYPE svg [<!ENTITY s "{secret}">]>')
        assert corners(path) == [WHITE] * 4, target
    server.shutdown()
    server.server_close()
    assert asked == []


def test_svg_with_an_external_entity_is_refused(tmp_path: Path) -> None:
    doctype = '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    assert refused(svg(tmp_path / "x.svg", "<text>&x;</text>", doctype)).reason == "undecodable"


def test_svg_bombs_are_refused(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha" * 50}">' for i in range(12))
    assert refused(svg(tmp_path / "b.svg", "<text>&a11;</text>", f"<!DOCTYPE svg [{laughs}]>")).reason == "undecodable"
    assert refused(svg(tmp_path / "d.svg", "<g>" * 100_000 + "</g>" * 100_000)).reason == "undecodable"
    zipped = tmp_path / "z.svgz"
    zipped.write_bytes(gzip.compress(b"<svg>" + bytes(80 << 20), compresslevel=1))
    assert refused(zipped).reason == "undecodable"
