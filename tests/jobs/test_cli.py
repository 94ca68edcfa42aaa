"""The `nightweave` command: a user's mistake is one line and exit code 2, and is found before any work is done."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.cli import app, main
from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.lake.test_lake import NIGHT, embeddings

ROOT = Path(__file__).resolve().parents[2]
DAY = ("--date", "2026-11-01")


def nightweave(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jobs.cli", *arguments], capture_output=True, text=True)


@contextmanager
def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Iterator[None]:
    """This process's arguments are these."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["nightweave", *arguments])
        yield


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["night", "--date", "tomorrow", "--raw", "r", "--lake", "l"], "expected YYYY-MM-DD"),
        (["night", "--date", "2026-11-01", "--lake", "l"], "NIGHTWEAVE_RAW"),
        (["night", "--date", "2026-11-01", "--lake", "l", "--raw", "nowhere"], "nowhere: no such folder; expected"),
        (["night", "--date", "2026-11-01", "--lake", "l/file", "--raw", "."], "file is a file; expected a folder"),
        (["night", "--date", "2026-11-01", "--raw", "r", "--lake", "l", "--config", "nosuch"], "embedded"),
        (["query", "SELECT nothing", "--lake", "l"], "cannot be answered"),
        (["query", "CREATE TABLE x AS SELECT 1", "--lake", "l"], "only one SELECT"),
        (["query", "SELECT 1", "--lake", "l", "--format", "tabel"], "did you mean table? expected one of table, csv"),
        (["report", "--date", "2026-11-01", "--lake", "l"], "nightweave night"),
        (["explain", "--date", "2026-11-01", "--lake", "l", "--user", "u"], "no shelf"),
        (["import", "movielens", "nowhere", "r"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Lake(str(tmp_path / "l")).write(UserEmbeddings, embeddings("ann"), {"date": NIGHT})
    (tmp_path / "l" / "file").touch()
    there = (str(tmp_path / a) if a in ("r", "l", "l/file", "nowhere") else a for a in arguments)
    with command_line(monkeypatch, *there), pytest.raises(SystemExit, match=r"^2$"):
        main()
    told = capfd.readouterr().err
    assert len(told.strip().splitlines()) == 1 and expected in told


def test_a_mistake_is_one_line_of_the_whole_process(tmp_path: Path) -> None:
    """No library has a word of its own before or after it."""
    found = nightweave("explain", *DAY, "--lake", str(tmp_path), "--user", "u")
    assert found.returncode == 2 and not found.stdout
    assert len(found.stderr.strip().splitlines()) == 1 and "nightweave" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nigth", *DAY], "No such command 'nigth'. Did you mean 'night'"),
        (["step", "claen", *DAY], "No such command 'claen'. Did you mean 'clean'?"),
        (["night", "--dates", "2026-11-01"], "No such option: --dates"),
        (["night"], "Missing option '--date'"),
        (["night", "--date", "2026-02-30"], "--date '2026-02-30' is no date; expected YYYY-MM-DD"),
        (["step", "train", "--date", "7 November"], "--date '7 November' is no date"),
        (["step", "train", *DAY, "--no-publish"], "No such option: --no-publish"),
        (["step", "verify", *DAY], "--raw is missing"),
        (["step", "extract", *DAY], "Missing option '--modality'"),
        (["step", "extract", *DAY, "--modality", "vidoe"], "'audio', 'video'; did you mean video?"),
        (["step", "reextract", *DAY, "--modality", "text", "--chunk", "0"], "'--chunk': Input should be greater than"),
        (["demo-data", "r", "--items", "many"], "Invalid value for '--items'"),
        (["check-config", "embeded"], "did you mean embedded?"),
    ],
)
def test_a_command_line_that_cannot_be_is_one_line(
    arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NIGHTWEAVE_RAW", raising=False)
    with command_line(monkeypatch, *arguments), pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("nightweave: ") and len(error.strip().splitlines()) == 1 and expected in error


@pytest.mark.parametrize("name", ["a lake #1? 50% off", "100%"])
def test_a_lake_in_a_folder_of_any_name_is_written_queried_verified_and_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Lake(str(tmp_path / name)).write(UserEmbeddings, embeddings("ann"), {"date": NIGHT})
    where = ["--lake", str(tmp_path / name)]
    said = {}
    for command in (["query", "SELECT user_id FROM user_embeddings", "--format", "csv"], ["verify"], ["maintenance"]):
        with command_line(monkeypatch, *command, *where), suppress(SystemExit):
            main()
        said[command[0]] = capfd.readouterr().out
    assert said["query"] == '"user_id"\n"ann"\n'
    assert "every file is there and whole" not in said["verify"], "a file was not found where it is"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("place", ["nothing", "folder", "folder/file"])
@pytest.mark.parametrize(
    "command",
    [
        ["query", "SELECT 1"],
        ["verify"],
        ["maintenance"],
        ["repair"],
        ["report", *DAY],
        ["explain", *DAY],
        ["compare", *DAY],
        ["export", "mmrec", "out", *DAY],
        ["step", "verify", *DAY],
    ],
    ids=" ".join,
)
def test_a_place_that_is_no_lake_is_one_line_for_each_command(
    command: list[str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    monkeypatch.setenv("NIGHTWEAVE_RAW", str(tmp_path / "folder"))
    monkeypatch.setenv("NIGHTWEAVE_LAKE", str(tmp_path / place))
    with command_line(monkeypatch, *command), pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 2 and not printed.out
    reason = "is a file; expected a folder" if place.endswith("file") else "is no lake: none of its tables"
    assert len(printed.err.strip().splitlines()) == 1 and f"{place} {reason}" in printed.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize("name", ["my%20lake", "100%25"])
@pytest.mark.parametrize(
    "command",
    [["query", "SELECT 1"], ["verify"], ["maintenance"], ["step", "clean", *DAY], ["night", *DAY], ["report", *DAY]],
    ids=" ".join,
)
def test_a_lake_that_deltas_client_cannot_find_again_is_one_line_for_each_command(
    command: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("NIGHTWEAVE_RAW", str(tmp_path / "raw"))
    monkeypatch.setenv("NIGHTWEAVE_LAKE", str(tmp_path / name))
    with command_line(monkeypatch, *command), pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert len(error.strip().splitlines()) == 1 and "rename the folder" in error
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            "fusion: {strategy: dceision}",
            "fusion.strategy: strategy 'dceision': unknown; did you mean decision?",
        ),
        ("fusion: {missing: {policy: meen}}", "'meen': unknown; did you mean mean?"),
        (
            "extract: {encoders: {text: {name: e6-small}}}",
            "extract.encoders.text: no text encoder is called 'e6-small'",
        ),
        ("evaluate: {gate_metric: ndgc}", "evaluate.gate_metric 'ndgc': unknown; did you mean ndcg?"),
        ("evaluate: {gate_k: 7}", "gate_k 7 is not in ks [10, 20]"),
        ("evaluate: {ks: [10]}", "gate_k 20 is not in ks [10]"),
    ],
)
def test_a_misspelt_configuration_fails_before_any_step(
    config: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "night.yaml").write_text(config)
    where = [f"--{name}={tmp_path / name}" for name in ("raw", "lake")] + [f"--config={tmp_path / 'night.yaml'}"]
    with command_line(monkeypatch, "night", *DAY, *where), pytest.raises(SystemExit, match=r"^2$"):
        main()
    told = capfd.readouterr()
    assert len(told.err.strip().splitlines()) == 1 and expected in told.err and not told.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["night.yaml", "raw"]
    assert list((tmp_path / "raw").iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["step", "clean"],
        ["step", "reextract", "--modality", "text", "--chunk", "10"],
        ["compare"],
        ["check-config"],
    ],
    ids=" ".join,
)
def test_whatever_comes_first_checks_the_configuration(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "night.yaml").write_text("fusion: {missing: {policy: meen}}")
    for name in ("raw", "lake"):
        monkeypatch.setenv(f"NIGHTWEAVE_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("NIGHTWEAVE_CONFIG", str(tmp_path / "night.yaml"))
    date = [] if command == ["check-config"] else DAY
    with command_line(monkeypatch, *command, *date), pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 2 and "did you mean mean?" in printed.err and not printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["night.yaml"]


def test_the_file_that_spark_is_given_is_the_command_line() -> None:
    command = [sys.executable, ROOT / "jobs" / "cli.py", "step", "clean"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("nightweave: Missing option '--date'") and len(found.stderr.splitlines()) == 1


def test_help_and_the_command_line_import_nothing_heavy() -> None:
    code = (
        "import sys; from jobs.cli import app, main; sys.argv = ['nightweave', '--help']\n"
        "try: main()\n"
        "finally: print({'pyspark', 'tensorflow', 'keras', 'airflow', 'duckdb', 'pandas', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "check-config" in found.stdout and found.stdout.strip().splitlines()[-1] == "set()"


def test_no_command_is_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["step"]):
        with command_line(monkeypatch, *words), pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == 2 and "Usage: nightweave" in printed.out and not printed.err


def test_check_config_prints_every_setting_and_its_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "night.yaml"
    path.write_text("extract: {encoders: {text: {name: bag-of-words}}}\nrecommend: {k: 5}\n")
    for source, name, line in (
        (str(path), str(path), f"recommend.k: 5 ({path})"),
        (
            "embedded",
            "profile conf/embedded.yaml",
            'extract.encoders.audio.name: "mel-mfcc" (profile conf/embedded.yaml)',
        ),
    ):
        with command_line(monkeypatch, "check-config", source), pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().out.splitlines()
        assert not ended.value.code and line in lines and "recommend.similar_k: 20 (default)" in lines
        assert lines[-1] == f"{name} is valid"


@pytest.mark.parametrize(
    ("format_", "answer"), [("csv", '"user_id"\n"a"\n'), ("json", '{"user_id":"a"}\n'), ("table", None)]
)
def test_query_formats(lake: Lake, format_: str, answer: str | None) -> None:
    lake.write(UserEmbeddings, embeddings("a"), {"date": NIGHT})
    found = nightweave("query", "SELECT user_id FROM user_embeddings", "--lake", lake.uri, "--format", format_)
    assert found.returncode == 0
    assert found.stdout == answer if answer else "user_id" in found.stdout


def test_demo_data_does_not_write_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine").write_text("x")
    found = nightweave("demo-data", str(tmp_path / "raw"), "--items", "20", "--users", "1")
    assert found.returncode == 2 and "mine" in found.stderr


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups of commands below a group, each with its words."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)


def test_every_help_has_an_example_of_its_own_that_can_be_run_and_the_variables_of_its_options() -> None:
    group = typer.main.get_command(app)
    found = dict(commands(group))
    assert {"init", "doctor", "check", "night"} <= {path[0] for path in found}
    for path, command in found.items():
        start, _, words = (command.epilog or "").partition("nightweave ")
        assert start == "Example: ", path
        *given, last = shlex.split(words)
        assert (*given, last)[: len(path)] == path
        if path in found and not hasattr(command, "commands"):
            command.make_context(path[-1], [*given, last][len(path) :])  # raises where an option or a value is none
    for option in found["night",].params:
        if option.name in ("raw", "lake", "config"):
            assert f"(env: NIGHTWEAVE_{option.name.upper()}" in option.help


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with command_line(monkeypatch, "--version"), pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code and capsys.readouterr().out == f"nightweave {version('nightweave')}\n"
