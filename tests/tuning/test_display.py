"""The rows of a search: that of unregularized first, then the points."""

from fractions import Fraction
from pathlib import Path

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.tuning.display import rows
from robustbench_pix.tuning.rule import Accuracy, Outcome
from robustbench_pix.tuning.search import Found, SearchConfig


def test_the_first_row_is_that_of_unregularized():
    outcome = Outcome({"alpha": 0.1}, Accuracy(Fraction(7, 8), Fraction(3, 4)))
    baseline, sigmas = Accuracy(Fraction(9, 10), Fraction(1, 2)), (0.1, 0.2)
    recipe = Workspace(Path()).recipe("pixel")
    first, second = rows([Found(recipe, {"alpha": [0.1]}, SearchConfig(), [outcome], baseline, sigmas)])
    assert first == {
        "recipe": "unregularized", "alpha": None, "clean": 0.9, "noise": 0.5, "kept": True, "chosen": False,
        "note": "the reference",
    }  # fmt: skip
    assert (second["clean"], second["noise"], second["chosen"]) == (0.875, 0.75, True)
