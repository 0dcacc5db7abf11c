"""A short run of the benchmark of changed files: nothing goes unnoticed, and nothing ends in a traceback."""

import numpy as np
import pytest

from benchmarks.changes import CHANGES, another
from benchmarks.tampering import corrupted, forged, made
from tests.finished_jobs import kept


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, finished_jobs_folder):
    with kept(finished_jobs_folder):
        return made(tmp_path_factory.mktemp("tampering") / "workspace")


def test_corruptions_are_noticed_and_mended(workspace):
    rows = corrupted(workspace, 4, seed=1)
    assert sum(row["tried"] for row in rows) == 4
    for row in rows:
        counts = row["noticed"], row["mended"], row["unnoticed"], row["traceback"], row["silently another board"]
        assert counts == (row["tried"], row["tried"], 0, 0, 0), row


def test_forgeries_are_noticed_or_stated_as_underivable(workspace):
    rows = forged(workspace / "leaderboard", 4, seed=1)
    assert sum(row["tried"] for row in rows) == 4
    for row in rows:
        assert (row["by sums"], row["unnoticed"], row["traceback"]) == (row["tried"], 0, 0), row


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_leaves_other_files(tmp_path, name):
    texts = {"attack-a/spec.json": '{\n "a": 1\n}\n', "attack-b/spec.json": '{\n "a": 2\n}\n'}
    for place, text in texts.items():
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(text)
    assert CHANGES[name](tmp_path / "attack-a/spec.json", np.random.default_rng(0))
    left = {place: (tmp_path / place).read_bytes() for place in texts if (tmp_path / place).exists()}
    assert left != {place: text.encode() for place, text in texts.items()}


@pytest.mark.parametrize("value", [True, 3, 0.0, 0.5, "text", "1", "", None, []])
def test_another_value_is_another_one(value):
    assert another(value, np.random.default_rng(0)) != value
