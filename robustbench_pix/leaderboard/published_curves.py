"""The curves that papers published, to be laid behind ours: ``data/published_curves.csv``, read off their figures.

Each row is one point: task, images, network, attack, recipe, strength (sigma for Gaussian noise, linf for transferred
FGSM, pixels in [0, 1]), accuracy (0 to 1), source. So far all are means over seven seeds in Figures 2 and 3 of Attias,
Pehlevan, Obeid 2024, arXiv 2410.03952, which the column ``source`` calls the seed paper.
"""

from pathlib import Path

import pandas as pd

FILE = Path(__file__).parent / "data" / "published_curves.csv"
PAPER = "Attias et al. 2024"


def published_curves() -> pd.DataFrame:
    """Return the published points, with sources as a reader would cite them.

    >>> published_curves()["source"].unique().tolist()[0]
    'Attias et al. 2024, Fig. 2a'
    """
    points = pd.read_csv(FILE)
    return points.assign(source=points["source"].str.replace("seed paper", f"{PAPER},", regex=False))
