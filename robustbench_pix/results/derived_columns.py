"""The columns of the tables that are derived from the measurements."""

from collections.abc import Iterable

from robustbench_pix.results.columns import SHARED, Column, integer, number, text


def _interval(name: str) -> tuple[Column, ...]:
    """Return the ends of a number's two intervals; ``name`` begins those of their columns."""
    prefix = f"{name}_" if name else ""
    return (
        number(f"{prefix}low", "Lower end of its 95% interval, see interval in leaderboard.csv"),
        number(f"{prefix}high", "Upper end"),
        number(f"{prefix}seeds_low", "Lower end of its 95% interval over seeds alone, Student's t"),
        number(f"{prefix}seeds_high", "Upper end"),
    )


LEADERBOARD = (
    *SHARED,
    text("controls", "For a control: the recipe whose claim it tests"),
    text("status", "complete; incomplete (some seeds or attacks are missing); failed; not run"),
    text("note", "The reason for a status, or what else a reader must know"),
    text("gradients", "sound; masked or failed, in how many of the checked models and why; or empty: not checked"),
    integer("seeds", "How many seeds entered the row"),
    text("seed_list", "Which; 2000000 stands for an external model"),
    text("interval", "What the 95% intervals are over: seeds and test images, or only one of them"),
    number("clean_accuracy", "Accuracy without attack, mean over seeds"),
    *_interval("clean_accuracy"),
    number(
        "mean_auc",
        "Mean AUC over threat groups (access), of adversarial ones that of the strongest attack; mean over seeds",
    ),
    *_interval("mean_auc"),
    number("standard_error", "Standard deviation of the mean AUC over seeds (n - 1), divided by the root of n"),
    number("gain", "Mean AUC minus that of unregularized, paired by seed"),
    *_interval("gain"),
    number("p_value", "Exact two-sided sign-flip test of the paired gains; empty below 6 seeds"),
    text(
        "verdict",
        "Against unregularized: better, worse, not significant, too few seeds (below 6); empty without a common seed",
    ),
    number(
        "effective_robustness",
        "Mean AUC beyond what the clean accuracy predicts, on a line through chance and unregularized; paired by seed",
    ),
    *_interval("effective_robustness"),
    number("worst_case", "Robustness to all attacks at once, image by image; not part of the mean AUC"),
    number("queries", "Queries of the attacked model an image, at the largest strengths, over the attacks"),
    integer("rank", "1 + the number of recipes of the setting that are better, by verdict; empty without one"),
    integer("rank_low", "Best rank that is possible, with 95% confidence for all recipes of the setting at once"),
    integer("rank_high", "Worst rank that is possible"),
    text("group", "Recipes of a setting that share a letter do not differ significantly"),
)

COMPARISONS = (
    *SHARED,
    text("reference", "The recipe that it is compared with"),
    text("role", "baseline: with unregularized; control: with a control of the recipe"),
    integer("seeds", "How many seeds both have"),
    number("difference", "Mean AUC minus that of the reference, mean over these seeds"),
    number("standard_error", "Of the difference, over seeds"),
    *_interval(""),
    number("p_value", "Exact two-sided sign-flip test of the paired differences; empty below 6 seeds"),
    number(
        "p_adjusted",
        "Paired t test, the variance over test images added, after Holm's correction for all pairs of recipes of the "
        "setting, not only those listed here; empty below 6 seeds",
    ),
    number(
        "detectable",
        "Smallest true difference that an uncorrected t test (two-sided, 5%) of so many seeds and this spread finds in "
        "80% of cases",
    ),
    text("verdict", "better or worse where p_adjusted is at most .05, else not significant; too few seeds"),
)

AUC_PREFIX = "auc_"
"""Then one column an attack: the normalized area under the accuracy; the clean accuracy, if nothing is lost."""

RELATIVE_AUC_PREFIX = "relative_auc_"
"""Then, for the same attacks, the AUC divided by the clean accuracy of the same model, mean over seeds."""

DISTANCE_PREFIX = "distance_"
"""For attacks that report a distance only: the median squared L2 norm an entry, mean over seeds; in no mean AUC."""

AUCS = (
    *SHARED,
    text("attack", "The attack; worst-case: all of them at once, image by image"),
    text("strength_kind", "As in measurements.csv"),
    integer("seeds", "How many seeds entered"),
    number("auc", "Normalized area under the accuracy, mean over seeds"),
    number("standard_error", "Of the robustness, over seeds"),
    *_interval(""),
    number(
        "eps50",
        "Strength at which the accuracy is half of the clean one, linear between strengths, mean over seeds; "
        "empty where it is not reached by every seed",
    ),
    number("eps50_low", "Lower end of its 95% interval, Student's t over seeds"),
    number("eps50_high", "Upper end"),
    integer("eps50_seeds", "How many seeds reach it"),
    number(
        "distance_inflation",
        "Of a decision attack in l2: distance at which it ended / smallest known distance, mean over images and seeds; "
        "empty where no seed was measured",
    ),
)

AGGREGATES = (
    *(column for column in SHARED if column.name in ("suite", "suite_version", "protocol", "size", "precision")),
    SHARED[-1],
    integer("combinations", "How many combinations entered; at least two"),
    integer("models", "How many models: seeds over all combinations"),
    number("mean", "Interquartile mean of the mean AUCs: without the lowest and the highest quarter"),
    number("mean_low", "Lower end of its 95% interval: bootstrap over seeds within combinations"),
    number("mean_high", "Upper end"),
    number(
        "probability_of_improvement",
        "Probability that its mean AUC exceeds one of unregularized, mean over combinations",
    ),
    number("probability_of_improvement_low", "Lower end of its 95% interval: bootstrap over seeds within combinations"),
    number("probability_of_improvement_high", "Upper end"),
)

RECIPE_COSTS = (
    *SHARED,
    integer("seeds", "How many models"),
    number("training_seconds", "Seconds of training a model, without source models of transfer attacks"),
    number("attack_seconds", "Seconds of all attacks on a model"),
    number("seconds", "Both together"),
)


def leaderboard_columns(found: Iterable[str]) -> tuple[Column, ...]:
    """Return the declared columns of a leaderboard, then the AUC and distance columns among those found."""
    found = list(found)
    meanings = {
        AUC_PREFIX: "Normalized area under the accuracy under this attack; the clean accuracy if nothing is lost",
        RELATIVE_AUC_PREFIX: "AUC under this attack divided by the clean accuracy, mean over seeds",
        DISTANCE_PREFIX: "Median squared L2 norm per entry that this attack needed, mean over seeds; "
        "not part of the mean AUC",
    }
    chosen = (number(name, text) for of, text in meanings.items() for name in found if name.startswith(of))
    return *LEADERBOARD, *chosen
