"""The columns of every table, declared once: name, meaning and kind. The published README is written from here."""

from typing import Literal, NamedTuple

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
    Column("attack", "text", "The attack"),
    Column("access", "text", "What the attacker sees: none, transfer, decisions, scores or gradients"),
    Column(
        "strength_kind",
        "text",
        "What a strength means: an l1, l2 or linf distance, a sigma, half-width or probability of pixels in [0, 1], "
        "a severity, or what the attack's summary says",
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
    Column("gain", "number", "Score minus that of unregularized, paired by seed"),
    Column("gain_low", "number", "Lower end of its 95% interval"),
    Column("gain_high", "number", "Upper end of its 95% interval"),
    Column("p_value", "number", "Exact two-sided sign-flip test of the paired gains; empty below 6 seeds"),
    Column("rank", "integer", "1 + the number of recipes whose paired interval against this one lies wholly above 0"),
)

ROBUSTNESS_PREFIX = "robustness_"
"""Then one column an attack: the normalized area under the accuracy; the clean accuracy, if nothing is lost."""

RETAINED_PREFIX = "retained_"
"""Then, for the same attacks, robustness divided by the clean accuracy of the same model, mean over seeds."""

DISTANCE_PREFIX = "distance_"
"""For attacks that report a distance only: the median squared L2 norm an entry, mean over seeds; in no score."""

COSTS = (
    Column("kind", "text", "train, attack, check (of gradients), or given: a model that was kept as it was"),
    Column("id", "text", "The run"),
    Column("what", "text", "Recipe, combination, seed and attack"),
    Column("seconds", "number", "Wall-clock time of the job; of models trained side by side, the share of each"),
    Column("device", "text", "Where it ran"),
    Column("processor", "text", "The processor of that machine"),
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
)


def names(columns: tuple[Column, ...]) -> list[str]:
    """Return the names of columns, in order."""
    return [column.name for column in columns]
