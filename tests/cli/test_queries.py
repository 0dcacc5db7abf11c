"""``rbp queries``: a table that can be read, and all points for other programs."""

import csv
import io

import pytest

SQUARE = """
summary = "Random squares"
attack = "square"
access = "scores"
strength = "linf"
strengths = { default = [0.0, 0.1, 0.3] }
evaluation = { images = 8, budget = 200 }
"""


@pytest.fixture
def ran(run, workspace):
    (workspace / "attacks/square.toml").write_text(SQUARE)
    (workspace / "attacks/suites/score.toml").write_text('version = 1\nsummary = "One"\nattacks = ["square"]\n')
    assert run(suite="score").code == 0


def test_the_table_shows_one_strength_and_csv_all(ran, rbp):
    shown = rbp("queries").out
    assert "square, linf 0.1" in shown
    assert "at most 200 queries an image" in shown
    assert "unregularized" in shown
    assert max(map(len, shown.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(rbp("queries", "--format", "csv").out)))
    assert [row["strength"] for row in rows] == ["0.1", "0.3"]
    assert all(row["success_at_10"] for row in rows)
    assert rows[0]["success_at_200"]
    assert not rows[0]["success_at_300"]


def test_what_was_not_run_is_refused(rbp, run):
    assert "begin with rbp run --suite decision" in rbp("queries").refusal
    run()
    assert "begin with" in rbp("queries", "--suite", "noise").refusal


def test_blocks_that_differ_in_their_size_only_stand_apart(ran, rbp, run, workspace):
    task = workspace / "models/tasks/tiny.toml"
    task.write_text(f"{task.read_text()}\n[sizes.smaller]\nepochs = 1\n")
    assert run("--size", "smaller", suite="score").code == 0
    shown = rbp("queries").out
    assert shown.count("tiny : digits") + shown.count("tiny : tiny") == 2
    assert shown.count("size smaller") == 1
    assert max(map(len, shown.splitlines())) <= 80
