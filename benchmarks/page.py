"""A board of 20 recipes x 10 combinations x 7 seeds x 12 attacks x 10 strengths: how large its page is, how fast.

python benchmarks/page.py [--tiny]

Sorting and opening are measured in a headless Chromium where there is one.
"""

import sys
import tempfile
import time
from pathlib import Path

import click
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.report import Report, Table
from robustbench_pix.leaderboard.page.page import page
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import build_aucs
from robustbench_pix.results.statistics.measured import settings
from tests.leaderboard.browser import CHROMIUM, Browser
from tests.leaderboard.test_page_pictures import drawn_pictures
from tests.tables import ATTACKS, block, measurements, rows

TASKS = ("digits", "mnist", "fashionmnist", "cifar10", "cifar100")
RECIPES = ("unregularized", "thresholded", "decorrelated", "shuffled", *(f"recipe-{number}" for number in range(16)))
FURTHER = ("square", "pgd-linf", "pgd-l2", "hop-skip-jump", "pointwise", "laplace", "speckle")
CLICKS = """[...Array(15)].map((_, turn) => {
    const began = performance.now();
    document.querySelectorAll('.block')[0].querySelectorAll('th[data-key] button')[2 + turn % 6].click();
    void document.body.offsetHeight;
    return performance.now() - began;
}).sort((a, b) => a - b)"""
NOTE = (
    "Synthetic measurements. Processor seconds of one core from tables in memory to the text of the page; sorting all "
    "tables by a click, with the layout that follows, the median and the worst of 15."
)


@click.command()
@options.output
@options.tiny
def main(output: Path, tiny: bool) -> None:
    """Make the board and its page, and sort it."""
    combinations = [(task, images) for task in TASKS for images in (task, "natural")][: 1 if tiny else None]
    recipes, seeds = (RECIPES[:3], range(2)) if tiny else (RECIPES, range(7))
    asked = {"recipes": recipes, "attacks": (*ATTACKS, *FURTHER), "seeds": tuple(seeds)}
    parts = [measurements(block(*of), key=key, **asked) for key, of in enumerate(combinations)]
    measured = pd.concat(parts, ignore_index=True)
    models = measured.groupby(["task", "regularization_data", "recipe", "seed"]).ngroup()
    measured["model_id"] = [f"{0x9E3779B97F4A7C15 * (model + 1) % 2**64:016x}" for model in models]
    lines = pd.concat([rows(block(*of), **asked) for of in combinations], ignore_index=True)
    board = build_leaderboard(settings(measured, lines))
    aucs = build_aucs(settings(measured, lines))
    shown = [drawn_pictures(block(*of), recipes, asked["attacks"]) for of in combinations if of[0] == "digits"]
    began = time.process_time()
    text = page(board, measured, None, pd.concat(shown), aucs)
    made = time.process_time() - began
    row: dict[str, float] = {"measurements": len(measured), "MB": len(text.encode()) / 1e6, "made s": made}
    if CHROMIUM:
        row |= _in_browser(text)
    Report("page", "cpu", output, "").add(Table("The page of a large board", NOTE, [row]))


def _in_browser(text: str) -> dict[str, float]:
    """Return how many seconds the page takes to open, and how many milliseconds to sort."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "index.html"
        file.write_text(text, encoding="utf-8")
        browser = Browser(Path(folder) / "profile")
        try:
            began = time.monotonic()
            browser.open(file)
            opened = time.monotonic() - began
            clicks = browser.run(CLICKS)
        finally:
            browser.close()
    return {"opened s": opened, "sorted ms": clicks[len(clicks) // 2], "worst ms": clicks[-1]}


if __name__ == "__main__":
    main()
