"""What nights cost by `nightweave night`: the first, the same again, one without data, and one with 1% changed.

Seconds by the clock and of the processor, of the command and all its processes, and how many processes there were. The
last column is the work beyond the night without data, as a share of the first night's: what changed should decide it.

    python -m benchmarks.nights --folder /tmp/nights
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.demo import write_catalog

FIRST, SECOND, THIRD = "2026-11-01", "2026-11-02", "2026-11-03"
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Cost:
    seconds: float
    processor: float
    processes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="new; for the catalog and the lake")
    parser.add_argument("--items", type=int, default=240)
    parser.add_argument("--users", type=int, default=200)
    options = parser.parse_args()
    raw, lake = options.folder / "raw", options.folder / "lake"
    write_catalog(raw, items=options.items, users=options.users, nights=1, progress=False)
    costs = {
        "first night": night(FIRST, raw, lake),
        "the same again": night(FIRST, raw, lake),
        "without data": night(SECOND, raw, lake, "--without-data"),
    }
    change(raw, max(1, options.items // 100))
    costs["1% changed"] = night(THIRD, raw, lake)
    beyond = {name: cost.processor - costs["without data"].processor for name, cost in costs.items()}
    print(f"{'':<16}{'seconds':>9}{'processor s':>13}{'processes':>11}{'of the first':>14}")
    for name, cost in costs.items():
        share = beyond[name] / beyond["first night"]
        print(f"{name:<16}{cost.seconds:>9.1f}{cost.processor:>13.1f}{cost.processes:>11}{share:>14.1%}")


def night(date: str, raw: Path, lake: Path, *more: str) -> Cost:
    """Run a night.

    Raises:
        SystemExit: it failed, and what it said has been shown.
    """
    command = [str(Path(sys.executable).with_name("nightweave")), "night", "--date", date]
    command += ["--raw", str(raw), "--lake", str(lake), *more]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTWEAVE"))}
    before, started = os.times(), time.perf_counter()
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
        counted(process.pid) as seen,
    ):
        said, _ = process.communicate()
    after = os.times()
    if process.returncode:
        sys.stderr.write(said.decode()[-3000:])
        raise SystemExit(process.returncode)
    processor = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return Cost(time.perf_counter() - started, processor, len(seen))


@contextmanager
def counted(pid: int) -> Iterator[set[int]]:
    """The ids of a process and all its descendants that were seen within it."""
    seen, over = {pid}, threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            with suppress(psutil.NoSuchProcess):
                seen.update(child.pid for child in psutil.Process(pid).children(recursive=True))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def change(raw: Path, items: int) -> None:
    """Land so many items of the first night again, with other texts and pictures, on the third."""
    (source,) = (raw / "items" / f"ds={FIRST}").glob("*.jsonl")
    known = []
    for line in source.read_text("utf-8").splitlines():
        with suppress(json.JSONDecodeError):  # some records are damaged on purpose
            known.append(json.loads(line))
    with_pictures = [item for item in known if item.get("image_uris") and (raw / item["image_uris"][0]).is_file()][
        :items
    ]
    folder = raw / "items" / f"ds={THIRD}"
    folder.mkdir()
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        for item in with_pictures:
            uris = []
            for uri in item["image_uris"]:
                picture = raw / uri
                changed = picture.with_stem(f"{picture.stem}-changed")
                shutil.copyfile(picture, changed)
                with changed.open("ab") as end:
                    end.write(b"\0")  # other content, which shows the same
                uris.append(changed.relative_to(raw).as_posix())
            item |= {"title": f"{item.get('title') or item['item_id']}, changed", "image_uris": uris}
            file.write(json.dumps(item | {"updated_at": f"{THIRD}T08:00:00Z"}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
