"""``rbp compare``: a sentence that can be read, rows for other programs, and refusals."""

import csv
import io
import json
import re


def test_a_comparison_of_runs_and_of_what_is_published(run, rbp):
    run(recipes=["unregularized", "pixel"], seeds="2", suite="tiny")
    shown = rbp("compare", "pixel", "unregularized")
    assert shown.out.startswith("From the runs in runs.\n\ntiny : tiny  suite tiny 1, network small, gray, float32\n")
    text = " ".join(shown.out.split())
    assert "n = 2 seeds: too few for a verdict; 6 needed: rbp run --seeds 6." in text
    assert "By attack: numbers without a verdict" in text
    assert max(map(len, shown.out.splitlines())) <= 80
    table = shown.out[shown.out.index("\nattack ") :].splitlines()[3:]
    assert [line.split()[0] for line in table] == ["gaussian", "transfer-fgsm", "boundary"]
    end = r"[+-]\d?\.\d{2,3}"
    assert all(re.search(rf" [+-]\.\d{{3}} +\[{end}, {end}\]$", line.rstrip()) for line in table)
    piped = rbp("compare", "pixel", "unregularized", "--format", "csv")
    assert piped.err == "From the runs in runs.\n"
    rows = list(csv.DictReader(io.StringIO(piped.out)))
    assert [row["measure"] for row in rows] == ["mean_auc", "gaussian", "transfer-fgsm", "boundary"]
    assert [row["verdict"] for row in rows] == ["too few seeds", "", "", ""]
    board = {row["recipe"]: row for row in csv.DictReader(io.StringIO(rbp("leaderboard", "--format", "csv").out))}
    for column, name in (("difference", "gain"), ("low", "gain_low"), ("high", "gain_high"), ("first", "mean_auc")):
        assert abs(float(rows[0][column]) - float(board["pixel"][name])) < 1e-9
    rbp("publish")
    published = rbp("compare", "pixel", "unregularized", "--published", "--format", "json")
    assert json.loads(published.out)[0]["p_value"] is None
    assert rbp("compare", "pixel", "unregularized", "--published", "--format", "csv").out == piped.out
    assert rbp("compare", "pixel", "unregularized", "--format", "markdown").out.startswith("| suite | suite_version |")


def test_sensitivity_of_runs_and_of_what_is_published(run, rbp):
    run(recipes=["unregularized", "pixel"], seeds="2", suite="tiny")
    shown = rbp("compare", "pixel", "unregularized", "--sensitivity")
    assert shown.out.startswith("From the runs in runs.\n\ntiny : tiny  suite tiny 1, network small, gray, float32\n")
    assert "The difference pixel - unregularized has the sign of the mean AUC's" in " ".join(shown.out.split())
    assert max(map(len, shown.out.splitlines())) <= 80
    rbp("publish")
    for options in ((), ("--published",)):
        views = json.loads(rbp("compare", "pixel", "unregularized", "--sensitivity", "--format", "json", *options).out)
        assert len(views) == 12
        assert {view["first_recipe"] for view in views} == {"pixel"}
        compared = json.loads(rbp("compare", "pixel", "unregularized", "--format", "json", *options).out)
        for name in ("difference", "seeds"):
            assert views[0][name] == compared[0][name]
        assert (views[0]["low"], views[0]["high"]) == (compared[0]["seeds_low"], compared[0]["seeds_high"])
    piped = rbp("compare", "pixel", "unregularized", "--sensitivity", "--format", "csv")
    table = list(csv.DictReader(io.StringIO(piped.out)))
    assert [row["range"] for row in table[-4:]] == ["first quarter", "lower half", "upper half", "whole, from 0"]


def test_refusals(run, rbp):
    run(recipes=["unregularized", "pixel"])
    assert "There is no recipe on this board named 'pixels'. Did you mean pixel?" in (
        rbp("compare", "pixels", "unregularized").refusal
    )
    assert rbp("compare", "pixel", "pixel").refusal == "pixel cannot be compared with itself."
    elsewhere = ("--on", "tiny:digits", "--recipe", "shuffled", "--executor", "inline")
    assert rbp("run", *elsewhere, "--suite", "noise", "--seeds", "1", "--device", "cpu").code == 0
    assert rbp("compare", "pixel", "shuffled").refusal == (
        "No combination and suite on this board has both pixel and shuffled."
    )
    assert "There is no suite on this board" in rbp("compare", "pixel", "shuffled", "--suite", "tin").refusal
    said = " ".join(rbp("compare", "pixel", "unregularized").out.split())
    assert "n = 1 seed: too few for a verdict" in said
