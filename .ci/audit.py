"""Audit the lock: every known vulnerability of a locked package is corrected, or accepted with a reason and an end.

pip-audit asks PyPI's advisory database. A package for which the database does not answer is "skipped", and the audit
still succeeds; an index without a database answers for none. So the packages that were asked about are counted here.
Exit code 0: nothing that is not accepted, or nothing could be asked, which is then printed. 1: findings, or an
acceptance that has run out.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
UNREACHABLE = ("Could not connect to PyPI", "requests.exceptions.")
"""One of these is in pip-audit's error output where the network fails: its own message, or a traceback of requests."""


@dataclass(frozen=True)
class Acceptance:
    """A vulnerability that someone has looked at; it counts as known up to, not including, `until`."""

    id: str
    package: str
    reason: str
    accepted: date
    until: date


@dataclass(frozen=True)
class Verdict:
    """What the audit prints, line by line, and whether it fails."""

    lines: tuple[str, ...]
    failed: bool


def acceptances(path: Path) -> list[Acceptance]:
    """Return the accepted vulnerabilities.

    Raises:
        ValueError: an entry lacks a field or its reason is empty.
    """
    found = []
    for entry in yaml.safe_load(path.read_text("utf-8")) or []:
        try:
            found.append(Acceptance(**entry))
        except TypeError as error:
            raise ValueError(f"{path.name}: {entry}: expected id, package, reason, accepted and until") from error
        if not str(found[-1].reason).strip() or not isinstance(found[-1].until, date):
            raise ValueError(f"{path.name}: {entry}: expected a reason, and until as YYYY-MM-DD")
    return found


def judge(dependencies: list[dict[str, Any]] | None, accepted: list[Acceptance], today: date) -> Verdict:
    """Hold pip-audit's findings against what is accepted.

    Args:
        dependencies: as `findings` returns them; None where nothing could be asked.
        accepted: what is accepted, each for its package and up to its end.
        today: the date that ends are compared with.
    """
    lines, failed = [], False
    for acceptance in accepted:
        if acceptance.until <= today:
            lines.append(f"FAILED: {acceptance.id} ({acceptance.package}) was accepted until {acceptance.until}")
            failed = True
    asked = [dependency for dependency in dependencies or () if "skip_reason" not in dependency]
    if not asked:
        lines.append("SKIPPED: no advisory database could be asked about any package; run it where PyPI's is reachable")
        return Verdict(tuple(lines), failed)
    known = {(acceptance.package, acceptance.id) for acceptance in accepted}
    found = set()
    for dependency in asked:
        for vulnerability in dependency["vulns"]:
            names = {(dependency["name"], name) for name in (vulnerability["id"], *vulnerability.get("aliases", ()))}
            found |= names
            if not names & known:
                where = f"{dependency['name']} {dependency['version']}"
                fixed = ", ".join(vulnerability["fix_versions"]) or "no release yet"
                lines.append(f"FAILED: {where}: {vulnerability['id']}; corrected in {fixed}")
                failed = True
    lines += [f"note: {name} ({package}) is accepted but no longer found" for package, name in sorted(known - found)]
    if skipped := sorted(d["name"] for d in dependencies or () if "skip_reason" in d):
        lines.append(f"note: not in the database: {', '.join(skipped)}")
    lines.append(f"{len(asked)} packages asked about, {len(accepted)} acceptances")
    return Verdict(tuple(lines), failed)


def findings(lock: Path) -> list[dict[str, Any]] | None:
    """Return pip-audit's findings for each locked package, None where the database cannot be reached.

    Raises:
        RuntimeError: pip-audit ended in another way.
    """
    command = [sys.executable, "-m", "pip_audit", "-r", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout.startswith("{"):
        return json.loads(done.stdout)["dependencies"]
    if any(words in done.stderr for words in UNREACHABLE):
        return None
    raise RuntimeError(f"pip-audit ended with {done.returncode}: {done.stderr[-2000:]}")


def main() -> int:
    accepted = acceptances(ROOT / ".ci" / "accepted.yaml")
    verdict = judge(findings(ROOT / "requirements.lock"), accepted, datetime.now(UTC).date())
    print(*(f"audit: {line}" for line in verdict.lines), sep="\n")
    return int(verdict.failed)


if __name__ == "__main__":
    sys.exit(main())
