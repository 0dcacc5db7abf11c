"""What --dry-run supposes of attacks, against attacks."""

from pathlib import Path

import pytest

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs import cost_estimate as module
from robustbench_pix.runs import trials
from robustbench_pix.runs.cost_estimate import QUERIES_OF_A_STEP, estimate, seconds_of_jobs
from robustbench_pix.runs.job import TrainingJob
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.request import Resources, RunConfig, parse_combination
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.training_job import run_training
from robustbench_pix.runs.trials import Call
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


def config_of(root, suite, *recipes, seeds=(0,)):
    return RunConfig(
        workspace=Workspace(root), suite=suite, recipes=recipes, combinations=(parse_combination("tiny"),),
        seeds=seeds, size="full", colour=None, precision="float32", data_root=Path(),
    )  # fmt: skip


@pytest.mark.parametrize(("attack", "steps"), [("boundary", 2000), ("hop-skip-jump", 10)])
def test_queries_of_a_step_are_as_supposed(attack, steps):
    examples = run_entry(entry(attack, steps=steps), Quadrants(), some_images(3))
    assert examples["queries"].mean() / steps == pytest.approx(QUERIES_OF_A_STEP[attack], rel=0.15)


@pytest.mark.parametrize(("attack", "access", "searches"), [("simba", "scores", 3), ("geoda", "decisions", 1)])
def test_a_budget_is_spent_at_each_strength_or_once(tmp_path, monkeypatch, attack, access, searches):
    """A call with ten images takes ten seconds; an attack of minimal distance serves all strengths in one run."""
    root = tiny_workspace(tmp_path)
    (root / "attacks/budgeted.toml").write_text(BUDGETED.format(attack=attack, access=access))
    (root / "attacks/suites/one.toml").write_text('version = 1\nsummary = "x"\nattacks = ["budgeted"]\n')
    monkeypatch.setattr(module, "time_of_call", lambda job, images, device: Call(images, 2 * images))
    (row,) = [
        row
        for row in estimate(config_of(root, "one", "unregularized"), Resources("cpu", "inline", 1))
        if row["jobs"] == "budgeted"
    ]
    assert row["seconds"] == 10 * 100 * searches


def test_each_recipe_is_tried_once_for_as_many_steps_as_its_training_takes(tmp_path, monkeypatch):
    """Every step takes a second here, preparation and validations too; a trial that goes on to the end counts them."""
    root, tried = tiny_workspace(tmp_path), []

    def timed(step, device):
        tried.append(step())
        return 1.0

    monkeypatch.setattr(trials, "_timed", timed)
    monkeypatch.setattr(module, "time_of_call", lambda job, images, device: Call(0.0, 0.0))
    config = config_of(root, "tiny", "unregularized", "thresholded", seeds=(0, 1))
    plan, store = make_plan(config, "cpu"), Store(root / "runs")
    estimated = seconds_of_jobs(plan, store, "cpu")
    trainings = [job for job in plan.jobs.values() if isinstance(job, TrainingJob)]
    assert len(trainings) == 5, "a source model among them"
    steps = []
    for job in trainings:
        folder = tmp_path / job.name
        folder.mkdir()
        steps.append(len(list(run_training(job, folder, device="cpu", progress=lambda fraction: None))))
    assert [estimated[job.name] for job in trainings] == steps
    assert len(tried) < 2 * 30, "seeds share a trial"
    monkeypatch.setattr(module, "_earlier_seconds", lambda store: {module._work(trainings[0]): 77.0})
    again = seconds_of_jobs(plan, store, "cpu")
    added = trainings[0].identity.regularization
    assert {job.name for job in trainings if again[job.name] == 77} == {
        job.name for job in trainings if job.identity.regularization == added
    }


FAILING = """
from robustbench_pix.recipes.contract import Recipe

class Failing(Recipe):
    def batch(self, batch, tools):
        raise ValueError("on purpose")
"""


def test_a_recipe_that_fails_has_no_known_time(tmp_path, monkeypatch):
    root = tiny_workspace(tmp_path)
    (root / "models/failing.py").write_text(FAILING)
    (root / "models/failing.toml").write_text('summary = "x"\nregularizer = "failing.py:Failing"\n')
    monkeypatch.setattr(module, "time_of_call", lambda job, images, device: Call(0.0, 0.0))
    found = estimate(config_of(root, "tiny", "failing"), Resources("cpu", "inline", 1))
    notes = {row["jobs"]: row["note"] for row in found}
    assert notes["train"] == "1 of unknown time, not counted"
