"""The columns of what was measured and requested: name, kind and meaning; and tables with columns of these kinds.

The published README is written from here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.attacks.recorded import CHECKPOINTS, DISTANCE_AT

Kind = Literal["text", "integer", "number"]


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind
    meaning: str


def _declaring(kind: Kind) -> Callable[[str, str], Column]:
    return lambda name, meaning: Column(name, kind, meaning)


text, integer, number = _declaring("text"), _declaring("integer"), _declaring("number")
"""Declare a column of this kind by its name and meaning."""

SHARED = (
    text("suite", "The list of attacks"),
    integer("suite_version", "Its version; numbers of different versions are not comparable"),
    text("protocol", "strict: clamp to [0, 1], true labels; paper: as Attias et al. 2024 measured"),
    text("task", "The labelled data set with its training protocol"),
    text("regularization_data", "The data set that the regularizer uses"),
    text("size", "full, or the name of a reduced protocol of the task"),
    text("colour", "gray or rgb"),
    text("network", "The network that was trained"),
    text("precision", "Arithmetic of the training: float32, tf32 or bfloat16; attacks are judged in float32"),
    text("recipe", "What was added to training; of an external model, its name"),
)


MEASUREMENTS = (
    *SHARED,
    integer("seed", "Seed of initialization, batches and pairs, shared across recipes; 2000000: an external model"),
    text("attack", "The attack; worst-case: all of the suite at once, image by image; in no mean AUC"),
    text("access", "The threat model, by what it uses: none, transfer, decisions, scores or gradients"),
    text(
        "strength_kind",
        "What a strength means: an l1, l2 or linf distance, a sigma, half-width or probability of pixels in [0, 1], "
        "a severity, a share of every attack's range, or what the attack's summary says",
    ),
    number("strength", "How hard; 0 is the clean accuracy; empty where an attack reports a distance only"),
    integer("n", "Images judged, times repetitions"),
    integer("repetitions", "How often each image was attacked anew"),
    integer("correct", "How many of them were classified correctly"),
    integer("failed", "Images on which the attack failed (nothing found, or out of bounds); they stay correct"),
    number("accuracy", "correct / n"),
    number("range_from", "The strength from which the area counts; the range ends at the largest strength"),
    number(
        "area",
        "Area under the accuracy from range_from to here, 0 up to it; the last, divided by the range, is robustness",
    ),
    number("chance", "Accuracy of the best constant answer: share of the most frequent class among the images"),
    number("success_rate", "Share of the images correct without attack that this strength makes wrong"),
    number("median_l2", "Median L2 norm of the perturbation; failures are infinite, an infinite median is empty"),
    number("median_linf", "The same for the largest change of an entry"),
    number("median_squared_l2_per_pixel", "Squared L2 norm an entry: median over successes, mean over repetitions"),
    number("mean_queries", "Queries of the attacked model an image, of the attack alone"),
    number(
        "distance_inflation",
        "Of a decision attack in l2: distance at which it ended / smallest known distance, mean over up to 16 images "
        "that the model gets right; an image on which it found nothing counts as found at the farthest image in [0, 1]",
    ),
    integer("unanswered", "Images, times repetitions, of which the judged answer is not finite: never right"),
    text(
        "flags",
        "What a reader must know: known defects, failures above 1%, answers that are not finite; not converged: the "
        "last doubling of the queries lowered the median distance by more than 10%, and distance_inflation is above "
        "1.2 or was not measured; ended above 1.2 times the smallest known distance: further queries would not help",
    ),
    text(
        "gradients",
        "sound; masked, with the reasons; failed, with the reason; or empty where the model was not checked",
    ),
    text("model_id", "Hash of everything that determined the trained model"),
    text("attack_id", "Hash of everything that determined this outcome"),
    text("recipe_hash", "Hash of the recipe as it was resolved for this combination"),
    text("task_hash", "Hash of the task's protocol and data"),
    text("attack_hash", "Hash of the attack as it was resolved for this task"),
    text("suite_hash", "Hash of the suite and its attacks"),
    text("version", "Version of robustbench_pix"),
    text("torch", "Version of torch"),
    text("device", "Kind of device that attacked"),
)

REQUESTED = (
    *SHARED,
    text("controls", "For a control: the recipe whose claim it tests"),
    text("attacks", "The attacks of the suite, in its order, with commas"),
    text("seed_list", "The seeds requested, with commas"),
    text("status", "not run, or empty"),
    text("note", "Why it was not run, or why something failed"),
    text("remark", "What else a reader must know: that it is an external model, and of which weights"),
)
"""What a leaderboard answers: one row a recipe and setting, measured or not."""

SAMPLING = (
    *SHARED,
    text("other", "The recipe that it varies together with; itself for a variance"),
    text("measure", "The column of leaderboard.csv whose mean over seeds is meant"),
    number("covariance", "Covariance of both means over the choice of test images"),
    integer("images_judged", "How many test images, by the attack that judged the fewest"),
)

WORST_CASE = "worst-case"
"""Stands for an attack in measurements: an image is correct if it is so under every attack of the suite."""

QUERIES = (
    *SHARED,
    text("attack", "The attack"),
    text("strength_kind", "linf or l2: the norm of strengths and distances"),
    number("strength", "Success is an adversarial within this distance"),
    integer("seeds", "Models, whose images are taken together"),
    integer("n", "Images, times repetitions and models, that were right without attack"),
    integer("found", "On how many of them the attack succeeded"),
    integer("query_budget", "The budget of queries, or the most queries of an image where there is none"),
    number("median_queries", "Kaplan-Meier median of the queries that a success takes; empty if not reached"),
    number("median_low", "Lower end of its 95% interval, images taken as independent"),
    number("median_high", "Upper end"),
    number("restricted_mean_queries", "Mean of the queries that a success takes, failures counted at the limit"),
    *(number(f"success_at_{count}", "Success rate after so many queries") for count in CHECKPOINTS),
    *(
        number(f"{DISTANCE_AT}{count}", "Median distance after so many queries, failures infinitely far")
        for count in CHECKPOINTS
    ),
)

COSTS = (
    text(
        "kind",
        "train, attack, check (of gradients), nearest (smallest known distances), or given: a model kept as it was",
    ),
    text("id", "The run"),
    text("what", "Recipe, combination, seed and attack"),
    number("seconds", "Wall-clock time of the job; of models trained side by side, the share of each"),
    text("device", "Where it ran"),
    text("processor", "The processor of that machine"),
)

TRAININGS = (
    *SHARED,
    integer("seed", "As in measurements.csv"),
    text("model_id", "As in measurements.csv"),
    integer("epochs", "How many epochs the model was trained"),
    integer("best_epoch", "That of the lowest validation loss, counted from 1: its weights were kept"),
    number("task_loss", "Loss of the task in the last epoch, mean over its steps"),
    number("first_penalty", "Penalty in the first epoch, mean over its steps, without alpha; empty: no penalty"),
    number("last_penalty", "The same in the last epoch"),
    number(
        "penalty_fall",
        "Fall of the penalty from the fifth of the epochs before the last to the last fifth, as a share of its fall "
        "from its highest epoch; below 0 where it rises; empty below 4 epochs",
    ),
    number("validation_loss_fall", "The same of the validation loss"),
    text(
        "still_falls",
        "penalty, validation loss or both: the share is above .05 and the fall above 2 standard errors, by the noise "
        "of the epochs",
    ),
    text(
        "collapsed_on",
        "The layer, counted from 0, with the largest learned weight in the last epoch; none: it is below .5; empty: no "
        "weights of layers are learned",
    ),
    number("layer_weight", "That weight; all weights add up to 1"),
    integer("collapsed_from", "The first epoch from which it is the largest to the end, counted from 1"),
)

PICTURES = (
    *SHARED,
    integer("seed", "Seed of the model: the lowest of which pictures were kept"),
    text("attack", "The attack"),
    text("attack_id", "As in measurements.csv"),
    integer("index", "Place of the image in the test set, from 0"),
    integer("label", "The true class"),
    number(
        "strength",
        "The first one measured at which the model is wrong, or the largest if it never is; empty for an attack that "
        "searches the nearest adversarial",
    ),
    integer(
        "prediction", "The class that the model gives the picture, -1: no finite answer; the label if the attack failed"
    ),
    number("l2", "L2 norm of the perturbation, as it was measured"),
    number("linf", "Largest change of an entry, as it was measured"),
    integer("height", "In pixels"),
    integer("width", "In pixels"),
    text("original", "8-bit levels in hexadecimal, row by row; of a pixel in rgb red, green, blue"),
    text("picture", "The same of the attacked image, rounded for the eye: the model was queried in float32"),
    text("credit", "Where the images come from"),
)

EXAMPLES = (
    text("model_id", "As in measurements.csv"),
    text("attack_id", "As in measurements.csv"),
    integer("index", "Place of the image in the test set, from 0"),
    integer("repetition", "Which of the attacks on this image, from 0"),
    number("strength", "How hard; absent where the distances of one run serve all strengths"),
    integer("label", "The true class"),
    integer("clean_prediction", "The class that the model gives the image without attack; -1: no finite answer"),
    integer("prediction", "The class that the model gives the attacked image; -1: no finite answer"),
    integer("correct", "1: classified correctly, under the protocol of the suite; else 0"),
    integer("failed", "1: the attack failed on this image; else 0"),
    number("l2", "L2 norm of the perturbation; infinite where nothing was found"),
    number("linf", "Largest change of an entry; infinite where nothing was found"),
    integer("queries", "Queries of the attacked model for this image"),
    integer("found_at", "Query that found the first adversarial within the strength; 0 for none"),
    *(
        number(f"{DISTANCE_AT}{count}", "Best distance after so many queries, in the attack's norm")
        for count in CHECKPOINTS
    ),
    integer("queries_at_half", "Half of the queries"),
    number(f"{DISTANCE_AT}half", "Best distance after half of the queries"),
)
"""Given strengths have ``found_at``, distances of one run for all strengths what follows it."""


def names(columns: tuple[Column, ...]) -> list[str]:
    """Return the names of columns, in order."""
    return [column.name for column in columns]


KEY = names(MEASUREMENTS)[: names(MEASUREMENTS).index("recipe") + 1]
"""What one row of a leaderboard is about: a recipe in a setting."""

_DTYPES = {"text": "str", "integer": "Int64", "number": "float64"}

SETTING = KEY[:-1]
"""What recipes must share to be compared; rows that share it stand in one setting."""

MODEL = [*KEY, "seed"]
"""What names an attacked model."""


def row_key(row: Mapping[Any, Any], columns: Sequence[str] = KEY) -> tuple[Any, ...]:
    """Return the values of some columns of one row."""
    return tuple(row[name] for name in columns)


def row_keys(table: pd.DataFrame, columns: Sequence[str] = KEY) -> list[tuple[Any, ...]]:
    """Return the values of some columns of every row."""
    return list(table[list(columns)].itertuples(index=False, name=None))


def typed(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return the columns in their order and of their kind: absent text is "", absent numbers are NaN or NA.

    >>> typed(pd.DataFrame({"b": [None]}), (Column("a", "text", ""), Column("b", "integer", ""))).loc[0].tolist()
    ['', <NA>]
    """
    if _is_typed(frame, columns):
        return frame.copy(deep=False)
    found = frame.reindex(columns=names(columns)).reset_index(drop=True)
    return pd.DataFrame({column.name: _of_kind(found[column.name], column) for column in columns})


def _is_typed(frame: pd.DataFrame, columns: tuple[Column, ...]) -> bool:
    if list(frame.columns) != names(columns) or not frame.index.equals(pd.RangeIndex(len(frame))):
        return False
    dtypes = [str(dtype) for dtype in frame.dtypes]
    texts = [column.name for column in columns if column.kind == "text"]
    return dtypes == [_DTYPES[column.kind] for column in columns] and not frame[texts].isna().any(axis=None)


def _of_kind(values: Any, column: Column) -> Any:
    if column.kind == "text":
        if str(values.dtype) == "str" and not values.hasnans:
            return values
        return values.astype(object).where(values.notna(), "").astype(str)
    return values.astype("Int64") if column.kind == "integer" else values.where(values.notna(), np.nan).astype(float)
