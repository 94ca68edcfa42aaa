"""Whether all that a configuration names exists and fits together: found out before a night's first step.

What a schema alone can check is in `schemas.config`; here names are resolved by the registries, and what they name is
made with its parameters. No network is built and nothing is fitted; TensorFlow is imported only where a strategy is
named that is a Keras model.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from features.base import Encoder
from features.registry import locate
from fusion.data.arguments import class_by_name
from fusion.evaluation.evaluate import METRICS
from fusion.missing.policy import Policy
from fusion.missing.registry import POLICIES
from fusion.models.base import Strategy
from fusion.models.registry import STRATEGIES, strategy
from schemas.classes import check_parameters, class_at
from schemas.config import AUTO, Config, ConfigError, EncoderChoice, Fusion, in_words
from schemas.errors import did_you_mean
from schemas.features import GIVEN, is_given


def check(config: Config) -> None:
    """Resolve every name of a configuration, and see that settings that belong together fit.

    Raises:
        ConfigError: a name is unknown, something does not take a parameter, weights or modules are missing, a model
            takes other contents than its encoder is told to give it, vectors of one space differ in width, the gate's
            metric is none, or a search for parameters has nothing to search.
    """
    made = [
        (f"{modality} {choice.name!r}", _check_encoder(modality, choice))
        for modality, several in config.extract.encoders.items()
        for choice in several
    ]
    _check_spaces(made)
    _check_fusion(config.fusion)
    metric = config.evaluate.gate_metric
    if metric not in METRICS:
        near = did_you_mean(metric, METRICS)
        raise ConfigError(f"evaluate.gate_metric {metric!r}: unknown; {near}choose one of {', '.join(METRICS)}")


def settings(values: Mapping[str, Any], given: Any, *, source: str, place: str = "") -> Iterator[str]:
    """A line for each setting of a configuration: its name, its value as JSON and where the value comes from.

    Args:
        values: the configuration as nested dicts, without what is no JSON (`Config.model_dump(mode="json")`).
        given: the settings that the file holds, nested in the same way; the others have their default.
        source: what the file is called.
        place: the section that both are of, with a dot at its end.
    """
    for name, value in values.items():
        here = isinstance(given, Mapping) and name in given
        if isinstance(value, Mapping) and value:
            yield from settings(value, given[name] if here else {}, source=source, place=f"{place}{name}.")
        else:
            yield f"{place}{name}: {json.dumps(value, ensure_ascii=False)} ({source if here else 'default'})"


def _check_encoder(modality: str, choice: EncoderChoice) -> Encoder:
    """Find the class and make the encoder; its fingerprint needs the weights, which are read but not loaded."""
    place = f"extract.encoders.{modality}"
    try:
        cls = class_at(locate(modality, choice.name))
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None
    if not (issubclass(cls, Encoder) and cls.modality == modality):
        raise ConfigError(f"{place}: {choice.name!r} is no encoder of {modality}; give a class of features/{modality}")
    made: Encoder = _made(place, choice.name, cls, choice.parameters)
    try:
        fingerprint = made.fingerprint
    except (OSError, ValueError) as error:
        raise ConfigError(f"{place}: {choice.name!r}: {error}") from None
    if is_given(fingerprint) and not choice.is_given:
        raise ConfigError(f"{place}: {choice.name!r} calls itself {made.name!r}; names that begin so are {GIVEN}'s own")
    return made


def _check_spaces(encoders: Sequence[tuple[str, Encoder]]) -> None:
    """See that encoders which share a space have vectors of one width; each comes with what an error calls it."""
    first: dict[str, tuple[str, int]] = {}
    for name, made in encoders:
        other, width = first.setdefault(made.space, (name, made.dim)) if made.space else (name, made.dim)
        if made.dim != width:
            raise ConfigError(
                f"extract.encoders: {other} and {name} share the space {made.space!r} with vectors {width} and "
                f"{made.dim} wide; give both towers of one model, or another space"
            )


def _check_fusion(fusion: Fusion) -> None:
    named_one = fusion.considered if fusion.strategy != AUTO else ()
    # candidates by default are not asked about where nobody chooses among them: that would import Keras
    chosen = fusion.candidates if fusion.strategy == AUTO or "candidates" in fusion.model_fields_set else ()
    for place, candidates in (("fusion.strategy", named_one), ("fusion.candidates", chosen)):
        for candidate in candidates:
            named = (candidate.strategy, candidate.parameters)
            _check_named(place, "strategy", STRATEGIES, *named, base=Strategy)
    missing = fusion.missing
    _check_named("fusion.missing", "missing-modality policy", POLICIES, missing.policy, missing.parameters, base=Policy)
    if fusion.tuning.wanted and not any(strategy(one.strategy).space for one in fusion.considered):
        names = ", ".join(one.strategy for one in fusion.considered)
        raise ConfigError(f"fusion.tuning: {names} has no parameters to search; leave tuning out, or name another")


def _check_named(
    place: str,
    kind: str,
    table: Mapping[str, str],
    name: str,
    parameters: Mapping[str, Any],
    *,
    base: type | None = None,
) -> None:
    try:
        cls = class_by_name(kind, table, name, base=base)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None
    _made(place, f"{kind} {name!r}", cls, parameters)


def _made(place: str, what: str, cls: type, parameters: Mapping[str, Any]) -> Any:
    """An object of the class.

    Raises:
        ConfigError: it does not take one of the parameters, or not that value.
    """
    try:
        check_parameters(what, cls, parameters)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None
    try:
        return cls(**parameters)
    except ValidationError as error:
        raise ConfigError(f"{place}: {what}: {in_words(error)}") from None
    except (TypeError, ValueError, OSError) as error:
        raise ConfigError(f"{place}: {what}: {error}") from None
