"""The configuration of a night: read from one YAML file, validated once, then passed on as a value."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator, model_validator
from pydantic_core import ErrorDetails

from schemas.errors import NightweaveError, did_you_mean
from schemas.features import GIVEN
from schemas.landing import LISTS, InteractionField, ItemField
from schemas.table import Medium

PROFILES = Path(__file__).resolve().parent.parent / "conf"


class ConfigError(NightweaveError):
    """The configuration cannot be used; the message names the setting, what it held and what is expected."""


class Section(BaseModel):
    """Settings that stand together; a setting of another name is refused with the nearest one that exists."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        for name in given if isinstance(given, Mapping) else ():
            if name not in cls.model_fields:
                near = did_you_mean(name, cls.model_fields)
                raise ValueError(f"no setting is called {name!r}; {near}choose among {', '.join(cls.model_fields)}")
        return given


class Events(Section):
    """How events become history. An event with weight 0 is seen (never recommended again) but not liked."""

    aliases: dict[str, str] = {}
    """Names of events in RAW, each with the event below that it stands for, such as `{favourite: like}`."""
    weights: dict[str, float] = {
        "view": 0.5,
        "click": 0.5,
        "like": 1.0,
        "dislike": 0.0,
        "cart": 1.0,
        "purchase": 1.0,
        "rating": 1.0,
        "review": 1.0,
    }
    """The events that are read, each with its weight as a like; naming any replaces all of these."""
    rating_threshold: float = 4.0
    """A rating or review whose `value` is below this weighs 0; one without a value counts as it stands."""

    @model_validator(mode="after")
    def _aliases_lead_to_events(self) -> "Events":
        for alias, event in self.aliases.items():
            if event not in self.weights:
                near = did_you_mean(event, self.weights)
                raise ValueError(
                    f"aliases.{alias} {event!r}: {near}expected an event that has a weight: {', '.join(self.weights)}"
                )
        return self


class Landing(Section):
    """When a night's raw partitions count as arrived, and what a rerun may take away."""

    marker: str | None = Field(default=None, pattern=r"^[^/\\]+$")
    """Name of the file that is put last into each partition of RAW, such as `_SUCCESS`: without it a partition is not
    whole, and with it an empty one has arrived. Unless one is named, a file that is read is enough."""
    required: tuple[Literal["items", "interactions"], ...] = ()
    """What every night must bring; unless any is named, one of `items`, `interactions` and given vectors."""
    days_without_data: tuple[date, ...] = ()
    """Nights that bring nothing, such as a shop's holidays."""
    max_removed_share: float = Field(default=0.5, ge=0, le=1)
    """Share of a night's rows in the lake, of each table, that a rerun may remove without being told that it may."""


class RecordFiles(Section):
    """How large what is read of a record file may become; what is larger is refused before it takes the memory."""

    max_record_bytes: int = Field(default=16 * 2**20, gt=0)
    """Of one record, or of a JSON document that is no JSON Lines; of Parquet once its values are written out."""
    max_expansion: int = Field(default=200, gt=0)
    """Bytes that one byte of a file may become, decompressed and decoded, once it becomes more than
    `max_expanded_bytes`."""
    max_expanded_bytes: int = Field(default=256 * 2**20, gt=0)
    """Size up to which a file may expand whatever its ratio."""


class Source(Section):
    """Where a field is found in a record; the name of a column alone will do."""

    column: str | None = Field(default=None, pattern=r"^[^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*$|^[^\[\]]+$")
    """Name of the column, or a path into it: `details.brand` is `brand` of the map `details`, `images[].large` is
    `large` of every element of the list `images`. The field's own name unless given."""
    separator: str | None = Field(default=None, min_length=1)
    """What stands between the elements of a list that is written as one text."""
    default: str | None = None
    """The value of records without one."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str) else given


class Columns(Section):
    """In which columns of one's own records the fields of the input contract are; the others bear their own name."""

    items: dict[ItemField, Source] = {}
    """Of items."""
    interactions: dict[InteractionField, Source] = {}
    """Of interactions."""

    @model_validator(mode="after")
    def _only_lists_are_split(self) -> "Columns":
        for field, source in (*self.items.items(), *self.interactions.items()):
            if source.separator is not None and field not in LISTS:
                raise ValueError(f"{field} has a separator {source.separator!r}; only {', '.join(sorted(LISTS))} do")
        return self


class Clean(Section):
    """What of RAW is refused, and how much of it stops the night."""

    max_refused_share: float = Field(default=0.2, ge=0, le=1)
    """Share of a night's raw rows that may be refused before the night fails."""
    max_media_bytes: int = Field(default=256 * 2**20, gt=0)
    """Size of a media file; a larger one is refused."""
    max_text_chars: int = Field(default=20_000, gt=0)
    """Length at which titles, descriptions and other texts are cut."""
    columns: Columns = Columns()
    """In which columns of one's own records the fields are."""
    record_files: RecordFiles = RecordFiles()


class EncoderChoice(Section):
    """An encoder by the name that `features/registry.py` gives it, or one of your own as `module:Class`."""

    name: str
    """The encoder."""
    parameters: dict[str, Any] = {}
    """What its class takes, documented there."""
    batch_size: int = Field(default=32, gt=0)
    """Contents that are encoded together; a Spark task holds up to twice as many decoded ones."""

    @property
    def is_given(self) -> bool:
        """Whether its vectors arrive in RAW, so that no content is read."""
        return self.name == GIVEN


Encoders = tuple[EncoderChoice, ...]
ENCODERS: dict[Medium, Encoders] = {
    "text": (EncoderChoice(name="e5-small"), EncoderChoice(name="minilm-l6")),
    "image": (EncoderChoice(name="efficientnet-lite0"),),
    "audio": (EncoderChoice(name="mel-mfcc"),),
    "video": (EncoderChoice(name="frame-sequence"),),
}


class Extract(Section):
    """Which encoders turn contents into vectors, and what they may take of the machine."""

    encoders: dict[Medium, Encoders] = ENCODERS
    """One a modality, or a list of several, whose vectors stand side by side as blocks of the one modality; a modality
    that is left out has the default one."""
    max_refused_share: float = Field(default=0.2, ge=0, le=1)
    """Share of a night's contents of one modality that may be refused before the night fails."""
    decode_timeout_s: float = Field(default=300.0, gt=0)
    """Wall-clock time of one file's decoding; a file that needs more is refused."""
    decode_memory_mib: int = Field(default=4096, gt=0)
    """Address space of one file's decoding; a file that needs more is refused."""
    spark: dict[str, str] = {}
    """Settings of the Spark session, such as GPUs a task; `{profiles}` stands for the folder of the profiles."""

    @field_validator("encoders", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        one = (Mapping, EncoderChoice)
        return ENCODERS | {m: (choice,) if isinstance(choice, one) else choice for m, choice in given.items()}

    @field_serializer("encoders")
    def _as_one_or_several(self, encoders: dict[Medium, Encoders]) -> dict[str, Any]:
        several = {m: [choice.model_dump() for choice in choices] for m, choices in encoders.items()}
        return {m: choices[0] if len(choices) == 1 else choices for m, choices in several.items()}

    @field_validator("encoders")
    @classmethod
    def _each_once(cls, encoders: dict[Medium, Encoders]) -> dict[Medium, Encoders]:
        for modality, several in encoders.items():
            if not several:
                raise ValueError(f"{modality} has no encoder: expected one, or a list of several")
            seen: list[tuple[str, dict[str, Any]]] = []
            for choice in several:
                if (choice.name, choice.parameters) in seen:
                    raise ValueError(f"{modality} names {choice.name!r} twice: expected each encoder once")
                seen.append((choice.name, choice.parameters))
            if sum(choice.is_given for choice in several) > 1:
                raise ValueError(f"{modality} names {GIVEN!r} twice: expected one source of vectors in RAW a modality")
        return encoders

    def spark_settings(self) -> dict[str, str]:
        """`spark` with its placeholders filled in."""
        return {name: value.replace("{profiles}", str(PROFILES)) for name, value in self.spark.items()}


class Split(Section):
    """How likes are held out. `global_time`: the newest share of all; `per_user`: the newest share of each user's;
    `cold_items`: those of a share of the items, drawn by the seed, which are then ranked among themselves."""

    kind: Literal["global_time", "per_user", "cold_items"] = "global_time"
    """Which likes are held out."""
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Share that judges models."""
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    """Share that chooses models, parameters and epochs."""

    @model_validator(mode="after")
    def _something_is_left(self) -> "Split":
        if self.test_share + self.valid_share >= 1:
            raise ValueError(
                f"test_share {self.test_share} and valid_share {self.valid_share}: expected a sum below 1, "
                "the rest is what models learn from"
            )
        return self


class Missing(Section):
    """What is done about modalities that items lack, by the name that `fusion/missing/registry.py` gives it, or one's
    own as `module:Class`."""

    policy: str = "none"
    """`none` keeps the gaps."""
    parameters: dict[str, Any] = {}
    """Of the policy."""


class Select(Section):
    """Which columns of every modality's vectors are kept: those that predict the items' categories best, by mutual
    information or by a group lasso. A catalog without two categories is refused."""

    method: Literal["none", "mutual_information", "l1"] = "none"
    """`none` keeps all columns, `l1` is the group lasso."""
    keep: float = Field(default=0.5, gt=0, le=1)
    """Share of the columns: so many, or with `l1` at most so many."""


class Contradictions(Section):
    """How items are found whose modalities contradict one another."""

    false_positive_rate: float = Field(default=0.001, gt=0, lt=0.5)
    """Share of items without a contradiction that may be warned of."""

    @model_validator(mode="before")
    @classmethod
    def _no_choice_of_alignment(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "alignment" in given:
            raise ValueError("alignment: modalities are always compared by canonical correlation; leave it out")
        return given


AUTO = "auto"


class Candidate(Section):
    """A strategy by the name that `fusion/models/registry.py` gives it, or one's own as `module:Class`, and its
    parameters; the name alone will do."""

    strategy: str
    """The strategy."""
    parameters: dict[str, Any] = {}
    """What its class takes, documented there."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"strategy": given} if isinstance(given, str) else given


CANDIDATES = tuple(Candidate(strategy=name) for name in ("stack", "weighted"))


class Tuning(Section):
    """A search for a strategy's parameters, of so many trials, or for so long; off unless one of the two is given."""

    trials: int | None = Field(default=None, ge=1)
    """Trials that are made; with `minutes` too, the first to be spent ends the search."""
    minutes: float | None = Field(default=None, gt=0)
    """No trial begins later; how many there are then depends on the machine."""
    reuse: bool = True
    """Later nights take over what the newest night before them found; else every night searches."""

    @property
    def wanted(self) -> bool:
        return self.trials is not None or self.minutes is not None


class Fusion(Section):
    """Which model turns vectors and history into scores, and how it is made."""

    strategy: str = "stack"
    """A strategy by name or as `module:Class`, or `auto`, which it is where `candidates` are given: the one of them
    that the night's validation likes prefer."""
    parameters: dict[str, Any] = {}
    """Of the strategy that is named."""
    candidates: tuple[Candidate, ...] = Field(default=CANDIDATES, min_length=1)
    """The one with the highest validation figure (`evaluate.gate_metric` at `gate_k`), the first of equals."""
    tuning: Tuning = Tuning()
    split: Split = Split()
    review_share: float = Field(default=0.3, ge=0, le=1)
    """Weight of the mean of an item's reviews beside the item's own text."""
    standardise: Literal["none", "robust"] = "none"
    """`robust` brings each column of the vectors to its training items' median and robust deviation."""
    clip: float = Field(default=5.0, gt=0)
    """Robust deviations at which `robust` clips outliers."""
    select: Select = Select()
    missing: Missing = Missing()
    contradictions: Contradictions = Contradictions()
    min_likes: int = Field(default=20, ge=1)
    """With fewer likes than this there is nothing to learn from: items are compared by content alone."""
    seed: int = 20261123
    """Of everything random: draws, initial weights, the order of batches."""

    @model_validator(mode="before")
    @classmethod
    def _candidates_are_chosen_among(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "candidates" in given:
            return {"strategy": AUTO, **given}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> "Fusion":
        if self.strategy == AUTO and self.parameters:
            raise ValueError(f"parameters {self.parameters}: with strategy `auto` they belong to one of candidates")
        names = [candidate.strategy for candidate in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError(f"candidates {', '.join(names)}: expected each strategy once")
        return self

    @property
    def considered(self) -> tuple[Candidate, ...]:
        """What a night chooses among: the candidates, or the one strategy that is named."""
        if self.strategy == AUTO:
            return self.candidates
        return (Candidate(strategy=self.strategy, parameters=self.parameters),)

    @property
    def own_strategies(self) -> tuple[str, ...]:
        """The strategies that are named as `module:Class`, whether a night chooses among them or not: models of these
        may be loaded."""
        return tuple(name for name in (self.strategy, *(c.strategy for c in self.candidates)) if ":" in name)


class Evaluate(Section):
    """How models are judged, and when nothing is published."""

    ks: tuple[int, ...] = (10, 20)
    """Lengths of the lists that are judged."""
    gate_metric: str = "ndcg"
    """What strategies are chosen by, and a model is promoted by: one of `fusion.evaluation.evaluate.METRICS`."""
    gate_k: int = 20
    """Length of the lists that it is measured on, one of `ks`."""
    warn_lost_share: float = Field(default=0.05, ge=0, le=1)
    """Share of the items with a modality that may lack it since the last night before the report warns."""
    max_lost_share: float = Field(default=0.2, ge=0, le=1)
    """The same share, above which nothing is published."""
    max_users: int = Field(default=10_000, ge=1)
    """Most users with held-out likes whose lists are judged; of more, so many are drawn by a hash of their ids."""

    @model_validator(mode="after")
    def _gate_is_measured(self) -> "Evaluate":
        ks = ", ".join(map(str, self.ks))
        if not self.ks or min(self.ks) < 1 or len(set(self.ks)) < len(self.ks):
            raise ValueError(f"ks [{ks}]: expected at least one length, each 1 or more and there once")
        if self.gate_k not in self.ks:
            raise ValueError(f"gate_k {self.gate_k} is not in ks [{ks}]: set gate_k to one of them, or add it to ks")
        return self


class Recommend(Section):
    """How much is served."""

    k: int = Field(default=20, gt=0)
    """Places on a user's shelf."""
    similar_k: int = Field(default=20, gt=0)
    """Neighbours of an item."""


class Query(Section):
    """What one `nightweave query` may take of the machine."""

    memory_mib: int = Field(default=2048, ge=64)
    """Memory of the query's own; what does not fit is spilled to a folder for temporary files, five times as much at
    most."""
    seconds: float = Field(default=300, gt=0)
    """Time after which it is stopped."""
    rows: int = Field(default=1_000_000, gt=0)
    """Rows that are answered at most; that there are more is said."""


class Maintenance(Section):
    """What maintenance merges and removes."""

    retention_days: float = Field(default=7, ge=1, le=30)
    """What is no longer needed is removed once it is so many days old, of which days without a commit do not count. No
    night may run longer: what it has written and not yet committed is recognised by its age alone. Delta's log, which
    records what was replaced when, reaches back 30 days."""
    target_file_mib: int = Field(default=64, gt=0)
    """Files of a partition that are smaller are merged into files of up to this size."""


class Config(Section):
    """All settings of a night, by section."""

    landing: Landing = Landing()
    events: Events = Events()
    clean: Clean = Clean()
    extract: Extract = Extract()
    fusion: Fusion = Fusion()
    evaluate: Evaluate = Evaluate()
    recommend: Recommend = Recommend()
    maintenance: Maintenance = Maintenance()
    query: Query = Query()
    spark: Literal["auto", "always"] = "auto"
    """`auto`: little work is done in the step's own process, since Spark would start for longer than that takes."""


def read(source: str | Path) -> tuple[Path, dict[str, Any]]:
    """The YAML file that `source` names, or the profile of that name under `conf/`, and the settings in it.

    Raises:
        ConfigError: there is no such file or profile, it cannot be read, or it holds no YAML mapping.
    """
    path = Path(source)
    if not path.suffix:
        path = PROFILES / f"{source}.yaml"
    if not path.is_file():
        profiles = sorted(p.stem for p in PROFILES.glob("*.yaml"))
        near = did_you_mean(source, profiles)
        raise ConfigError(
            f"--config {source}: no such file; {near}give a YAML file or a profile ({', '.join(profiles)})"
        )
    try:
        given = yaml.safe_load(path.read_text("utf-8")) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{path}: not valid YAML: {place}{error.problem}") from None
    except (yaml.YAMLError, OSError, ValueError) as error:  # the latter of a date that no calendar has
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: expected the sections {', '.join(Config.model_fields)}, got {given!r:.80}")
    return path, given


def load(source: str | Path = "embedded") -> Config:
    """The configuration in a YAML file, or in the profile of that name under `conf/`.

    What needs no registry is checked here; names of encoders, strategies, policies and metrics are resolved by
    `jobs.runtime.check_config`.

    Raises:
        ConfigError: as in `read`, or a setting does not validate; the message names all that do not.
    """
    path, given = read(source)
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        raise ConfigError(f"{path}: {in_words(error)}") from None


def in_words(error: ValidationError) -> str:
    """Errors of pydantic's in one line, each as `section.setting value: what is expected`."""
    return "; ".join(_in_words(one) for one in error.errors())


def _in_words(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}".removeprefix(": ")
    expected = error["msg"][0].lower() + error["msg"][1:]
    if error["type"] in ("model_type", "dict_type"):
        expected = "expected settings, each as `name: value`"
    near = did_you_mean(error["input"], _quoted(expected)) if error["type"] == "literal_error" else ""
    return f"{place} {error['input']!r:.80}: {near}{expected}"


def _quoted(text: str) -> list[str]:
    """The words of a text that stand between apostrophes."""
    return text.split("'")[1::2]
