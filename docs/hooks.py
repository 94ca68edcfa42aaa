"""What MkDocs does beside its own work: reference pages from the code, pages from the root, `llms.txt`."""

import posixpath
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mkdocs.structure.files import File, Files  # noqa: E402
from pymdownx.slugs import slugify  # noqa: E402

from docs.generated import PAGES  # noqa: E402

GENERATED = re.compile(r"<!-- generated: (\w+) -->")
LINK = re.compile(r"(?<=\]\()([^)\s#]+\.md)(?=[)#])")
AT_THE_ROOT = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PARAGRAPH = re.compile(r"<p>(.+?)</p>", re.DOTALL)

FIRST_FOUND = "troubleshooting.md"
"""What the search shows above other pages: whoever looks for the words of an error wants its cure."""

summaries: dict[str, str] = {}


def on_config(config: Any) -> None:
    """Make anchors as GitHub does, so that a link leads to the same place there and here."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that lie at the repository's root, where GitHub looks for them."""
    for name, place in AT_THE_ROOT.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in what is made from the code, and lead links to pages at the root to where the site has them."""
    place = page.file.src_uri
    if place == FIRST_FOUND:
        page.meta["search"] = {"boost": 2}
    lies = next((name for name, at in AT_THE_ROOT.items() if at == place), f"docs/{place}")

    def on_the_site(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(lies), match[1]))
        target = AT_THE_ROOT.get(path) or path.removeprefix("docs/")
        return posixpath.relpath(target, posixpath.dirname(place) or ".")

    return LINK.sub(on_the_site, GENERATED.sub(lambda match: PAGES[match[1]](), markdown))


def on_page_content(html: str, *, page: Any, **_: Any) -> None:
    """Keep the first sentence, which says what the page is for."""
    first = PARAGRAPH.search(html)
    words = " ".join(unescape(re.sub(r"<[^>]+>", "", first[1])).split()) if first else ""
    summaries[page.file.src_uri] = re.split(r"(?<=[.。])(?: |$)|(?<=。)", words)[0]


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Say of the Chinese pages that they are, for browsers and screen readers."""
    return output.replace('<html lang="en"', '<html lang="zh"', 1) if page.file.src_uri.startswith("zh/") else output


def on_post_build(*, config: Any) -> None:
    """Write `llms.txt`: every page with its address and its first sentence, in the order of the navigation."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for section in config.nav:
        for title, pages in section.items():
            listed = [{title: pages}] if isinstance(pages, str) else pages
            lines += ["", f"## {title}", ""] + [_listed(entry) for entry in listed]
    Path(config.site_dir, "llms.txt").write_text("\n".join(lines) + "\n", "utf-8")


def _listed(entry: dict[str, str]) -> str:
    ((title, place),) = entry.items()
    return f"- [{title}]({place.removesuffix('.md')}.html): {summaries[place]}"
