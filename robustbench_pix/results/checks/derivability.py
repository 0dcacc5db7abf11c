"""What a published folder states that nothing in it can confirm."""

from typing import NamedTuple


class Underivable(NamedTuple):
    """Columns of a published file, or fields of provenance.json; all of the file where none is named."""

    file: str
    columns: tuple[str, ...]
    sentence: str
    until: str = ""
    """With ``outcomes`` of all images, or with ``runs``, it is derived."""


UNDERIVABLE = (
    Underivable(
        "costs.csv",
        ("kind", "id", "what", "seconds", "device", "processor"),
        "all of source models, checks and runs that no measurement names; seconds of others as far as recipe-costs.csv "
        "rounds them",
    ),
    Underivable(
        "measurements.csv",
        ("version", "torch", "device", "flags"),
        "version, torch and device (only held against provenance.json), and flags",
        "runs",
    ),
    Underivable(
        "measurements.csv",
        ("gradients", "distance_inflation"),
        "that gradients were not checked where the column is empty; their verdicts and the distance inflation, where "
        "the runs of the check and of the search of smallest distances are not at hand",
    ),
    Underivable(
        "measurements.csv",
        (
            *("n", "correct", "failed", "accuracy", "area", "success_rate", "chance", "unanswered"),
            *("median_l2", "median_linf", "median_squared_l2_per_pixel", "mean_queries"),
        ),
        "counts of images, distances and queries, but for the invariants between them",
        "outcomes",
    ),
    Underivable("sampling.csv", ("covariance", "images_judged"), "covariances over test images", "outcomes"),
    Underivable(
        "pictures.csv",
        ("label", "prediction", "l2", "linf", "original", "picture", "credit", "index", "strength"),
        "which image and class it was, whether it fooled the model and at which strength, the credit, and norms and "
        "pixels within the rounding of pictures",
    ),
    Underivable(
        "provenance.json",
        (
            "libraries",
            "commit",
            "device",
            "processor",
            "torch",
            "version",
            "entries",
            "regularization_data",
            "model",
            "weights",
        ),
        "what made a row (versions, commit, device, processor) where several did, and the file and weights in the "
        "command of an external model",
    ),
    Underivable(
        "queries.csv",
        (),
        "all numbers of its rows",
        "outcomes",
    ),
    Underivable(
        "index.html, leaderboard.svg, README.md, schema.json",
        (),
        "drawn from the tables by the version that published; rbp publish draws them anew",
    ),
)


def underivable(*, outcomes: bool, runs: bool) -> list[str]:
    """Return in sentences what cannot be derived; ``outcomes`` or ``runs`` of all published attacks may be at hand."""
    known = {"outcomes": outcomes or runs, "runs": runs, "": False}
    return [f"{one.file} ({one.sentence})" for one in UNDERIVABLE if not known[one.until]]
