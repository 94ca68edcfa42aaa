"""What the documents name exists: linked pages and headings, files of the repository, modules and what is in them,
commands with their options, tables and columns; and what is made from the code says all of it."""

import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import duckdb
import pytest
import typer

from docs import generated
from jobs.cli import app
from jobs.runtime.failure import LAWS
from jobs.verify import WHOLE
from schemas.config import Config
from schemas.tables import TABLES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = ("benchmarks", "dags", "features", "fusion", "jobs", "lake", "schemas", "tests")
FOLDERS = (*PACKAGES, ".ci", "conf", "docker", "docs")

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\.venv/bin/)?nightweave (.*)", re.MULTILINE)
SQL = re.compile(r'^```sql\n(.*?)^```|"(SELECT [^"]+)"|`(SELECT [^`]+)`', re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"(?P<path>[\w.*-]+(/[\w.*-]+)*/?)(::(?P<test>\w+))?")
MODULE = re.compile(r"(?P<module>[a-z_]\w*(\.\w+)+)(:(?P<attribute>\w+))?")


def broken(text: str, page: Path) -> list[str]:
    """The links, paths and modules of a Markdown text that lead nowhere.

    A word in backticks is taken for a path where it begins with one of `FOLDERS` and a slash, or ends in `.py`;
    `<placeholder>` and `*` stand for any name. It is taken for a module where it is dotted and begins with one of
    `PACKAGES`. Fenced blocks are left out.

    Args:
        text: Markdown.
        page: where it stands; links are relative to it.
    """
    prose = FENCED.sub("", text)
    links = [link for link in LINK.findall(CODE.sub("", prose)) if not _leads_there(link, page)]
    words = [word.strip("(),;:'\"") for span in CODE.findall(prose) for word in span.split()]
    return links + [word for word in words if not (_is_there(word) and _can_be_imported(word))]


def _leads_there(link: str, page: Path) -> bool:
    if re.match(r"\w+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8"))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a Markdown text."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", FENCED.sub("", text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found)


def _is_there(word: str) -> bool:
    match = PATH.fullmatch(re.sub(r"<\w+>", "*", word))
    if match is None:
        return True
    path, test = match["path"], match["test"]
    if path.partition("/")[0] in FOLDERS and "/" in path:
        found = list(ROOT.glob(path))
    elif path.endswith(".py"):
        found = [file for file in files() if fnmatch(file.relative_to(ROOT).as_posix(), f"*{path}")]
    else:
        return True
    return any(test is None or f"def {test}(" in file.read_text("utf-8") for file in found)


@cache
def files() -> tuple[Path, ...]:
    """Every Python file of the repository."""
    return tuple(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def _can_be_imported(word: str) -> bool:
    match = MODULE.fullmatch(word)
    if match is None or word.partition(".")[0] not in PACKAGES or word.endswith(".py"):
        return True
    return _is_setting(match["module"]) or _is_module(match["module"].split("."), match["attribute"])


def _is_module(names: list[str], attribute: str | None) -> bool:
    """Whether the names lead to a module, or to something that a module names."""
    for file in _modules(ROOT.joinpath(*names)):
        return attribute is None or _names(file, attribute)
    if attribute is not None:
        return False
    return any(_names(file, names[-1]) for file in _modules(ROOT.joinpath(*names[:-1])))


def _modules(path: Path) -> Iterator[Path]:
    yield from (file for file in (path.with_name(f"{path.name}.py"), path / "__init__.py") if file.is_file())


def _names(file: Path, name: str) -> bool:
    return re.search(rf"\b{name}\b", file.read_text("utf-8")) is not None


def _is_setting(dotted: str) -> bool:
    """Whether it is a setting of the configuration: `fusion` is a section of that too."""
    fields = Config.model_fields
    for name in dotted.split("."):
        if name not in fields:
            return False
        fields = getattr(fields[name].annotation, "model_fields", {})
    return True


def unknown(arguments: list[str]) -> list[str]:
    """The words of a `nightweave` command line that are neither a command nor one of its options."""
    command = typer.main.get_command(app)
    while commands := getattr(command, "commands", {}):
        if arguments[0] not in commands:
            return arguments[:1]
        command, arguments = commands[arguments[0]], arguments[1:]
    options = {"--help", *(name for each in command.params for name in (*each.opts, *each.secondary_opts))}
    return [word for word in arguments if word.startswith("--") and word not in options]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_everything_that_a_page_names_exists(page: Path) -> None:
    assert broken(page.read_text("utf-8"), page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    text = "\n".join(SHELL.findall(page.read_text("utf-8"))).replace("\\\n", " ")
    lines = [re.sub(r"[\[\]]", "", line) for line in COMMAND.findall(re.sub(r'"[^"]*"', "SQL", text))]
    assert [word for line in lines for word in unknown(shlex.split(line, comments=True))] == []


def test_a_command_or_an_option_that_is_not_there_is_found() -> None:
    assert unknown(["nihgt"]) == ["nihgt"] and unknown(["import", "movielens", "SOURCE", "RAW", "--tag"]) == ["--tag"]
    assert unknown(["night", "--date", "2026-11-01"]) == []


def test_every_query_that_a_page_shows_names_tables_and_columns_that_there_are() -> None:
    connection = duckdb.connect()
    for name, table in TABLES.items():
        connection.register(name, table.schema.empty_table())
    queries = ["".join(found) for page in PAGES for found in SQL.findall(page.read_text("utf-8"))]
    for query in queries:
        connection.execute(query)
    assert len(queries) > 10


def test_every_setting_and_option_is_described() -> None:
    rows = re.findall(r"^\| (.+?) \|.*\| (.*) \|$", generated.settings() + generated.commands(), re.MULTILINE)
    assert {"`fusion.missing.policy`", "`--date`", "`spark`"} <= {name for name, _ in rows}
    assert [name for name, described in rows if not described and "`" in name] == []


def test_every_law_stands_on_the_page_in_the_words_of_the_alerts() -> None:
    page = (ROOT / "docs" / "explanation" / "laws.md").read_text("utf-8")
    stated = dict(re.findall(r"^## Law (\d+)\n\n\*\*(.+?)\.?\*\*", page, re.MULTILINE))
    assert {int(number): words.lower() for number, words in stated.items()} == LAWS


def test_every_promise_that_the_laws_quote_is_one_of_a_table() -> None:
    page = (ROOT / "docs" / "explanation" / "laws.md").read_text("utf-8")
    quoted = {" ".join(words.split()) for words in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", CODE.sub("", page))}
    promised = {check.name for table in TABLES.values() for check in table.all_checks()} | {WHOLE}
    assert len(quoted) > 10 and quoted - promised == set()


@pytest.mark.parametrize(
    "wrong",
    [
        "`fusion/modles/base.py`",
        "`conf/nosuch.yaml`",
        "`features/<modality>/nosuch.py`",
        "`nosuch.py`",
        "`python -m pytest tests/nosuch/`",
        "`tests/test_docs.py::test_nosuch`",
        "`fusion.modles.registry`",
        "`fusion.models.registry:Nosuch`",
        "`fusion.models.registry.nosuch`",
        "`python -m benchmarks.nosuch`",
        "[page](docs/nosuch.md)",
        "[heading](docs/explanation/laws.md#law-99)",
        "[heading](#nosuch)",
    ],
)
def test_what_leads_nowhere_is_found(wrong: str) -> None:
    assert len(broken(f"# Planted\n\nSee {wrong}, it is not there.\n", ROOT / "README.md")) == 1


@pytest.mark.parametrize(
    "right",
    [
        "`fusion/models/base.py`",
        "`conf/`",
        "`features/<modality>/base.py`",
        "`test_docs.py`",
        "`tests/test_docs.py::test_what_leads_nowhere_is_found`",
        "`fusion.models.registry`",
        "`features.registry:ENCODERS`",
        "`jobs.runtime.failure.LAWS`",
        "`fusion.split`",
        "`python -m benchmarks.extraction --posters FOLDER`",
        "`model.json` and `recommendations.contribution_text`",
        "[page](docs/explanation/laws.md)",
        "[heading](docs/explanation/laws.md#law-3)",
        "[elsewhere](https://example.org/nosuch.md)",
    ],
)
def test_what_is_there_is_not_complained_of(right: str) -> None:
    assert broken(f"# Planted\n\nSee {right}.\n\n```sh\ncat docs/nosuch.md\n```\n", ROOT / "README.md") == []


def test_anchors_are_those_of_github() -> None:
    text = "# On call\n## Law 3\n## `a.b` and [c](d.md): e\n## Law 3\n```\n# no heading\n```\n"
    assert anchors(text) == {"on-call", "law-3", "ab-and-c-e", "law-3-1"}
