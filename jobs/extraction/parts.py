"""What Spark tasks have finished of their slices of contents, noted in the lake as they go: the driver sees how far
they are, and a second attempt at a slice goes on where the first one was killed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lake import files
from lake.lake import Lake

File = Mapping[str, Any]
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)\.json")


@dataclass(frozen=True, order=True)
class Part:
    """The contents `start` to `end`, exclusive, of a slice; `refused` of them were refused."""

    slice: int
    start: int
    end: int
    refused: int


@dataclass(frozen=True)
class Parts:
    """The notes of one extraction, in a folder of the lake; picklable."""

    lake: Lake
    folder: str

    def note(self, part: Part, made: Sequence[File]) -> None:
        """Note a part, with the files of the store that hold its rows."""
        files.write_json(self.lake, self._path(part), made)

    def files(self, part: Part) -> list[File]:
        """Return the files of a part."""
        return files.read_json(self.lake, self._path(part))

    def finished(self) -> dict[int, list[Part]]:
        """Return the parts of each slice that has any, from its beginning, each beginning where the one before ends.

        Parts of two attempts at a slice that ran at once overlap; those of one are left out.
        """
        names = files.names(self.lake, self.folder)
        parts = sorted(Part(*map(int, found.groups())) for name in names if (found := _NAME.fullmatch(name)))
        chains: dict[int, list[Part]] = {}
        for number, group in groupby(parts, key=lambda part: part.slice):
            chain = chains.setdefault(number, [])
            for part in group:
                if part.start == (chain[-1].end if chain else 0):
                    chain.append(part)
        return chains

    def _path(self, part: Part) -> str:
        return f"{self.folder}/{part.slice}-{part.start}-{part.end}-{part.refused}.json"
