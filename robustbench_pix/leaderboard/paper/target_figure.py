"""Two targets against each other, a point a pair of images, as in Figure 1 of Attias, Pehlevan, Obeid 2024."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.paper.panels import COLOURS, settings
from robustbench_pix.randomness import stream

DRAWN = 20_000
"""At most so many pairs are drawn, by a fixed stream; the correlation is that of all."""

SIDE_INCHES = 3.0
KINDS = (".png", ".pdf", ".svg")


def write_scatter(
    path: Path, names: tuple[str, str], first: NDArray[np.float64], second: NDArray[np.float64], told: str
) -> None:
    """Write the scatter plot of two targets, (pairs,) each in [-1, 1], with a sentence above it.

    Raises:
        UserError: the file is no .png, .pdf or .svg, cannot be written, or matplotlib is not installed.
    """
    if path.suffix not in KINDS:
        raise UserError(f"--figure must name a file of {', '.join(KINDS)} (got {path.name}).")
    chosen = stream("target-figure").permutation(len(first))[:DRAWN]
    with settings():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
        axes = figure.add_subplot()
        points = axes.plot(first[chosen], second[chosen], ".", color=COLOURS[0], alpha=0.4, rasterized=True)
        points[0].set(markersize=1.0, markeredgewidth=0.0)
        axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel=names[0], ylabel=names[1], aspect="equal")
        axes.set_title(told.replace(" over ", "\n"))
        written = io.BytesIO()
        figure.savefig(written, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
