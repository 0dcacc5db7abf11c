"""``rbp run``, ``leaderboard`` and ``publish``: where a board comes from, what it leaves out, and how it grows."""

import csv
import io
import json

import pytest

from robustbench_pix.results.columns import MEASUREMENTS, names


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def everything(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_dry_run_counts_and_changes_nothing(workspace, run, rbp):
    plan = ("--dry-run", "--format", "csv")
    counted = rows(run(*plan, recipes=["unregularized", "pixel", "neural"], suite="tiny", seeds="2").out)
    assert not (workspace / "runs").exists()
    counts = {row["jobs"]: int(row["count"]) for row in counted}
    attacks = dict.fromkeys(("gaussian", "transfer-fgsm", "boundary"), 4)
    assert counts == {
        "train": 5,
        **attacks,
        "smallest-distance": 4,
        "all": 21,
    }  # two recipes, two seeds, and one source model
    assert all(float(row["bytes"]) > 0 and float(row["seconds"]) >= 0 for row in counted)
    run()
    before = everything(workspace)
    counted = rows(run(*plan, recipes=["unregularized", "pixel"]).out)
    assert {row["jobs"]: row["count"] for row in counted} == {"train": "1", "gaussian": "1", "all": "2"}
    assert everything(workspace) == before
    assert run("--dry-run", recipes=["pixel"]).out.splitlines()[0].split() == ["jobs", "count", "time", "disk", "note"]
    assert rows(run(*plan).out)[-1]["count"] == "0"


def test_nothing_to_show(workspace, rbp):
    for arguments in ((), ("--published",), ("--measurements",), ("--format", "csv")):
        said = rbp("leaderboard", *arguments)
        if said.code == 0:
            assert "As published in " in said.out + said.err  # what the package ships
        else:
            assert said.refusal == "There are no runs in runs and nothing is published; begin with rbp run."


def test_from_runs_then_from_what_is_published(workspace, run, rbp):
    made = run(recipes=["unregularized", "pixel"], seeds="2")
    assert made.code == 0
    shown = rbp("leaderboard")
    assert shown.out.startswith("From the runs in runs.\n\n")
    assert shown.out.removeprefix("From the runs in runs.\n\n") == made.out
    piped = rbp("leaderboard", "--format", "csv")
    assert piped.err == "From the runs in runs.\n"
    assert rbp("publish").out.splitlines()[0] == "wrote leaderboard/measurements.csv"
    published = rbp("leaderboard", "--published", "--format", "csv")
    assert published.err == "As published in leaderboard.\n"
    assert published.out == piped.out == (workspace / "leaderboard/leaderboard.csv").read_text()
    beside = rbp("leaderboard", "--published").out.removeprefix("As published in leaderboard.\n\n")
    assert beside == made.out  # with what aucs.csv and recipe-costs.csv hold
    assert "seconds" in beside
    (workspace / "runs").rename(workspace / "elsewhere")
    assert rbp("leaderboard", "--format", "csv").out == published.out
    assert rbp("leaderboard").out.startswith("As published in leaderboard.\n\n")
    (workspace / "leaderboard/aucs.csv").unlink()
    assert "aucs.csv cannot be read" in rbp("leaderboard").refusal


def test_formats_of_the_board(run, rbp):
    made = run("--format", "json", recipes=["unregularized", "neural"])
    assert made.code == 0  # not run is no failure
    board = {row["recipe"]: row for row in json.loads(made.out)}
    table = {row["recipe"]: row for row in rows(rbp("leaderboard", "--format", "csv").out)}
    assert (board["neural"]["status"], board["neural"]["mean_auc"], board["neural"]["rank"]) == ("not run", None, None)
    assert "rbp show neural" in board["neural"]["note"]
    assert board["unregularized"]["mean_auc"] == float(table["unregularized"]["mean_auc"])
    assert board["unregularized"]["seeds"] == 1
    assert rbp("leaderboard", "--format", "markdown").out.startswith("| suite | suite_version | protocol | task |")


def test_measurements(workspace, run, rbp, monkeypatch):
    run(recipes=["unregularized", "pixel"])
    table = rows(rbp("leaderboard", "--measurements", "--format", "csv").out)
    assert list(table[0]) == names(MEASUREMENTS)
    assert len(table) == 2 * 3
    assert all(float(row["accuracy"]) == pytest.approx(int(row["correct"]) / int(row["n"])) for row in table)
    assert len(json.loads(rbp("leaderboard", "--measurements", "--format", "json").out)) == 6
    text = rbp("leaderboard", "--measurements").out
    heading = ["recipe", "seed", "attack", "strength", "n", "correct", "accuracy"]
    assert text.splitlines()[2] == "tiny : tiny  suite noise 1, network small, gray, float32"
    assert text.splitlines()[4].split() == heading
    run(suite="tiny")
    text = rbp("leaderboard", "--measurements").out
    assert [line.split() for line in text.splitlines()].count(heading) == 2
    assert max(map(len, text.splitlines())) <= 80


def test_filters(workspace, run, rbp):
    run()
    run(suite="tiny")
    run("--on", "tiny:digits")
    board = rows(rbp("leaderboard", "--format", "csv").out)
    assert {(row["suite"], row["regularization_data"]) for row in board} == {
        ("noise", "tiny"),
        ("tiny", "tiny"),
        ("noise", "digits"),
    }
    chosen = rows(rbp("leaderboard", "--suite", "noise", "--on", "tiny:digits", "--format", "csv").out)
    assert [(row["suite"], row["regularization_data"]) for row in chosen] == [("noise", "digits")]
    chosen = rbp("leaderboard", "--measurements", "--suite", "tiny", "--on", "tiny", "--format", "csv").out
    assert {row["attack"] for row in rows(chosen)} == {"gaussian", "transfer-fgsm", "boundary", "worst-case"}
    assert (
        "There is no suite on this board named 'nois'. Did you mean noise?"
        in rbp("leaderboard", "--suite", "nois").refusal
    )
    overview = rbp("leaderboard").out
    assert overview.count("overview of the suite") == 2
    assert "accuracy  a unregularized" not in overview
    assert overview.endswith(": rbp leaderboard --on tiny\n")
    detail = rbp("leaderboard", "--on", "tiny").out  # under both suites
    assert "overview" not in detail
    assert detail.count("accuracy  a unregularized") == 2
    said = rbp("leaderboard", "--on", "tiny:digit").refusal
    assert "There is no combination on this board named 'tiny:digit'. Did you mean tiny:digits?" in said


def test_publishing_twice_gives_the_same_bytes(workspace, run, rbp, every_job_is_done):
    run(recipes=["unregularized", "pixel"], seeds="2", suite="tiny")
    assert rbp("publish").code == 0
    first = everything(workspace / "leaderboard")
    assert {path.name for path in first} >= {"measurements.csv", "leaderboard.csv", "costs.csv", "README.md"}
    assert rbp("publish").code == 0
    assert everything(workspace / "leaderboard") == first
    for folder in (workspace / "runs").glob("*-*"):
        (folder / "spec.json").unlink()
    assert run(recipes=["unregularized", "pixel"], seeds="2", suite="tiny").code == 0
    assert rbp("publish").code == 0
    for path, data in everything(workspace / "leaderboard").items():
        timed = path.name in ("costs.csv", "recipe-costs.csv", "SHA256SUMS")
        assert timed or data == first[path], path.name


def test_publishing_beside_what_is_published(workspace, run, rbp):
    run(recipes=["unregularized", "pixel"])
    rbp("publish")
    (workspace / "runs").rename(workspace / "elsewhere")
    run("--on", "tiny:digits")
    rbp("publish")
    published = rows((workspace / "leaderboard/leaderboard.csv").read_text())
    assert {(row["regularization_data"], row["recipe"]) for row in published} == {
        ("tiny", "unregularized"), ("tiny", "pixel"), ("digits", "unregularized")
    }  # fmt: skip


def test_rows_of_others_that_measured_more_stay(workspace, run, rbp):
    run(recipes=["unregularized", "pixel"], seeds="2")
    rbp("publish")
    published = rows((workspace / "leaderboard/measurements.csv").read_text())
    (workspace / "runs").rename(workspace / "theirs")
    run(recipes=["unregularized", "shuffled"], seeds="1")
    said = rbp("publish")
    assert (said.code, said.err) == (
        0,
        "unregularized on tiny:tiny under noise stays as published: its attacks on seeds 1 were not all measured "
        "here.\n",
    )
    now = rows((workspace / "leaderboard/measurements.csv").read_text())
    assert [row for row in now if row["recipe"] != "shuffled"] == published
    board = {row["recipe"]: row for row in rows((workspace / "leaderboard/leaderboard.csv").read_text())}
    assert board["shuffled"]["gain"] != ""  # paired with their seed 0
    assert board["unregularized"]["seed_list"] == "0,1"
    assert rbp("verify", "leaderboard").code == 0
    run(recipes=["unregularized", "shuffled"], seeds="3")
    assert rbp("publish").err == ""
    board = {row["recipe"]: row for row in rows((workspace / "leaderboard/leaderboard.csv").read_text())}
    assert board["unregularized"]["seed_list"] == "0,1,2"


def test_another_recipe_of_a_published_name_is_refused_unless_it_is_let_go(workspace, run, rbp):
    text = 'summary = "x"\nregularizer = "similarity"\nparameters = { target = "pixel", alpha = 0.1 }\n'
    recipe = workspace / "models/mine.toml"
    recipe.write_text(text)
    run(recipes=["unregularized", "mine"])
    rbp("publish")
    recipe.write_text(text.replace("0.1", "0.2"))
    run(recipes=["unregularized", "mine"])
    assert "let it go with rbp publish --replace mine" in rbp("publish").refusal
    assert rbp("publish", "--replace", "mine").code == 0
    (workspace / "runs").rename(workspace / "theirs")
    recipe.write_text(text)
    run(recipes=["unregularized", "mine"])
    before = everything(workspace / "leaderboard")
    assert "leaderboard holds another mine on tiny:tiny under noise" in rbp("publish").refusal
    assert everything(workspace / "leaderboard") == before


def test_a_changed_recipe_replaces_the_old_one(workspace, run, rbp):
    text = 'summary = "x"\nregularizer = "similarity"\nparameters = { target = "pixel", alpha = 0.1 }\n'
    recipe = workspace / "models/mine.toml"

    def hashes():
        table = rows(rbp("leaderboard", "--measurements", "--format", "csv").out)
        return {row["recipe_hash"] for row in table if row["recipe"] == "mine"}, {row["seed"] for row in table}

    recipe.write_text(text)
    run(recipes=["unregularized", "mine"], seeds="2")
    (old,), _ = hashes()
    recipe.write_text(text.replace('"x"', '"y"'))
    run(recipes=["mine"], seeds="2")
    assert hashes()[0] == {old}  # a summary changes no number
    recipe.write_text(text.replace("0.1", "0.2"))
    said = run(recipes=["mine"], seeds="2")
    assert "4 jobs to do" in said.err
    (new,), seeds = hashes()
    assert (new == old, seeds) == (False, {"0", "1"})
    assert [row["recipe"] for row in rows(rbp("leaderboard", "--format", "csv").out)].count("mine") == 1
    recipe.write_text(text)
    assert "Nothing to do" in run(recipes=["mine"], seeds="2").err
    assert hashes()[0] == {old}


def test_code_of_a_regularizer_belongs_to_its_recipe(workspace, run):
    (workspace / "models/mine.toml").write_text('summary = "x"\nregularizer = "mine.py:mine"\n')
    for factor, jobs in ((1, 2), (2, 2), (1, 0)):
        (workspace / "models/mine.py").write_text(
            f"def mine(step):\n    return step.first[0].square().mean() * {factor}\n"
        )
        said = run(recipes=["mine"]).err
        assert (f"{jobs} jobs to do" if jobs else "Nothing to do") in said


def test_seeds_that_are_added_later_extend_the_row(run, rbp):
    recipes = ["unregularized", "pixel"]
    run(recipes=recipes, seeds="2")
    said = run("--format", "csv", recipes=recipes, seeds="3,5")
    assert {row["seed_list"] for row in rows(said.out)} == {"3,5"}
    board = {row["recipe"]: row for row in rows(rbp("leaderboard", "--format", "csv").out)}
    assert {row["seed_list"] for row in board.values()} == {"0,1,3,5"}
    assert {row["seeds"] for row in board.values()} == {"4"}
    run(recipes=["pixel"], seeds="7,")
    board = {row["recipe"]: row for row in rows(rbp("leaderboard", "--format", "csv").out)}
    assert (board["pixel"]["seed_list"], board["unregularized"]["seed_list"]) == ("0,1,3,5,7", "0,1,3,5")


def test_a_recipe_asked_for_twice_is_one_row(run):
    assert len(rows(run("--format", "csv", "--on", "tiny:tiny", recipes=["pixel", "pixel"]).out)) == 1
