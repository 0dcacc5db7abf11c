"""Whole searches in a tiny workspace: no test image is read, the same winner and bytes, a planted optimum."""

import importlib.util
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.base import ImageData
from robustbench_pix.errors import UserError
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.request import SOURCE_SEED, TUNING_SEED, Resources, RunConfig, parse_combination, parse_seeds
from robustbench_pix.tuning.entry import write_entry
from robustbench_pix.tuning.search import SearchConfig, planned_jobs, tune
from tests.workspaces import LEARNT, tiny_workspace

INLINE = Resources("cpu", "inline")
SMALL = {"alpha": [0.1, 0.5, 2.0]}
with_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="optuna is not installed")

PLANTED = '''\
"""Training images that fade to black the farther ``place`` is from 0.3: there the recipe does nothing."""

from robustbench_pix import Recipe


class Planted(Recipe):
    def __init__(self, context, *, place=0.0):
        super().__init__(context)
        self.light = max(0.0, 1 - 3 * abs(place - 0.3))

    def batch(self, batch, tools):
        return batch._replace(images=batch.images * self.light)
'''


def tuning(folder, *recipes, seeds=1):
    return RunConfig(
        workspace=Workspace(folder),
        suite=None,
        recipes=recipes,
        combinations=(parse_combination("tiny"),),
        seeds=tuple(range(TUNING_SEED, TUNING_SEED + seeds)),
        data_root=folder / "data",
    )


@pytest.fixture
def folder(tmp_path, finished_jobs):
    return tiny_workspace(tmp_path)


class Interrupt(Watcher):
    """Ends a search once so many jobs are done."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def finished(self, job, reason):
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


@pytest.fixture
def unreadable_test_images(monkeypatch):
    """Make reading the test images an error, but where a data set is built, hashed or stripped of them."""
    read = ImageData.__getattribute__
    may = {"__post_init__", "digest", "has_test", "in_colour"}

    def guarded(self, name):
        value = read(self, name)
        if name in ("test_images", "test_labels") and value is not None:
            assert sys._getframe(1).f_code.co_name in may, f"{sys._getframe(1).f_code.co_name} reads {name}"
        return value

    monkeypatch.setattr(ImageData, "__getattribute__", guarded)


def test_test_images_are_never_read(folder, unreadable_test_images, every_job_is_done):
    (found,) = tune(tuning(folder, "thresholded"), SearchConfig({"alpha": [0.1]}), INLINE, Watcher())
    assert found.outcomes[0].accuracy.clean > 0
    for job in planned_jobs(tuning(folder, "thresholded"), SearchConfig(SMALL)).jobs.values():
        assert not job.context.data.with_test
    config = RunConfig(
        workspace=Workspace(folder), suite="tiny", recipes=("unregularized",), seeds=(0,),
        combinations=(parse_combination("tiny"),), data_root=folder / "data",
    )  # fmt: skip
    with pytest.raises(AssertionError, match="reads test_"):
        make_plan(config, "cpu")


def test_stripped_data_has_the_same_digest(folder):
    planner_data = [load(folder, with_test) for with_test in (True, False)]
    assert planner_data[0].digest == planner_data[1].digest
    assert planner_data[0].test_images is not None
    assert planner_data[1].test_images is planner_data[1].test_labels is None


def load(folder, with_test):
    from robustbench_pix.runs.job import DataLocation
    from robustbench_pix.runs.locations import load

    return load(DataLocation(reference="digits", folder=None, root=folder, colour="gray", with_test=with_test))


@pytest.mark.parametrize("jobs", [1, 4, 7])
def test_the_same_search_gives_the_same_bytes_interrupted_or_not(folder, tmp_path_factory, jobs):
    other = tiny_workspace(tmp_path_factory.mktemp("other"))
    how, written = SearchConfig(SMALL), []
    with pytest.raises(KeyboardInterrupt):
        tune(tuning(other, "thresholded"), how, INLINE, Interrupt(jobs))
    assert len(list((other / "runs").glob("*-*"))) == jobs
    for place in (folder, other):
        config = tuning(place, "thresholded")
        (found,) = tune(config, how, INLINE, Watcher())
        path = write_entry(found, config)
        written.append((found.chosen, path.read_bytes()))
        (again,) = tune(config, how, INLINE, Watcher())
        assert again.outcomes == found.outcomes
        assert write_entry(again, config).read_bytes() == written[-1][1]
    assert written[0] == written[1]


def test_a_planted_optimum_is_found_and_holds_for_runs(folder):
    (folder / "models/tasks/tiny.toml").write_text(LEARNT)
    (folder / "models/planted.py").write_text(PLANTED)
    (folder / "models/planted.toml").write_text(
        'summary = "planted"\nrecipe = "planted.py:Planted"\nsearch = { place = [0.0, 0.6, 0.3, 1.0] }\n'
    )
    config = tuning(folder, "planted")
    (found,) = tune(config, SearchConfig(), INLINE, Watcher())
    assert found.chosen.point == {"place": 0.3}
    assert found.chosen.accuracy == found.baseline, "there it is unregularized"
    assert found.baseline.clean > 0.8
    write_entry(found, config)
    recipe = Workspace(folder).recipe("planted")
    plan = planned_jobs(config, SearchConfig({"place": [0.3]}))
    runs = make_plan(
        RunConfig(
            workspace=Workspace(folder), suite="tiny", recipes=("planted",), combinations=config.combinations,
            seeds=config.seeds, data_root=config.data_root,
        ),
        "cpu",
    )  # fmt: skip
    trained = {job.name for job in runs.jobs.values() if getattr(job.context, "recipe", "") == "planted"}
    assert len(trained) == 1
    assert trained <= set(plan.jobs), "a run with these parameters has the very same training"
    assert "points, place in [0.0, 0.6, 0.3, 1.0]" in recipe.tuned[0].source
    assert f"seeds {TUNING_SEED};" in recipe.tuned[0].source
    assert "remark" not in runs.rows[0].facts


def test_a_row_without_an_entry_says_so(folder):
    def facts(*recipes):
        return {row.recipe: row.facts.get("remark", "") for row in make_plan(run_of(*recipes), "cpu").rows}

    def run_of(*recipes):
        return RunConfig(
            workspace=Workspace(folder), suite="tiny", recipes=recipes, combinations=(parse_combination("tiny"),),
            seeds=(0,), data_root=folder / "data",
        )  # fmt: skip

    found = facts("unregularized", "pixel", "shuffled-pixel", "statistics", "adversarial", "thresholded")
    assert found == {
        "unregularized": "",
        "pixel": "not tuned here",
        "shuffled-pixel": "not tuned here",
        "statistics": "",
        "adversarial": "transfer-fgsm: trained on this attack; not tuned here",
        "thresholded": "",
    }
    text = '\n[[tuned]]\ntask = "tiny"\nsize = "{}"\nalpha = 1.0\n'
    shipped = Path(Workspace(folder).recipe("pixel").path).read_text()
    for size, remark in (("full", ""), ("*", "not tuned here"), ("reduced", "not tuned here")):
        (folder / "models/pixel.toml").write_text(shipped + text.format(size))
        assert facts("pixel", "shuffled-pixel") == dict.fromkeys(("pixel", "shuffled-pixel"), remark)


def test_tuning_seeds_are_evaluated_by_no_table():
    assert TUNING_SEED >= 3 * SOURCE_SEED
    with pytest.raises(UserError):
        parse_seeds(f"{TUNING_SEED},")


def test_the_images_are_those_that_the_model_was_not_trained_on(folder, every_job_is_done):
    from robustbench_pix.runs.store import EXAMPLES

    tune(tuning(folder, "thresholded"), SearchConfig({"alpha": [0.1]}), INLINE, Watcher())
    runs = sorted((folder / "runs").glob("validation-*"))
    assert len(runs) == 2
    for run in runs:
        examples = pd.read_parquet(run / EXAMPLES)
        assert examples["strength"].unique().tolist() == [0.0, 0.2, 0.4]
        assert examples["index"].nunique() == 200 + 1097 - 192, "digits: its validation images, and those left"


def test_extra_images_come_from_the_end(monkeypatch):
    from robustbench_pix.runs.validation_job import validation_images

    numbers = torch.arange(250, dtype=torch.uint8).view(-1, 1, 1, 1)
    data = ImageData(numbers, torch.zeros(250, dtype=torch.int64), classes=1)
    for limit, most, beyond in ((100, 30, range(230, 250)), (100, 1000, range(100, 250)), (None, 1000, range(0))):
        held_out = 10 if limit else 25
        images, labels = validation_images(data, identity(limit), most)
        values = images.flatten().tolist()
        assert len(labels) == len(values) == len(set(values))
        assert values[held_out:] == list(beyond)
        assert all(value < (limit or 250) for value in values[:held_out])


def identity(limit):
    from robustbench_pix.catalogue.specs import TrainingSpec
    from robustbench_pix.runs.identities import TrainedTask, TrainingIdentity

    training = TrainingSpec(epochs=1, train_images=limit, validation_fraction=0.1)
    task = TrainedTask(
        dataset="", network="small", network_source=None, network_parameters={}, training=training, colour="gray"
    )
    return TrainingIdentity(task=task, seed=1, precision="float32", regularization=None)


@with_optuna
def test_suggested_points_go_on_where_they_were(folder, tmp_path_factory):
    other = tiny_workspace(tmp_path_factory.mktemp("other"))
    how, found = SearchConfig({"alpha": [0.1, 5.0], "threshold": [0.1, 0.5]}, trials=3), []
    with pytest.raises(KeyboardInterrupt):
        tune(tuning(other, "thresholded"), how, INLINE, Interrupt(5))
    for place in (folder, other):
        (one,) = tune(tuning(place, "thresholded"), how, INLINE, Watcher())
        found.append(one.outcomes)
    assert found[0] == found[1]
    assert len(found[0]) == 3
    assert all(0.1 <= one.point["alpha"] <= 5 and 0.1 <= one.point["threshold"] <= 0.5 for one in found[0])


@with_optuna
def test_suggestions_approach_an_optimum():
    from robustbench_pix.tuning.suggestions import Suggestions

    suggestions, tried = Suggestions({"x": [0.001, 1.0], "kind": ["a", "b"], "n": [1, 3]}), []
    for _ in range(40):
        point = suggestions.ask()
        tried.append(-abs(point["x"] - 0.05) - (point["kind"] == "a"))
        suggestions.tell(tried[-1])
        assert isinstance(point["n"], int)
        assert float(f"{point['x']:.3g}") == point["x"]
    assert max(tried) > -0.01


def test_jobs_that_fail_leave_no_choice(folder):
    (folder / "models/broken.py").write_text(PLANTED.replace("batch.images * self", "batch.nothing * self"))
    (folder / "models/broken.toml").write_text('summary = "broken"\nrecipe = "broken.py:Planted"\n')
    with pytest.raises(UserError, match=r"2 of 4 jobs failed, so nothing is chosen.*place = 0.1"):
        tune(tuning(folder, "broken"), SearchConfig({"place": [0.1]}), INLINE, Watcher())


def test_a_search_of_several_recipes_trains_the_baseline_once(folder):
    plan = planned_jobs(tuning(folder, "thresholded", "shuffled", seeds=2), SearchConfig(SMALL))
    titles = [json.dumps(job.title) for job in plan.jobs.values() if job.kind == "train"]
    assert len(titles) == 2 * (1 + 3 + 3)
    assert sum("unregularized" in title for title in titles) == 2
