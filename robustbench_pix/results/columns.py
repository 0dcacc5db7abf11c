"""The columns of what was measured and requested: name, kind and meaning. The published README is written from here."""

from typing import Literal, NamedTuple

from robustbench_pix.attacks.recorded import CHECKPOINTS, DISTANCE_AT

Kind = Literal["text", "integer", "number"]


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind
    meaning: str


SHARED = (
    Column("suite", "text", "The list of attacks"),
    Column("suite_version", "integer", "Its version; numbers of different versions are not comparable"),
    Column("protocol", "text", "strict: clamp to [0, 1], true labels; paper: as Attias et al. 2024 measured"),
    Column("task", "text", "The labelled data set with its training protocol"),
    Column("regularization_data", "text", "The data set that the regularizer uses"),
    Column("size", "text", "full, or the name of a reduced protocol of the task"),
    Column("colour", "text", "gray or rgb"),
    Column("network", "text", "The network that was trained"),
    Column("precision", "text", "Arithmetic of the training: float32, tf32 or bfloat16; attacks are judged in float32"),
    Column("recipe", "text", "What was added to training; of an external model, its name"),
)


MEASUREMENTS = (
    *SHARED,
    Column(
        "seed",
        "integer",
        "Seed of initialization, batches and pairs, shared across recipes; 2000000: an external model",
    ),
    Column("attack", "text", "The attack; worst-case: all of the suite at once, image by image; in no mean AUC"),
    Column("access", "text", "The threat model, by what it uses: none, transfer, decisions, scores or gradients"),
    Column(
        "strength_kind",
        "text",
        "What a strength means: an l1, l2 or linf distance, a sigma, half-width or probability of pixels in [0, 1], "
        "a severity, a share of every attack's range, or what the attack's summary says",
    ),
    Column("strength", "number", "How hard; 0 is the clean accuracy; empty where an attack reports a distance only"),
    Column("n", "integer", "Images judged, times repetitions"),
    Column("repetitions", "integer", "How often each image was attacked anew"),
    Column("correct", "integer", "How many of them were classified correctly"),
    Column(
        "failed", "integer", "Images on which the attack failed (nothing found, or out of bounds); they stay correct"
    ),
    Column("accuracy", "number", "correct / n"),
    Column("range_from", "number", "The strength from which the area counts; the range ends at the largest strength"),
    Column(
        "area",
        "number",
        "Area under the accuracy from range_from to here, 0 up to it; the last, divided by the range, is robustness",
    ),
    Column(
        "chance", "number", "Accuracy of the best constant answer: share of the most frequent class among the images"
    ),
    Column("success_rate", "number", "Share of the images correct without attack that this strength makes wrong"),
    Column(
        "median_l2", "number", "Median L2 norm of the perturbation; failures are infinite, an infinite median is empty"
    ),
    Column("median_linf", "number", "The same for the largest change of an entry"),
    Column(
        "median_squared_l2_per_pixel",
        "number",
        "Squared L2 norm an entry: median over successes, mean over repetitions",
    ),
    Column("mean_queries", "number", "Queries of the attacked model an image, of the attack alone"),
    Column(
        "distance_inflation",
        "number",
        "Of a decision attack in l2: distance at which it ended / smallest known distance, mean over up to 16 images "
        "that the model gets right; an image on which it found nothing counts as found at the farthest image in [0, 1]",
    ),
    Column("unanswered", "integer", "Images, times repetitions, of which the judged answer is not finite: never right"),
    Column(
        "flags",
        "text",
        "What a reader must know: known defects, failures above 1%, answers that are not finite; not converged: "
        "distance_inflation above 1.2 or, where it was not measured, the last doubling of the queries lowered the "
        "median distance by more than 10%",
    ),
    Column(
        "gradients",
        "text",
        "sound; masked, with the reasons; failed, with the reason; or empty where the model was not checked",
    ),
    Column("model_id", "text", "Hash of everything that determined the trained model"),
    Column("attack_id", "text", "Hash of everything that determined this outcome"),
    Column("recipe_hash", "text", "Hash of the recipe as it was resolved for this combination"),
    Column("task_hash", "text", "Hash of the task's protocol and data"),
    Column("attack_hash", "text", "Hash of the attack as it was resolved for this task"),
    Column("suite_hash", "text", "Hash of the suite and its attacks"),
    Column("version", "text", "Version of robustbench_pix"),
    Column("torch", "text", "Version of torch"),
    Column("device", "text", "Kind of device that attacked"),
)

REQUESTED = (
    *SHARED,
    Column("controls", "text", "For a control: the recipe whose claim it tests"),
    Column("attacks", "text", "The attacks of the suite, in its order, with commas"),
    Column("seed_list", "text", "The seeds requested, with commas"),
    Column("status", "text", "not run, or empty"),
    Column("note", "text", "Why it was not run, or why something failed"),
    Column("remark", "text", "What else a reader must know: that it is an external model, and of which weights"),
)
"""What a leaderboard answers: one row a recipe and setting, measured or not."""

SAMPLING = (
    *SHARED,
    Column("other", "text", "The recipe that it varies together with; itself for a variance"),
    Column("measure", "text", "The column of leaderboard.csv whose mean over seeds is meant"),
    Column("covariance", "number", "Covariance of both means over the choice of test images"),
    Column("images_judged", "integer", "How many test images, by the attack that judged the fewest"),
)

WORST_CASE = "worst-case"
"""Stands for an attack in measurements: an image is correct if it is so under every attack of the suite."""

QUERIES = (
    *SHARED,
    Column("attack", "text", "The attack"),
    Column("strength_kind", "text", "linf or l2: the norm of strengths and distances"),
    Column("strength", "number", "Success is an adversarial within this distance"),
    Column("seeds", "integer", "Models, whose images are taken together"),
    Column("n", "integer", "Images, times repetitions and models, that were right without attack"),
    Column("found", "integer", "On how many of them the attack succeeded"),
    Column(
        "query_budget",
        "integer",
        "The budget of queries, or the most queries of an image where there is none",
    ),
    Column(
        "median_queries",
        "number",
        "Kaplan-Meier median of the queries that a success takes; empty if not reached",
    ),
    Column("median_low", "number", "Lower end of its 95% interval, images taken as independent"),
    Column("median_high", "number", "Upper end"),
    Column(
        "restricted_mean_queries", "number", "Mean of the queries that a success takes, failures counted at the limit"
    ),
    *(Column(f"success_at_{count}", "number", "Success rate after so many queries") for count in CHECKPOINTS),
    *(
        Column(f"{DISTANCE_AT}{count}", "number", "Median distance after so many queries, failures infinitely far")
        for count in CHECKPOINTS
    ),
)

COSTS = (
    Column(
        "kind",
        "text",
        "train, attack, check (of gradients), nearest (smallest known distances), or given: a model kept as it was",
    ),
    Column("id", "text", "The run"),
    Column("what", "text", "Recipe, combination, seed and attack"),
    Column("seconds", "number", "Wall-clock time of the job; of models trained side by side, the share of each"),
    Column("device", "text", "Where it ran"),
    Column("processor", "text", "The processor of that machine"),
)

PICTURES = (
    *SHARED,
    Column("seed", "integer", "Seed of the model: the lowest of which pictures were kept"),
    Column("attack", "text", "The attack"),
    Column("attack_id", "text", "As in measurements.csv"),
    Column("index", "integer", "Place of the image in the test set, from 0"),
    Column("label", "integer", "The true class"),
    Column(
        "strength",
        "number",
        "The first one measured at which the model is wrong, or the largest if it never is; empty for an attack that "
        "searches the nearest adversarial",
    ),
    Column(
        "prediction",
        "integer",
        "The class that the model gives the picture, -1: no finite answer; the label if the attack failed",
    ),
    Column("l2", "number", "L2 norm of the perturbation, as it was measured"),
    Column("linf", "number", "Largest change of an entry, as it was measured"),
    Column("height", "integer", "In pixels"),
    Column("width", "integer", "In pixels"),
    Column("original", "text", "8-bit levels in hexadecimal, row by row; of a pixel in rgb red, green, blue"),
    Column("picture", "text", "The same of the attacked image, rounded for the eye: the model was queried in float32"),
    Column("credit", "text", "Where the images come from"),
)

EXAMPLES = (
    Column("model_id", "text", "As in measurements.csv"),
    Column("attack_id", "text", "As in measurements.csv"),
    Column("index", "integer", "Place of the image in the test set, from 0"),
    Column("repetition", "integer", "Which of the attacks on this image, from 0"),
    Column("strength", "number", "How hard; absent where the distances of one run serve all strengths"),
    Column("label", "integer", "The true class"),
    Column(
        "clean_prediction", "integer", "The class that the model gives the image without attack; -1: no finite answer"
    ),
    Column("prediction", "integer", "The class that the model gives the attacked image; -1: no finite answer"),
    Column("correct", "integer", "1: classified correctly, under the protocol of the suite; else 0"),
    Column("failed", "integer", "1: the attack failed on this image; else 0"),
    Column("l2", "number", "L2 norm of the perturbation; infinite where nothing was found"),
    Column("linf", "number", "Largest change of an entry; infinite where nothing was found"),
    Column("queries", "integer", "Queries of the attacked model for this image"),
    Column("found_at", "integer", "Query that found the first adversarial within the strength; 0 for none"),
    *(
        Column(f"{DISTANCE_AT}{count}", "number", "Best distance after so many queries, in the attack's norm")
        for count in CHECKPOINTS
    ),
    Column("queries_at_half", "integer", "Half of the queries"),
    Column(f"{DISTANCE_AT}half", "number", "Best distance after half of the queries"),
)
"""Given strengths have ``found_at``, distances of one run for all strengths what follows it."""


def names(columns: tuple[Column, ...]) -> list[str]:
    """Return the names of columns, in order."""
    return [column.name for column in columns]
