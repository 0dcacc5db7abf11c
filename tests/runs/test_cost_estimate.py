"""What --dry-run supposes of attacks, against attacks."""

from pathlib import Path

import pytest

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs import cost_estimate as module
from robustbench_pix.runs.cost_estimate import QUERIES_OF_A_STEP, estimate
from robustbench_pix.runs.request import Resources, RunConfig, parse_combination
from tests.attacks.toys import Quadrants, entry, run_entry, some_images
from tests.workspaces import tiny_workspace

BUDGETED = """
summary = "With a budget"
attack = "{attack}"
access = "{access}"
strength = "l2"
strengths = {{ default = [0, 1, 2, 3] }}
evaluation = {{ images = 10, budget = 100 }}
"""


@pytest.mark.parametrize(("attack", "steps"), [("boundary", 2000), ("hop-skip-jump", 10)])
def test_queries_of_a_step_are_as_supposed(attack, steps):
    examples = run_entry(entry(attack, steps=steps), Quadrants(), some_images(3))
    assert examples["queries"].mean() / steps == pytest.approx(QUERIES_OF_A_STEP[attack], rel=0.15)


@pytest.mark.parametrize(("attack", "access", "searches"), [("simba", "scores", 3), ("geoda", "decisions", 1)])
def test_a_budget_is_spent_at_each_strength_or_once(tmp_path, monkeypatch, attack, access, searches):
    """A query takes a second here; an attack of minimal distance serves all strengths in one run."""
    root = tiny_workspace(tmp_path)
    (root / "attacks/budgeted.toml").write_text(BUDGETED.format(attack=attack, access=access))
    (root / "attacks/suites/one.toml").write_text('version = 1\nsummary = "x"\nattacks = ["budgeted"]\n')
    monkeypatch.setattr(module, "_trial", lambda job, device: (1.0, 2.0))
    config = RunConfig(
        workspace=Workspace(root), suite="one", recipes=("unregularized",), combinations=(parse_combination("tiny"),),
        seeds=(0,), size="full", colour=None, precision="float32", data_root=Path(),
    )  # fmt: skip
    (row,) = [row for row in estimate(config, Resources("cpu", "inline", 1)) if row["jobs"] == "budgeted"]
    assert row["seconds"] == 10 * 100 * searches
