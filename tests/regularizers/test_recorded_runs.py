"""Runs on a recording: planned from the catalogue alone, and identified by what changes their numbers."""

import numpy as np
import pytest
import torch

from robustbench_pix import run
from robustbench_pix.catalogue.registries import datasets, regularizers
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.base import ImageData
from robustbench_pix.data.recording import Recording, Session
from robustbench_pix.recipes.contract import Recipe
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.request import RunConfig
from tests.workspaces import tiny_workspace

GENERATOR = np.random.default_rng(0)
IMAGES = torch.from_numpy(GENERATOR.integers(0, 256, (24, 3, 20, 20), dtype=np.uint8))
RESPONSES = GENERATOR.normal(size=(24, 10, 4))


def recorded(responses):
    def data(root, *, colour):
        sessions = {name: Session(name, responses=responses[:, part]) for name, part in
                    (("a", slice(5)), ("b", slice(5, None)))}  # fmt: skip
        return ImageData(IMAGES, recording=Recording(sessions)).in_colour(colour)

    return data


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Give a tiny workspace; the images of a recording are registered as ``recorded``."""
    monkeypatch.setitem(datasets.registered, "recorded", recorded(RESPONSES))
    return tiny_workspace(tmp_path)


def trainings(workspace, *recipes, on="tiny:recorded"):
    (workspace / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    config = RunConfig.parse(workspace=Workspace(workspace), suite="noise", recipes=list(recipes), on=[on], seeds="1")
    jobs = make_plan(config, "cpu").jobs.values()
    return {job.context.recipe: job for job in jobs if job.kind == "train"}


def neural(workspace, **parameters):
    lines = "".join(f"{name} = {value}\n" for name, value in parameters.items())
    text = f'summary = "x"\nregularizer = "similarity"\n[parameters]\ntarget = "neural"\nalpha = 0.1\n{lines}'
    (workspace / "models/mine.toml").write_text(text)
    return trainings(workspace, "mine")["mine"].id


def test_what_changes_the_target_changes_the_identity(workspace, monkeypatch):
    stated = [{}, {"weights": '"none"'}, {"weights": '"uncorrected"'}, {"standardize": "true"}, {"sessions": '["b"]'}]
    known = [neural(workspace, **parameters) for parameters in stated]
    assert len(set(known)) == len(stated)
    pixel = trainings(workspace, "pixel")["pixel"].id
    changed = RESPONSES.copy()
    changed[0, 0, 0] += 1  # of session a
    monkeypatch.setitem(datasets.registered, "recorded", recorded(changed))
    again = [neural(workspace, **parameters) for parameters in stated]
    assert [before == after for before, after in zip(known, again, strict=True)] == [False] * 4 + [True]
    assert trainings(workspace, "pixel")["pixel"].id == pixel


def test_labels_count_for_the_target_that_takes_them_alone(workspace, monkeypatch):
    def labelled(labels):
        monkeypatch.setitem(
            datasets.registered, "labelled", lambda root, *, colour: ImageData(IMAGES[:, :1], labels, classes=2)
        )
        jobs = trainings(workspace, "pixel", "labels", on="tiny:labelled")
        return jobs["pixel"].id, jobs["labels"].id

    (pixel, labels), (same_pixel, other) = labelled(torch.arange(24) % 2), labelled(torch.arange(24) // 12)
    assert pixel == same_pixel
    assert labels != other


class Reading(Recipe):
    """Neither a regularizer nor a recipe that tells what it reads."""

    singles = 4

    def penalty(self, step):
        return step.single[-1].square().mean()


class ReadingPairs(Regularizer):
    def forward(self, step):
        return step.first[-1].square().mean()


@pytest.mark.parametrize("kind", [Reading, ReadingPairs])
def test_labels_and_recording_count_for_whoever_is_given_them(workspace, monkeypatch, kind):
    monkeypatch.setitem(regularizers.registered, "reading", kind)
    (workspace / "models/reading.toml").write_text('summary = "x"\nrecipe = "reading"\n')
    sessions = {"a": Session("a", responses=RESPONSES), "b": Session("b", responses=RESPONSES[:, ::-1])}
    other = {**sessions, "b": Session("b", responses=RESPONSES[:, :5])}
    labels = torch.arange(24) % 2
    given = [
        {},
        {"train_labels": labels, "classes": 2},
        {"train_labels": labels.flip(0), "classes": 2},
        {"recording": Recording(sessions)},
        {"recording": Recording(sessions, ("a",))},
        {"recording": Recording({"a": sessions["a"], "c": sessions["b"]})},
        {"recording": Recording(other)},
    ]
    known = []
    for data in given:
        made = ImageData(IMAGES[:, :1], **data)
        monkeypatch.setitem(datasets.registered, "given", lambda root, *, colour, made=made: made)
        known.append(trainings(workspace, "reading", on="tiny:given")["reading"].identity.regularization)
    assert len({one.files for one in known}) == len(given)
    # The images of a recording are brought to the size of the task's.
    assert len({one.images for one in known[:3]}) == len({one.images for one in known[3:]}) == 1
    assert known[0].files is None


def test_what_a_recipe_lacks_is_told_whatever_its_kind(workspace, monkeypatch):
    class Lacking(Reading):
        @classmethod
        def lacking(cls, parameters, data):
            return "needs a recording" if data.recording is None else None

    monkeypatch.setitem(regularizers.registered, "reading", Lacking)
    (workspace / "models/reading.toml").write_text('summary = "x"\nrecipe = "reading"\n')
    assert "reading" not in trainings(workspace, "unregularized", "reading", on="tiny")
    assert "reading" in trainings(workspace, "unregularized", "reading")


def test_every_target_runs_on_the_images_of_a_recording(workspace):
    trainings(workspace, "unregularized")
    recipes = ["neural", "pixel", "shuffled", "random-network", "labels"]
    rows = run(recipes=recipes, on="tiny:recorded", suite="noise", seeds=1, executor="inline", device="cpu",
               workspace=workspace)  # fmt: skip
    assert set(rows["recipe"]) == set(recipes) - {"labels"}
    for log in workspace.glob("runs/train-*/log.csv"):
        assert "held_out_correlation" in log.read_text()
    job = trainings(workspace, "neural")["neural"]
    assert job.context.images_data.size == (8, 8)


def test_what_images_lack_is_told(workspace):
    for recipe, on, reason in (
        ("neural", "tiny", "needs neural responses or similarities"),
        ("labels", "tiny:recorded", "needs labels, which this regularization data does not have"),
    ):
        config = RunConfig.parse(
            workspace=Workspace(workspace), suite="tiny", recipes=["unregularized", recipe], on=[on], seeds="1"
        )
        assert reason in str([row.facts["note"] for row in make_plan(config, "cpu").rows])


def test_a_recording_without_repeats_says_that_all_neurons_weigh_the_same(workspace, monkeypatch, caplog):
    monkeypatch.setitem(datasets.registered, "recorded", recorded(RESPONSES[:, :, 0]))
    neural(workspace)
    assert caplog.messages == [
        f"{name}: no repeats tell how reliable a neuron is, so all weigh the same." for name in "ab"
    ]
    caplog.clear()
    neural(workspace, weights='"none"')
    assert caplog.messages == []
