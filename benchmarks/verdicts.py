"""How often verdicts are false and intervals miss the truth, by simulation: ``python benchmarks/verdicts.py``.

No model is trained; nothing depends on the machine, so that the committed tables can be made again to the last digit.
"""

import json
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crossed import Design, rates
from benchmarks.options import output, tiny
from benchmarks.report import Row, Table, markdown

BOARDS, FEW_BOARDS = 400, 5

VERDICTS = {
    "independent seeds": Design(),
    "seeds correlated by .5 between recipes": Design(correlation=0.5),
    "seeds correlated by -.5 between halves": Design(correlation=-0.5),
    "few images, of which recipes differ much": Design(images=64, few=32, recipe_image=1.0),
    "many images, seeds differ much": Design(images=500, training=0.5),
    "6 seeds": Design(seeds=6),
    "skewed seeds": Design(training=0.5, skewed=True),
    "12 seeds, 10 recipes": Design(recipes=10, seeds=12),
}
INTERVALS = {
    "3 seeds": Design(seeds=3),
    "7 seeds": Design(),
    "20 seeds": Design(seeds=20),
    "7 seeds, 500 images": Design(images=500, few=500),
    "7 seeds, 64 images": Design(images=64),
    "7 seeds that differ little": Design(training=0.02),
    "7 seeds that differ much": Design(training=0.5),
}
HEAD = """\
# Verdicts and intervals under no effect

Made by `python benchmarks/verdicts.py`; random numbers are keyed, and nothing depends on the machine. Trainings are
crossed with test images; whether an image is right at a strength is drawn as 0 or 1, with effects of the training, of
the image, of recipe and image, and of training and image on its logit. All recipes are the same in the population.
Boards have 6 recipes, 7 seeds, 200 images (64 under the second attack) where nothing else is said.
"""


@click.command()
@output
@tiny
def main(output: Path, tiny: bool) -> None:
    """Simulate boards without an effect, and write benchmarks/results/verdicts.md and .json."""
    boards = FEW_BOARDS if tiny else BOARDS
    tables: list[Table] = []
    for title, designs, note in (
        (
            "Boards that say anything false",
            VERDICTS,
            f"Share of {boards:,} boards; at most 5% may. Any verdict better or worse, any two recipes without a "
            "common letter, and any rank interval narrower than the board count. The last column is what a paired t "
            "test over seeds alone, corrected alike, would have said.",
        ),
        (
            "Coverage of 95% intervals",
            INTERVALS,
            f"Share of intervals that hold the truth, {boards:,} boards; the interval over seeds alone beside it, "
            "which speaks of other seeds on these test images.",
        ),
    ):
        rows: list[Row] = []
        for name, design in designs.items():
            found = list(rates(design, boards).items())
            rows.append({"boards": name, **dict(found[:2] if designs is VERDICTS else found[2:])})
            print(rows[-1], flush=True)
        tables.append(Table(title, note, rows))
        _write(output, tables)


def _write(folder: Path, tables: list[Table]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = [table.__dict__ for table in tables]
    (folder / "verdicts.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "verdicts.md").write_text(HEAD + "\n".join(map(markdown, tables)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
