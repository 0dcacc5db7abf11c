"""``rbp corruptions``: means over corruptions, severities and seeds, and the groups by frequency."""

import csv
import io
import json

import numpy as np
import pytest
from scipy import stats

SUITE = """\
version = 1
summary = "Three of them, and noise"
attacks = ["corruption-brightness", "corruption-pixelate", "corruption-contrast", "gaussian"]
"""


OTHERS = ("gaussian", "worst-case")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def measured(workspace, run, rbp):
    (workspace / "attacks/suites/three.toml").write_text(SUITE)
    assert run(suite="three", seeds="2", recipes=["unregularized", "pixel"]).code == 0
    return rows(rbp("leaderboard", "--measurements", "--format", "csv").out)


def test_means_over_corruptions_severities_and_seeds(measured, rbp):
    said = rbp("corruptions", "--format", "csv")
    assert said.err == "From the runs in runs.\n"
    members = {"low": "brightness", "medium": "contrast", "high": "pixelate"}
    table = rows(said.out)
    assert [row["recipe"] for row in table] == ["unregularized", "pixel"]
    for row in table:
        of_recipe = [one for one in measured if one["recipe"] == row["recipe"] and one["attack"] not in OTHERS]
        assert (row["seeds"], row["corruptions"], row["suite"]) == ("2", "3", "three")

        def mean(strengths, attack="", seed="", of_recipe=of_recipe):
            wanted = [one for one in of_recipe if float(one["strength"]) in strengths and attack in one["attack"]]
            return np.mean([float(one["accuracy"]) for one in wanted if seed in one["seed"]])

        assert float(row["clean"]) == pytest.approx(mean([0]), abs=1e-5)
        assert float(row["mean"]) == pytest.approx(mean([1, 2, 3, 4, 5]), abs=1e-5)
        by_seed = [mean([1, 2, 3, 4, 5], seed=seed) for seed in "01"]
        interval = stats.t.interval(0.95, 1, np.mean(by_seed), stats.sem(by_seed))
        assert [float(row["from"]), float(row["to"])] == pytest.approx(interval, abs=1e-4)
        for group, name in members.items():
            assert float(row[group]) == pytest.approx(mean([1, 2, 3, 4, 5], name), abs=1e-5)


def test_groups_and_where_they_are_divided(measured, rbp):
    groups = json.loads(rbp("corruptions", "--groups", "--format", "json").out)
    assert [(row["attack"], row["group"]) for row in groups] == [
        ("corruption-brightness", "low"), ("corruption-contrast", "medium"), ("corruption-pixelate", "high")
    ]  # fmt: skip
    centroids = [row["centroid"] for row in groups]
    assert 0 < centroids[0] < groups[0]["low_up_to"] < centroids[1] < groups[0]["high_above"] < centroids[2] < 1
    text = rbp("corruptions").out
    assert text.splitlines()[2] == "tiny : tiny  suite three 1, network small, gray, float32"
    assert " ".join(text.splitlines()[6].split()) == "recipe seeds clean corrupted low medium high"
    cut_offs = f"low up to {groups[0]['low_up_to']:.3f} of the Nyquist frequency, high above"
    assert text.splitlines()[-1] == f"tiny, gray: {cut_offs} {groups[0]['high_above']:.3f}"
    assert max(map(len, text.splitlines())) <= 80
    assert rbp("corruptions", "--groups").out.splitlines()[2].split() == ["task", "attack", "centroid", "group"]


def test_without_corruptions(run, rbp):
    run()
    refusal = rbp("corruptions").refusal
    assert refusal == "No corruption was measured here; begin with rbp run --suite corruptions."


def test_one_seed_has_no_interval_and_combinations_are_chosen(workspace, run, rbp):
    (workspace / "attacks/suites/three.toml").write_text(SUITE)
    run(suite="three")
    run("--on", "tiny:digits", suite="three")
    table = rows(rbp("corruptions", "--on", "tiny:digits", "--format", "csv").out)
    assert [(row["regularization_data"], row["from"], row["to"]) for row in table] == [("digits", "", "")]
    titles = [line for line in rbp("corruptions").out.splitlines() if "suite three" in line]
    assert [title.split("  ")[0] for title in titles] == ["tiny : digits", "tiny : tiny"]
    assert "Did you mean tiny:digits?" in rbp("corruptions", "--on", "tiny:digit").refusal
