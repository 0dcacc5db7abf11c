"""What fails while jobs run: a regularizer, a run folder, the disk. The rest is done, and nothing finished is lost."""

import csv
import errno
import io
import json

import pytest

from robustbench_pix.runs.manifest import sealed

REGULARIZERS = """\
import torch

def nan(step):
    return step.first[0].mean() * float("nan")

def raises(step):
    raise ValueError("no idea")

def vector(step):
    return step.first[0].mean(dim=(1, 2, 3))

def number(step):
    return 1.0

def good(step):
    return torch.nn.functional.mse_loss(step.first[0], step.second[0])

def greedy(step, *, appetite):
    return step.first[0].mean()
"""
REASONS = {
    "nan": "the penalty was not finite in epoch 1",
    "raises": "the recipe's penalty raised ValueError: no idea",
    "vector": "the recipe's penalty returned a tensor of shape (16,) where a scalar tensor is expected",
    "number": "the recipe's penalty returned a float where a scalar tensor is expected",
}


@pytest.fixture
def regularizers(workspace):
    (workspace / "models/bad.py").write_text(REGULARIZERS)
    for name in (*REASONS, "good", "greedy"):
        text = f'summary = "x"\nregularizer = "bad.py:{name}"\nparameters = {{ alpha = 0.1 }}\n'
        (workspace / f"models/{name}.toml").write_text(text)


def board(text):
    return {row["recipe"]: row for row in csv.DictReader(io.StringIO(text))}


def folders(workspace):
    return {path.name: (path / "spec.json").stat().st_mtime_ns for path in (workspace / "runs").glob("*-*")}


def test_regularizers_that_fail_leave_the_others_alone(regularizers, run, rbp, every_job_is_done):
    recipes = ("unregularized", *REASONS, "good")
    said = run("--format", "csv", recipes=recipes, seeds="2")
    assert said.code == 1
    rows = board(said.out)
    assert set(rows) == set(recipes)
    for name, reason in REASONS.items():
        assert (rows[name]["status"], rows[name]["note"]) == ("failed", reason)
        assert f"train {name} on tiny:tiny, seed 1: failed, {reason}" in said.err
        assert rows[name]["mean_auc"] == rows[name]["rank"] == ""
    for name in ("unregularized", "good"):
        assert (rows[name]["status"], rows[name]["seeds"]) == ("complete", "2")
    assert "Traceback" not in said.err
    shown = rbp("leaderboard")
    assert shown.code == 0
    assert "raises: failed - the recipe's penalty raised ValueError: no idea" in " ".join(shown.out.split())


def test_a_failed_recipe_is_tried_again_once_it_is_mended(regularizers, workspace, run):
    assert run(recipes=["raises"]).code == 1
    (workspace / "models/bad.py").write_text(
        REGULARIZERS.replace('raise ValueError("no idea")', "return nan(step) * 0 + 1")
    )
    assert board(run("--format", "csv", recipes=["raises"]).out)["raises"]["note"] == REASONS["nan"]
    (workspace / "models/bad.py").write_text(REGULARIZERS.replace('raise ValueError("no idea")', "return good(step)"))
    said = run("--format", "csv", recipes=["raises"])
    assert (said.code, board(said.out)["raises"]["status"]) == (0, "complete")


def test_parameters_that_a_regularizer_does_not_take(regularizers, workspace, run):
    (workspace / "models/good.toml").write_text(
        'summary = "x"\nregularizer = "bad.py:good"\nparameters = { alpha = 1, layer = 2 }\n'
    )
    refusal = run("--format", "csv", recipes=["unregularized", "good"]).refusal
    assert refusal == "The recipe 'good' has no parameter layer; it takes: none."
    assert not list((workspace / "runs").glob("train-*"))  # It is found before anything is trained.


def test_in_processes_of_their_own_as_well(regularizers, run):
    said = run(
        "--format", "csv", "--executor", "processes", "--workers", "1", recipes=["unregularized", "raises", "good"]
    )
    rows = board(said.out)
    assert said.code == 1
    assert [rows[name]["status"] for name in ("unregularized", "raises", "good")] == ["complete", "failed", "complete"]
    assert rows["raises"]["note"] == REASONS["raises"]


def truncate(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("kind", "damage", "words"),
    [
        ("train", truncate, "weights.safetensors has changed"),
        ("train", lambda folder: (folder / "log.csv").unlink(), "log.csv is missing"),
        ("attack", lambda folder: (folder / "examples.parquet").unlink(), "examples.parquet is missing"),
        ("attack", lambda folder: (folder / "spec.json").write_text('{"files": '), "spec.json cannot be read"),
        ("attack", lambda folder: (folder / "spec.json").write_bytes(b"\xff"), "spec.json cannot be read"),
    ],
)
def test_a_damaged_run_is_named_and_made_again(workspace, run, rbp, every_job_is_done, kind, damage, words):
    before = run("--format", "csv").out
    folder = next((workspace / "runs").glob(f"{kind}-*"))
    damage(folder)
    shown = rbp("show", folder.name)
    assert (shown.code, f"damaged: {words}" in " ".join(shown.out.split())) == (0, True)
    again = run("--format", "csv")
    assert again.code == 0
    assert f"runs/{folder.name} is damaged ({words}); it is made again." in again.err
    assert "1 job to do, 1 finished before and kept." in again.err
    assert again.out == before
    assert "whole" in rbp("show", folder.name).out


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_one_sentence_and_what_is_finished_stays(
    workspace, run, monkeypatch, every_job_is_done, error
):
    written = 0

    def sync(path):
        nonlocal written
        written += path.name == "spec.json"
        if written > 2:
            raise OSError(error, "No room at all", str(path))

    with monkeypatch.context() as full:
        full.setattr("robustbench_pix.runs.store.sync", sync)
        said = run(seeds="3")
    assert said.code == 1
    assert said.err.splitlines()[-1] == (
        "Error: Could not write to runs: No room at all; make room or give another --workspace, and run the same "
        "command again: what was finished is kept."
    )
    kept = folders(workspace)
    assert len(kept) == 2
    assert not list((workspace / "runs").glob(".scratch-*"))
    again = run(seeds="3")
    assert (again.code, "4 jobs to do, 2 finished before and kept." in again.err) == (0, True)
    assert kept.items() <= folders(workspace).items()


def test_a_disk_that_is_full_from_the_start(run, monkeypatch):
    def write_text(path, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("robustbench_pix.runs.plan_store.Path.write_text", write_text)
    assert run().refusal.startswith("Could not write to runs: No space left on device; make room")


def test_a_run_that_is_stopped_goes_on(workspace, run, every_job_is_done, monkeypatch):
    from robustbench_pix.runs import worker

    done = []

    def stop(*arguments, **options):
        done.append(1)
        if len(done) > 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    original = worker._do
    monkeypatch.setattr(worker, "_do", stop)
    said = run(seeds="3")
    assert said.code == 130
    assert said.err.splitlines()[-1] == "Stopped. What was finished is kept; the same command goes on from there."
    monkeypatch.undo()
    assert len(list((workspace / "runs").glob("*-*"))) == 2


def test_plans_name_what_failed(regularizers, workspace, run):
    run(recipes=["raises"])
    plans = [json.loads(path.read_text()) for path in (workspace / "runs/plans").glob("*.json")]
    assert [list(row["failed"].values()) for plan in plans for row in plan["rows"]] == [[REASONS["raises"]]]


@pytest.mark.parametrize("file", ["spec.json", "examples.parquet"])
def test_a_damaged_run_stops_no_board_and_a_dry_run_leaves_it(workspace, run, rbp, file):
    run(seeds="2")
    path = sorted((workspace / "runs").glob("attack-*"))[0] / file
    path.write_bytes(b"[")
    board = rbp("leaderboard", "--format", "csv")
    assert board.code == 0
    assert rbp("publish").code == 0
    if file == "examples.parquet":
        assert run("--dry-run", seeds="2").code == 0
        assert path.read_bytes() == b"["


def changed(change):
    """Return what changes a value of a plan as an editor would."""

    def damage(plan):
        content = json.loads(plan.read_text())
        change(content)
        plan.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")

    return damage


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda plan: plan.write_text("{"), "Expecting property name"),
        (lambda plan: plan.write_text(""), "Expecting value"),
        (lambda plan: plan.write_bytes(b"\xff"), "'utf-8' codec can't decode byte"),
        (lambda plan: plan.write_text("[]"), "it is no object"),
        (changed(lambda content: content.update(written=1e12)), "it has changed since it was written"),
        (changed(lambda content: content["rows"][0].update(failed={"a": "b"})), "it has changed since"),
        (changed(lambda content: content["rows"][0]["facts"].update(recipe="better")), "it has changed since"),
        (changed(lambda content: content["rows"][0].pop("cells")), "it has changed since"),
        (changed(lambda content: content.pop("digest")), "it was recorded by another version"),
        (
            lambda plan: plan.write_text(sealed({"written": 1.0, "rows": []})),
            "its name is that of another plan",
        ),
    ],
)
def test_a_damaged_plan_is_named_set_aside_and_written_anew(workspace, run, rbp, damage, why):
    run()
    before = rbp("leaderboard", "--format", "csv").out
    run(recipes=["pixel"])
    plan = max((workspace / "runs/plans").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    damage(plan)
    content = plan.read_bytes()
    said = rbp("leaderboard", "--format", "csv")
    assert (said.code, said.out) == (0, before)
    assert f"The plan runs/plans/{plan.name} cannot be used ({why}" in said.err
    assert f"it is set aside as {plan.stem}.set-aside" in said.err
    assert plan.with_suffix(".set-aside").read_bytes() == content
    assert "cannot be used" not in rbp("leaderboard").err
    assert run(recipes=["pixel"]).code == 0
    assert plan.exists()
    assert not plan.with_suffix(".set-aside").exists()
    assert "pixel" in rbp("leaderboard", "--format", "csv").out


def test_the_newest_plan_holds_whatever_the_clock_says(workspace, run, rbp, monkeypatch):
    text = 'summary = "x"\nregularizer = "similarity"\nparameters = {{ target = "pixel", alpha = {} }}\n'
    shown = []
    for alpha, clock in ((0.1, 2e9), (0.2, 1e9)):
        (workspace / "models/mine.toml").write_text(text.format(alpha))
        with monkeypatch.context() as patch:
            patch.setattr("robustbench_pix.runs.plan_store.time.time", lambda clock=clock: clock)
            said = run("--format", "csv", recipes=["mine"])
        shown.append(said.out)
    assert shown[0] != shown[1]
    assert rbp("leaderboard", "--format", "csv").out == shown[1]
    assert "mine on tiny:tiny under noise gives way to another one of its name (" in said.err


def test_reasons_are_no_markup_on_a_terminal(regularizers, workspace, run, monkeypatch):
    text = REGULARIZERS.replace('"no idea"', '"closing [/x] tag"')
    (workspace / "models/bad.py").write_text(text)
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = run(recipes=["raises"])
    assert said.code == 1
    assert "closing [/x] tag" in said.err
