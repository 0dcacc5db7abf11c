"""Identities of jobs: the bytes that are hashed are pinned, and a recorded job is read back as it was planned."""

import pytest

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs.job import AttackJob, TrainingJob, recorded_job
from robustbench_pix.runs.manifest import sealed, unsealed
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.request import RunConfig
from tests.workspaces import tiny_workspace


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    workspace = Workspace(tiny_workspace(tmp_path_factory.mktemp("workspace")))
    config = RunConfig.parse(
        workspace=workspace, suite="tiny", recipes=["unregularized", "thresholded"], on=["tiny"], seeds="1",
        check_gradients=True,
    )  # fmt: skip
    return make_plan(config, "cpu").jobs


def test_the_hashes_of_jobs_are_those_that_they_always_had(jobs):
    """None of them holds the version of a library; a change orphans every run that was ever finished."""
    titles = {job.title: job.id for job in jobs.values()}
    assert {title: titles[title] for title in IDS} == IDS


IDS = {
    "train unregularized on tiny, seed 0": "b297beedb6ad8e96",
    "train thresholded on tiny:tiny, seed 0": "f5632395248680a8",
    "train source model on tiny, seed 1000000": "a27f3610de294ed1",
    "gaussian on unregularized, tiny, seed 0": "a24606451d229d7f",
    "transfer-fgsm on thresholded, tiny:tiny, seed 0": "f39febb94d697635",
    "gradient-check on unregularized, tiny, seed 0": "3db6094c32c5663d",
}


def test_a_recorded_job_is_the_one_that_was_planned(jobs):
    for job in jobs.values():
        again = recorded_job(unsealed(sealed(job.manifest)))
        assert again.manifest == job.manifest
        assert (type(again), again.name) == (type(job), job.name)


def test_alpha_is_stated_among_the_parameters_and_is_none_of_them(jobs):
    (job,) = [job for job in jobs.values() if job.title == "train thresholded on tiny:tiny, seed 0"]
    assert isinstance(job, TrainingJob)
    added = job.identity.regularization
    assert (added.alpha, "alpha" in added.parameters) == (0.5, False)
    assert job.manifest["identity"]["regularization"]["parameters"]["alpha"] == 0.5


def test_what_an_attack_does_not_have_is_not_stated(jobs):
    attack = {job.context.attack: job for job in jobs.values() if isinstance(job, AttackJob)}["gaussian"]
    assert not {"range_from", "sources", "file"} & set(attack.manifest["identity"]["attack"])
    assert attack.manifest["identity"]["source"] is None
