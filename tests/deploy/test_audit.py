"""The audit of the lock fails on what nobody has accepted, and never calls silence an all-clear."""

import importlib.util
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

AUDIT = Path(__file__).resolve().parents[2] / ".ci" / "audit.py"
TODAY = date(2026, 11, 24)
CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
HURT = {
    "name": "pillow",
    "version": "12.0.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["12.0.1"], "description": ""}],
}
SILENT = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", AUDIT)
    assert spec and spec.loader
    module = sys.modules["audit"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def accept(audit: ModuleType, id_: str = "PYSEC-1", *, until: date = date(2027, 1, 1)) -> Any:
    return audit.Acceptance(id_, "pillow", "we never read that format", date(2026, 11, 1), until)


def test_a_finding_that_nobody_accepted_fails(audit: ModuleType) -> None:
    verdict = audit.judge([CLEAN, HURT], [], TODAY)
    assert verdict.failed
    assert verdict.lines[0] == "FAILED: pillow 12.0.0: PYSEC-1; corrected in 12.0.1"


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_an_accepted_finding_passes_under_any_of_its_names(audit: ModuleType, name: str) -> None:
    assert not audit.judge([CLEAN, HURT], [accept(audit, name)], TODAY).failed


def test_an_acceptance_is_of_one_package(audit: ModuleType) -> None:
    assert audit.judge([HURT | {"name": "other"}], [accept(audit)], TODAY).failed


@pytest.mark.parametrize("dependencies", [[HURT], None], ids=["asked", "not asked"])
def test_an_acceptance_that_has_run_out_fails(audit: ModuleType, dependencies: list | None) -> None:
    verdict = audit.judge(dependencies, [accept(audit, until=TODAY)], TODAY)
    assert verdict.failed and "accepted until 2026-11-24" in verdict.lines[0]


@pytest.mark.parametrize("dependencies", [None, [], [SILENT]])
def test_where_nothing_was_asked_it_says_so(audit: ModuleType, dependencies: list | None) -> None:
    verdict = audit.judge(dependencies, [], TODAY)
    assert not verdict.failed and verdict.lines[0].startswith("SKIPPED")


def test_a_package_that_the_database_does_not_know_is_named(audit: ModuleType) -> None:
    assert "note: not in the database: ours" in audit.judge([CLEAN, SILENT], [], TODAY).lines


@pytest.mark.parametrize(
    "entry", ["- {id: X}", "- {id: X, package: p, reason: ' ', accepted: 2026-01-01, until: soon}"]
)
def test_an_acceptance_needs_all_its_fields(audit: ModuleType, entry: str, tmp_path: Path) -> None:
    (tmp_path / "accepted.yaml").write_text(entry)
    with pytest.raises(ValueError, match="expected"):
        audit.acceptances(tmp_path / "accepted.yaml")


def test_the_list_in_the_repository_can_be_read(audit: ModuleType) -> None:
    assert isinstance(audit.acceptances(AUDIT.with_name("accepted.yaml")), list)


def test_pip_audit_reads_a_lock(audit: ModuleType, tmp_path: Path) -> None:
    """With the database or without: what comes back speaks of the package that the lock names."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    found = audit.findings(lock)
    assert found is None or [dependency["name"] for dependency in found] == ["six"]


def test_without_a_network_nothing_is_asked(audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    assert audit.findings(lock) is None
