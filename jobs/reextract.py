"""Re-extract one modality under a changed encoder: all content there is, in chunks, beside the nights that go on."""

import logging
import math
from collections.abc import Callable, Iterator

import pyarrow as pa

from jobs.extract import encodings, extracted
from jobs.extraction.backlog import Contents, take_out_damaged
from jobs.extraction.encoding import Encoding
from jobs.runtime.engines import EngineFor, engines
from jobs.runtime.ledger import Account, check_share, close
from jobs.runtime.night import Night
from schemas.features import FEATURES
from schemas.table import Medium
from schemas.tables import Quarantine

log = logging.getLogger("nightweave.reextract")


def run(night: Night, *, modality: Medium, chunk: int) -> None:
    """`reextract_modality` with engines of its own."""
    with engines(night, f"reextract {modality} {night.ds}", night.config.extract.spark_settings()) as engine_for:
        reextract_modality(engine_for, night, modality, chunk=chunk)


def reextract_modality(engine_for: EngineFor, night: Night, modality: Medium, *, chunk: int) -> None:
    """Add to the feature store what it lacks, under the night's configuration, of the contents known as of the night,
    under each encoder of the modality, one after the other.

    Chunks of at most so many contents are extracted one after the other, each one commit: a run that is killed has lost
    one chunk, and the next goes on with what is lacking. Nights meanwhile read and write the rows of their own encoder.
    Once it ends, a night under this configuration finds all that was known here.

    Args:
        engine_for: asked only where there is something to extract.

    Raises:
        NightError: more than the set share of the contents was refused.
    """
    for encoding, step in encodings(night, modality, f"reextract_{modality}"):
        _reextract_under(encoding, engine_for, night, step, chunk=chunk)


def _reextract_under(encoding: Encoding, engine_for: EngineFor, night: Night, step: str, *, chunk: int) -> None:
    modality, settings, fingerprint = encoding.modality, encoding.settings, encoding.encoder().fingerprint
    refusals = []
    take_out_damaged(night.lake, modality, fingerprint)
    with Contents(night, modality, fingerprint, whole=True) as contents:
        chunks = math.ceil(contents.lacking / chunk)
        known, lacking = contents.arriving, contents.lacking
        log.info("%s: %d of %d contents to extract under %s, in %d chunks", step, lacking, known, fingerprint, chunks)
        for number, rows in enumerate(contents.slices(chunks) if chunks else (), start=1):
            features, refused = extracted(engine_for, night, encoding, _slicer(rows), step, count=rows.num_rows)
            night.lake.append_new(FEATURES[modality], features, {"encoder": fingerprint})
            refusals += refused
            log.info("%s: chunk %d of %d is in the store", step, number, chunks)
        night.lake.replace(Quarantine, refusals, {"date": night.ds, "stage": step})
        failed = sum(file.rows for file in refusals)
        check_share(night, step, refused=failed, rows_in=known, limit=settings.max_refused_share)
        close(night, step, Account(known, contents.arrived_and_stored(), failed, encoder=fingerprint))
    log.info("%s: complete as of %s under %s; %d refused", step, night.ds, fingerprint, failed)


def _slicer(rows: pa.Table) -> Callable[[int], Iterator[pa.Table]]:
    """What gives the rows in at most so many tables."""

    def slices(count: int) -> Iterator[pa.Table]:
        size = math.ceil(rows.num_rows / count)
        return (rows.slice(start, size) for start in range(0, rows.num_rows, size))

    return slices
