"""The files of Figure 1: a figure a combination, the LaTeX that shows them, and their correlations as a table."""

from pathlib import Path

import pandas as pd

from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import block_name, settings
from robustbench_pix.leaderboard.paper.figures import lines_of, pictures_of, write_files
from robustbench_pix.leaderboard.paper.similarity_figure import NETWORK, PIXEL, TARGET, similarity_figure
from robustbench_pix.leaderboard.published.csv_text import to_csv_text
from robustbench_pix.results.published_curves import PAPER, SIMILARITY_CORRELATION
from robustbench_pix.results.similarities import COMBINATION, CORRELATIONS, Similarities, correlations, pairs

NAME = "figure-1-similarity"


def write_similarities(
    found: list[Similarities], leaderboard: pd.DataFrame, measurements: pd.DataFrame, folder: Path
) -> list[Path]:
    """Write Figure 1 of each combination, figures.tex that shows them, and similarity.csv; return the files.

    They depend on no suite, and lie above the suites' folders.

    Args:
        found: the similarities; where there are none nothing is written.
        leaderboard, measurements: the board, which says how recipes are drawn.
        folder: where to; files of the same name are replaced.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    if not found:
        return []
    contents: dict[str, bytes] = {}
    figures = []
    with settings():
        for one in found:
            kind, _, name = latex.label(NAME, *one.block[COMBINATION]).partition(":")
            file = f"{kind}-{name}"
            pictures = pictures_of(similarity_figure(one, lines_of(leaderboard, measurements)))
            contents |= {f"{file}.{kind}": picture for kind, picture in pictures.items()}
            figures.append(latex.figure(_caption(one), f"fig:{file}", f"{file}.pdf", both_columns=True))
    contents["figures.tex"] = "\n".join(figures).encode()
    contents["similarity.csv"] = to_csv_text(correlations(found), CORRELATIONS).encode()
    return write_files(contents, folder)


def _caption(found: Similarities) -> str:
    """Return what a reader must know of the figure of a combination, as LaTeX."""
    name, network = (latex.escaped(text) for text in block_name(found.block))
    images, published = len(found.pixel), f"{SIMILARITY_CORRELATION:.2f}".removeprefix("0")
    targets = f" {TARGET}: that of the neural responses which a recipe pulls towards." if found.targets else ""
    return (
        f"{name} ({network}): the similarity of images in trained networks, {NETWORK}, against that of their pixels, "
        f"{PIXEL}, for all {len(pairs(found.pixel)):,} pairs of {images} regularization images. {NETWORK}: cosine "
        "similarity of the feature maps in eval mode, centred over all regularization images channel by channel, "
        "weighted over layers as the recipe has learned to; where it has learned no weights, as without a regularizer, "
        f"all layers count the same.{targets} Scatter plots, with least-squares lines, and matrices: first seed; "
        f"images in the order of a hierarchical clustering of {PIXEL}. $r$: Pearson's, mean and 95\\% interval "
        f"(Student's $t$) over seeds. Dashed: $r = {published}$ of {latex.escaped(PAPER)}, Fig.~1, whose similarities "
        "are not those of a trained classifier but those that a model of neurons predicts (Li et al. 2019)."
    )
