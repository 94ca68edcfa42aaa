"""A night that has been cleaned, with one item a sound, so that extraction can begin."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.runtime.night import Night
from schemas.config import Config
from schemas.tables import Items

NIGHT = "2026-11-01"


def configured(toy: str, parameters: dict[str, Any] | None = None, **extract: Any) -> Config:
    """A configuration whose sounds go through an encoder of `tests.jobs.toys`."""
    choice = {"name": f"tests.jobs.toys:{toy}", "parameters": parameters or {}}
    encoders = Config().extract.encoders | {"audio": choice}
    return Config.model_validate({"extract": {"encoders": encoders, **extract}})


def there(folder: Path | str, config: Config) -> Night:
    """The night under `folder`."""
    night = Night.of(date_=NIGHT, raw=f"{folder}/raw", lake=f"{folder}/lake", config=None)
    return Night(night.date, night.raw, night.lake, config)


def bring(sounds: list[bytes], folder: Path, config: Config) -> Night:
    """The night, with a sound file for each of `sounds`, called after what it holds, and an item for each."""
    media = folder / "raw" / "media"
    media.mkdir(parents=True)
    night, rows = there(folder, config), []
    for sound in sounds:
        (media / sound.decode()).write_bytes(sound)
        row = {field.name: None if field.nullable else [] for field in Items.schema}
        row |= {"date": night.date, "item_id": sound.decode(), "title": "", "description": "", "language": "und"}
        row |= {"deleted": False, "audio_uris": [f"media/{sound.decode()}"]}
        rows.append(row | {"audio_keys": [hashlib.sha256(sound).hexdigest()]})
    night.lake.write(Items, pa.Table.from_pylist(rows, schema=Items.schema), {"date": NIGHT})
    return night
