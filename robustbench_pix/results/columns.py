"""The columns of every table, declared once: name, meaning and kind. The published README is written from here."""

from typing import Literal, NamedTuple

from robustbench_pix.attacks.checkpoints import CHECKPOINTS, DISTANCE_AT

Kind = Literal["text", "integer", "number"]


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind
    meaning: str


_BLOCK = (
    Column("suite", "text", "The list of attacks"),
    Column("suite_version", "integer", "Its version; numbers of different versions are not comparable"),
    Column("protocol", "text", "strict: clamp to [0, 1], true labels; paper: as Attias et al. 2024 measured"),
    Column("task", "text", "The labelled data set with its training protocol"),
    Column("images", "text", "The data set that the regularizer looks at"),
    Column("size", "text", "full, or the name of a reduced protocol of the task"),
    Column("colour", "text", "gray or rgb"),
    Column("network", "text", "The network that was trained"),
    Column("precision", "text", "Arithmetic of the training: float32, tf32 or bfloat16; attacks are judged in float32"),
    Column("recipe", "text", "What was added to training; of a given model, its name"),
)

MEASUREMENTS = (
    *_BLOCK,
    Column(
        "seed", "integer", "Seed of initialization, batches and pairs, shared across recipes; 2000000: a given model"
    ),
    Column("attack", "text", "The attack; worst-case: all of the suite at once, image by image; in no score"),
    Column("access", "text", "What the attacker sees: none, transfer, decisions, scores or gradients"),
    Column(
        "strength_kind",
        "text",
        "What a strength means: an l1, l2 or linf distance, a sigma, half-width or probability of pixels in [0, 1], "
        "a severity, a share of every attack's largest strength, or what the attack's summary says",
    ),
    Column("strength", "number", "How hard; 0 is the clean accuracy; empty where an attack reports a distance only"),
    Column("n", "integer", "Images judged, times repetitions"),
    Column("repetitions", "integer", "How often each image was attacked anew"),
    Column("correct", "integer", "How many of them were classified correctly"),
    Column(
        "failed", "integer", "Images on which the attack failed (nothing found, or out of bounds); they stay correct"
    ),
    Column("accuracy", "number", "correct / n"),
    Column(
        "area", "number", "Area under the accuracy from strength 0 to here; the last, by its strength, is robustness"
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
    Column("flags", "text", "What a reader must know: known defects, no convergence, failures above 1%"),
    Column("gradients", "text", "sound; masked, with the reasons; or empty where the model was not checked"),
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

LEADERBOARD = (
    *_BLOCK,
    Column("controls", "text", "For a control: the recipe whose claim it tests"),
    Column("status", "text", "complete; incomplete (some seeds or attacks are missing); failed; not run"),
    Column("note", "text", "The reason for a status, or what else a reader must know"),
    Column("gradients", "text", "sound; masked, in how many of the checked models and why; or empty: not checked"),
    Column("seeds", "integer", "How many seeds entered the row"),
    Column("seed_list", "text", "Which; 2000000 stands for a given model"),
    Column("interval", "text", "How the 95% intervals were made"),
    Column("clean_accuracy", "number", "Accuracy without attack, mean over seeds"),
    Column("clean_low", "number", "Lower end of its 95% interval"),
    Column("clean_high", "number", "Upper end of its 95% interval"),
    Column("score", "number", "Mean robustness over the attacks of the suite, mean over seeds"),
    Column("score_low", "number", "Lower end of its 95% interval"),
    Column("score_high", "number", "Upper end of its 95% interval"),
    Column("standard_error", "number", "Standard deviation of the score over seeds (n - 1), divided by the root of n"),
    Column("gain", "number", "Score minus that of unregularized, paired by seed"),
    Column("gain_low", "number", "Lower end of its 95% interval"),
    Column("gain_high", "number", "Upper end of its 95% interval"),
    Column("p_value", "number", "Exact two-sided sign-flip test of the paired gains; empty below 6 seeds"),
    Column("excess", "number", "Score minus clean accuracy times the share that unregularized retains; paired by seed"),
    Column("excess_low", "number", "Lower end of its 95% interval"),
    Column("excess_high", "number", "Upper end of its 95% interval"),
    Column("worst_case", "number", "Robustness to all attacks at once, image by image; not part of the score"),
    Column("queries", "number", "Queries of the attacked model an image, at the largest strengths, over the attacks"),
    Column("rank", "integer", "1 + the number of recipes whose paired interval against this one lies wholly above 0"),
    Column("rank_low", "integer", "Best rank that is possible, with 95% confidence"),
    Column("rank_high", "integer", "Worst rank that is possible"),
    Column("group", "text", "Recipes of a block that share a letter here are not told apart"),
)

COMPARISONS = (
    *_BLOCK,
    Column("reference", "text", "The recipe that it is compared with"),
    Column("role", "text", "baseline: with unregularized; control: with a control of the recipe"),
    Column("seeds", "integer", "How many seeds both have"),
    Column("difference", "number", "Score minus that of the reference, mean over these seeds"),
    Column("standard_error", "number", "Of the difference, over seeds"),
    Column("low", "number", "Lower end of its 95% interval, Student's t"),
    Column("high", "number", "Upper end"),
    Column("p_value", "number", "Exact two-sided sign-flip test of the paired differences; empty below 6 seeds"),
    Column("p_holm", "number", "The same after Holm's correction for all comparisons of the block"),
    Column("test", "text", "sign-flip, or why it can say nothing"),
    Column("p_student_holm", "number", "Paired t test after Holm's correction for all comparisons of the block"),
    Column(
        "detectable",
        "number",
        "Smallest true difference that a t test (two-sided, 5%) of so many seeds and this spread finds in 80% of cases",
    ),
    Column(
        "verdict", "text", "better or worse where p_student is at most .05, else not told apart; no test below 6 seeds"
    ),
)

ROBUSTNESS_PREFIX = "robustness_"
"""Then one column an attack: the normalized area under the accuracy; the clean accuracy, if nothing is lost."""

RETAINED_PREFIX = "retained_"
"""Then, for the same attacks, robustness divided by the clean accuracy of the same model, mean over seeds."""

WORST_CASE = "worst-case"
"""Stands for an attack in measurements: an image is correct if it is so under every attack of the suite."""

DISTANCE_PREFIX = "distance_"
"""For attacks that report a distance only: the median squared L2 norm an entry, mean over seeds; in no score."""

LATER = frozenset({"gradients"})
"""Columns that tables published earlier lack; nothing is known there."""

ROBUSTNESS = (
    *_BLOCK,
    Column("attack", "text", "The attack; worst-case: all of them at once, image by image"),
    Column("strength_kind", "text", "As in measurements.csv"),
    Column("seeds", "integer", "How many seeds entered"),
    Column("robustness", "number", "Normalized area under the accuracy, mean over seeds"),
    Column("standard_error", "number", "Of the robustness, over seeds"),
    Column("low", "number", "Lower end of its 95% interval, Student's t over seeds"),
    Column("high", "number", "Upper end"),
    Column(
        "halving",
        "number",
        "Strength at which the accuracy is half of the clean one, linear between strengths, mean over seeds; "
        "empty where it is not reached by every seed",
    ),
    Column("halving_low", "number", "Lower end of its 95% interval, Student's t over seeds"),
    Column("halving_high", "number", "Upper end"),
    Column("halved_seeds", "integer", "How many seeds reach it"),
)

QUERIES = (
    *_BLOCK,
    Column("attack", "text", "The attack"),
    Column("strength_kind", "text", "linf or l2: the norm of strengths and distances"),
    Column("strength", "number", "Success is an adversarial within this distance"),
    Column("seeds", "integer", "Models, whose images are taken together"),
    Column("n", "integer", "Images, times repetitions and models, that were right without attack"),
    Column("found", "integer", "On how many of them the attack succeeded"),
    Column("limit", "integer", "The budget of queries, or the most that were asked about an image where there is none"),
    Column(
        "median_queries",
        "number",
        "Kaplan-Meier median of the queries that a success takes; empty if not reached",
    ),
    Column("median_low", "number", "Lower end of its 95% interval, images taken as independent"),
    Column("median_high", "number", "Upper end"),
    Column("restricted_mean", "number", "Mean of the queries that a success takes, failures counted at the limit"),
    *(Column(f"success_at_{count}", "number", "Success rate after so many queries") for count in CHECKPOINTS),
    *(
        Column(f"{DISTANCE_AT}{count}", "number", "Median distance after so many queries, failures infinitely far")
        for count in CHECKPOINTS
    ),
)

ACROSS = (
    *(column for column in _BLOCK if column.name in ("suite", "suite_version", "protocol", "size", "precision")),
    _BLOCK[-1],
    Column("combinations", "integer", "How many combinations entered; at least two"),
    Column("models", "integer", "How many models: seeds over all combinations"),
    Column("mean", "number", "Interquartile mean of the scores: without the lowest and the highest quarter"),
    Column("mean_low", "number", "Lower end of its 95% interval: bootstrap over seeds within combinations"),
    Column("mean_high", "number", "Upper end"),
    Column("improvement", "number", "Probability that its score exceeds one of unregularized, mean over combinations"),
    Column("improvement_low", "number", "Lower end of its 95% interval: bootstrap over seeds within combinations"),
    Column("improvement_high", "number", "Upper end"),
)

RECIPE_COSTS = (
    *_BLOCK,
    Column("seeds", "integer", "How many models"),
    Column("training_seconds", "number", "Seconds of training a model, without source models of transfer attacks"),
    Column("attack_seconds", "number", "Seconds of all attacks on a model"),
    Column("seconds", "number", "Both together"),
)

COSTS = (
    Column("kind", "text", "train, attack, check (of gradients), or given: a model that was kept as it was"),
    Column("id", "text", "The run"),
    Column("what", "text", "Recipe, combination, seed and attack"),
    Column("seconds", "number", "Wall-clock time of the job; of models trained side by side, the share of each"),
    Column("device", "text", "Where it ran"),
    Column("processor", "text", "The processor of that machine"),
)

PICTURES = (
    *_BLOCK,
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
    Column("prediction", "integer", "The class that the model gives the picture; the label if the attack failed"),
    Column("l2", "number", "L2 norm of the perturbation, as it was measured"),
    Column("linf", "number", "Largest change of an entry, as it was measured"),
    Column("height", "integer", "In pixels"),
    Column("width", "integer", "In pixels"),
    Column("original", "text", "8-bit levels in hexadecimal, row by row; of a pixel in rgb red, green, blue"),
    Column("picture", "text", "The same of the attacked image, rounded for the eye: the model was asked in float32"),
    Column("credit", "text", "Where the images come from"),
)

EXAMPLES = (
    Column("model_id", "text", "As in measurements.csv"),
    Column("attack_id", "text", "As in measurements.csv"),
    Column("index", "integer", "Place of the image in the test set, from 0"),
    Column("repetition", "integer", "Which of the attacks on this image, from 0"),
    Column("strength", "number", "How hard; absent where the distances of one run serve all strengths"),
    Column("label", "integer", "The true class"),
    Column("clean_prediction", "integer", "The class that the model gives the image without attack"),
    Column("prediction", "integer", "The class that the model gives the attacked image"),
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
