"""The columns of the tables that are derived from the measurements."""

from collections.abc import Iterable

from robustbench_pix.results.columns import SHARED, Column


def _interval(name: str) -> tuple[Column, ...]:
    """Return the ends of a number's two intervals; ``name`` begins those of their columns."""
    prefix = f"{name}_" if name else ""
    return (
        Column(f"{prefix}low", "number", "Lower end of its 95% interval, see interval in leaderboard.csv"),
        Column(f"{prefix}high", "number", "Upper end"),
        Column(f"{prefix}seeds_low", "number", "Lower end of its 95% interval over seeds alone, Student's t"),
        Column(f"{prefix}seeds_high", "number", "Upper end"),
    )


LEADERBOARD = (
    *SHARED,
    Column("controls", "text", "For a control: the recipe whose claim it tests"),
    Column("status", "text", "complete; incomplete (some seeds or attacks are missing); failed; not run"),
    Column("note", "text", "The reason for a status, or what else a reader must know"),
    Column(
        "gradients", "text", "sound; masked or failed, in how many of the checked models and why; or empty: not checked"
    ),
    Column("seeds", "integer", "How many seeds entered the row"),
    Column("seed_list", "text", "Which; 2000000 stands for an external model"),
    Column("interval", "text", "What the 95% intervals are over: seeds and test images, or only one of them"),
    Column("clean_accuracy", "number", "Accuracy without attack, mean over seeds"),
    *_interval("clean_accuracy"),
    Column(
        "mean_auc",
        "number",
        "Mean AUC over threat groups (access), of adversarial ones that of the strongest attack; mean over seeds",
    ),
    *_interval("mean_auc"),
    Column(
        "standard_error", "number", "Standard deviation of the mean AUC over seeds (n - 1), divided by the root of n"
    ),
    Column("gain", "number", "Mean AUC minus that of unregularized, paired by seed"),
    *_interval("gain"),
    Column("p_value", "number", "Exact two-sided sign-flip test of the paired gains; empty below 6 seeds"),
    Column(
        "verdict",
        "text",
        "Against unregularized: better, worse, not significant, too few seeds (below 6); empty without a common seed",
    ),
    Column(
        "effective_robustness",
        "number",
        "Mean AUC beyond what the clean accuracy predicts, on a line through chance and unregularized; paired by seed",
    ),
    *_interval("effective_robustness"),
    Column("worst_case", "number", "Robustness to all attacks at once, image by image; not part of the mean AUC"),
    Column("queries", "number", "Queries of the attacked model an image, at the largest strengths, over the attacks"),
    Column(
        "rank", "integer", "1 + the number of recipes of the setting that are better, by verdict; empty without one"
    ),
    Column(
        "rank_low", "integer", "Best rank that is possible, with 95% confidence for all recipes of the setting at once"
    ),
    Column("rank_high", "integer", "Worst rank that is possible"),
    Column("group", "text", "Recipes of a setting that share a letter do not differ significantly"),
)

COMPARISONS = (
    *SHARED,
    Column("reference", "text", "The recipe that it is compared with"),
    Column("role", "text", "baseline: with unregularized; control: with a control of the recipe"),
    Column("seeds", "integer", "How many seeds both have"),
    Column("difference", "number", "Mean AUC minus that of the reference, mean over these seeds"),
    Column("standard_error", "number", "Of the difference, over seeds"),
    *_interval(""),
    Column("p_value", "number", "Exact two-sided sign-flip test of the paired differences; empty below 6 seeds"),
    Column(
        "p_adjusted",
        "number",
        "Paired t test, the variance over test images added, after Holm's correction for all pairs of recipes of the "
        "setting, not only those listed here; empty below 6 seeds",
    ),
    Column(
        "detectable",
        "number",
        "Smallest true difference that an uncorrected t test (two-sided, 5%) of so many seeds and this spread finds in "
        "80% of cases",
    ),
    Column("verdict", "text", "better or worse where p_adjusted is at most .05, else not significant; too few seeds"),
)

AUC_PREFIX = "auc_"
"""Then one column an attack: the normalized area under the accuracy; the clean accuracy, if nothing is lost."""

RELATIVE_AUC_PREFIX = "relative_auc_"
"""Then, for the same attacks, robustness divided by the clean accuracy of the same model, mean over seeds."""

DISTANCE_PREFIX = "distance_"
"""For attacks that report a distance only: the median squared L2 norm an entry, mean over seeds; in no mean AUC."""

AUCS = (
    *SHARED,
    Column("attack", "text", "The attack; worst-case: all of them at once, image by image"),
    Column("strength_kind", "text", "As in measurements.csv"),
    Column("seeds", "integer", "How many seeds entered"),
    Column("auc", "number", "Normalized area under the accuracy, mean over seeds"),
    Column("standard_error", "number", "Of the robustness, over seeds"),
    *_interval(""),
    Column(
        "eps50",
        "number",
        "Strength at which the accuracy is half of the clean one, linear between strengths, mean over seeds; "
        "empty where it is not reached by every seed",
    ),
    Column("eps50_low", "number", "Lower end of its 95% interval, Student's t over seeds"),
    Column("eps50_high", "number", "Upper end"),
    Column("eps50_seeds", "integer", "How many seeds reach it"),
    Column(
        "distance_inflation",
        "number",
        "Of a decision attack in l2: distance at which it ended / smallest known distance, mean over images and seeds; "
        "empty where no seed was measured",
    ),
)

AGGREGATES = (
    *(column for column in SHARED if column.name in ("suite", "suite_version", "protocol", "size", "precision")),
    SHARED[-1],
    Column("combinations", "integer", "How many combinations entered; at least two"),
    Column("models", "integer", "How many models: seeds over all combinations"),
    Column("mean", "number", "Interquartile mean of the mean AUCs: without the lowest and the highest quarter"),
    Column("mean_low", "number", "Lower end of its 95% interval: bootstrap over seeds within combinations"),
    Column("mean_high", "number", "Upper end"),
    Column(
        "probability_of_improvement",
        "number",
        "Probability that its mean AUC exceeds one of unregularized, mean over combinations",
    ),
    Column(
        "probability_of_improvement_low",
        "number",
        "Lower end of its 95% interval: bootstrap over seeds within combinations",
    ),
    Column("probability_of_improvement_high", "number", "Upper end"),
)

RECIPE_COSTS = (
    *SHARED,
    Column("seeds", "integer", "How many models"),
    Column("training_seconds", "number", "Seconds of training a model, without source models of transfer attacks"),
    Column("attack_seconds", "number", "Seconds of all attacks on a model"),
    Column("seconds", "number", "Both together"),
)


def leaderboard_columns(found: Iterable[str]) -> tuple[Column, ...]:
    """Return the declared columns of a leaderboard, then the robustness and the distance columns among those found."""
    found = list(found)
    aucs = "Normalized area under the accuracy under this attack; the clean accuracy if nothing is lost"
    retained = "AUC under this attack divided by the clean accuracy, mean over seeds"
    distance = "Median squared L2 norm per entry that this attack needed, mean over seeds; not part of the mean AUC"
    return (
        *LEADERBOARD,
        *(Column(name, "number", aucs) for name in found if name.startswith(AUC_PREFIX)),
        *(Column(name, "number", retained) for name in found if name.startswith(RELATIVE_AUC_PREFIX)),
        *(Column(name, "number", distance) for name in found if name.startswith(DISTANCE_PREFIX)),
    )
