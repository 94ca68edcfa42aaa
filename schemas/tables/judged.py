"""What a night learns, and how good that is: `metrics` and `models`."""

import pyarrow as pa

from schemas.table import CALIBRATION, VERSIONS, Check, Column, Table, query
from schemas.values import METRIC, SEGMENT, SPLIT


class Metrics(Table):
    """One figure of one model on a night."""

    name = "metrics"
    described = (
        Column("date", pa.date32(), "Night on whose held-out likes the figure was measured."),
        Column(
            "model_version",
            pa.string(),
            "The night's own model, by its `model_version` in `models`, whichever model the figure is of.",
        ),
        Column(
            "model",
            pa.string(),
            "What is measured: the night's model, by its strategy; the same shown a catalog without a modality, "
            "`STRATEGY without MODALITY`; a baseline, such as `popularity` or `item_knn`; `last_promoted`, the model "
            "that the night's is to replace, and `best_promoted`, where that is another (`models.best_so_far`); where "
            "the night's model was refused for a population, `last_weights`, its scorers with the last promoted "
            "model's weights for that one. In a validation: each strategy that was tried for the night, and "
            "`STRATEGY trial N`, those of a search for parameters.",
        ),
        Column("split", pa.string(), "How the likes were held out by which it is judged.", values=SPLIT),
        Column(
            "segment",
            pa.string(),
            "Which held-out likes count. Of the weights of a stack: the segment whose population they serve.",
            values=SEGMENT,
        ),
        Column(
            "metric",
            pa.string(),
            "What is measured: how well lists find what is held out, what they show, and how well scores become "
            "probabilities. Of the weights of a stack `model` is the one that they were learnt by: the night's own, "
            "`last_weights` or `last_promoted`.",
            values=METRIC,
        ),
        Column(
            "k",
            pa.int32(),
            "Length of the list that is judged; of `roc` and `pr` the percent on the curve's first axis; of "
            "`*_predicted` and `*_observed` the bin, from 1; null for a figure without a cut.",
            nullable=True,
        ),
        Column(
            "value",
            pa.float64(),
            "The figure: a mean over users, or one for all of them; a share from 0 to 1 but for `novelty`, "
            "`popularity_bias` (1 is neutral), `diversity` (1 minus a mean cosine) and parameters.",
        ),
        Column(
            "low",
            pa.float64(),
            "Lower end of the 95% confidence interval of `value`; null where it is no mean over users.",
            nullable=True,
        ),
        Column("high", pa.float64(), "Upper end of that interval; null where `low` is.", nullable=True),
    )
    key = ("date", "model_version", "model", "split", "segment", "metric", "k")
    nullable_key = ("k",)
    checks = (
        Check("figures are finite", query("metrics/figures_are_finite.sql")),
        Check("an interval has two ends, in order", query("metrics/an_interval_has_two_ends.sql")),
    )


class Models(Table):
    """One trained model.

    The fingerprints name what a model was made from: the same strategy, fingerprints and `weights_from` make the same
    model, and give it the same version on every night.
    """

    name = "models"
    described = (
        Column("date", pa.date32(), "Night that the model was trained for."),
        Column(
            "model_version",
            pa.string(),
            "The strategy, then 12 hex digits of a hash of it, the fingerprints and `weights_from`.",
        ),
        Column(
            "promoted",
            pa.bool_(),
            "The model serves the night; where false, the last promoted model of the nights before does.",
        ),
        Column("verdict", pa.string(), "Why it was promoted or not, in words, with the differences it rests on."),
        Column(
            "judged",
            pa.bool_(),
            "Whether there were held-out likes of enough users to tell anything; null in rows of versions that did not "
            "say.",
            nullable=True,
        ),
        Column(
            "close",
            pa.bool_(),
            "In some population the night's model is below a reference by less than two standard errors, so that a "
            "person may be asked; null in rows of versions that did not say.",
            nullable=True,
        ),
        Column(
            "best_so_far",
            pa.string(),
            "The `model_version` that later nights must hold their own against beside the last promoted one, so that "
            "nights cannot each be a little worse; null where the model was not promoted, and in rows of versions that "
            "knew none.",
            nullable=True,
        ),
        Column(
            "weights_from",
            VERSIONS,
            "Where a population would have been served worse by the night's own weights: the population "
            "(`with_history`, `without_history` or `new_items`) and the `model_version` of the model whose weights "
            "serve it. A population that is not named has the model's own; null in rows of versions that knew none.",
            nullable=True,
        ),
        Column(
            "calibration",
            CALIBRATION,
            "By population, [slope, intercept] of the sigmoid 1 / (1 + exp(-(slope · score + intercept))) that maps a "
            "score to the probability of a like, fitted on held-out likes (Platt 1999). A population whose held-out "
            "likes told nothing has none; null in rows of versions that fitted none.",
            nullable=True,
        ),
        Column("strategy", pa.string(), "The fusion strategy, by its name in the configuration."),
        Column("path", pa.string(), "Folder of the stored model, relative to LAKE."),
        Column("fingerprint_data", pa.string(), "SHA-256, hex, of the catalog, history and reviews that were read."),
        Column("fingerprint_encoders", pa.string(), "SHA-256, hex, of the fingerprints of all modalities' encoders."),
        Column(
            "fingerprint_config",
            pa.string(),
            "SHA-256, hex, of the configuration of fusion and of the strategy's parameters.",
        ),
        Column(
            "fingerprint_code",
            pa.string(),
            "SHA-256, hex, of the code that computes models and of the versions of its libraries.",
        ),
    )
    key = ("date", "model_version")
