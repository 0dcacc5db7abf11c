"""Arguments of the Python side: what is meant is understood, and what is not is one sentence."""

import numpy as np
import pytest

import robustbench_pix as rbp
from robustbench_pix import api
from robustbench_pix.arguments import seeds_text
from tests.workspaces import tiny_workspace


@pytest.fixture
def asked(monkeypatch):
    """Configurations and resources, instead of their being carried out."""
    seen = []
    monkeypatch.setattr(api, "_measured", lambda *arguments: seen.append(arguments))
    return seen


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (np.int64(2), (0, 1)),
        (2, (0, 1)),
        ("2", (0, 1)),
        ([np.int64(5)], (5,)),
        (np.arange(3), (0, 1, 2)),
        (range(2, 4), (2, 3)),
        ("4,", (4,)),
    ],
)
def test_seeds_of_every_kind(tmp_path, asked, seeds, expected):
    rbp.run(suite="tiny", seeds=seeds, workspace=tiny_workspace(tmp_path), on="tiny", recipes="thresholded")
    ((config, *_),) = asked
    assert config.seeds == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seeds": 1.0}, r"seeds must be a count such as 3 or a list of whole numbers \(got 1\.0\)\."),
        ({"seeds": None}, r"seeds must be a count .* \(got None\)\."),
        ({"seeds": True}, r"seeds must be a count .* \(got True\)\."),
        ({"seeds": [1.5]}, r"seeds must be a count .* \(got \[1\.5\]\)\."),
        ({"seeds": []}, r"seeds must be a count .* \(got \[\]\)\."),
        ({"recipes": None}, r"recipes must be a text or a list of texts \(got None\)\."),
        ({"recipes": [3]}, r"recipes must be a text or a list of texts \(got \[3\]\)\."),
        ({"recipes": []}, r"recipes must be a text or a list of texts \(got \[\]\)\."),
        ({"on": [("a", "b")]}, r"on must be a text or a list of texts \(got \[\('a', 'b'\)\]\)\."),
        ({"on": 3}, r"on must be a text or a list of texts \(got 3\)\."),
        ({"workers": -1}, r"workers must be a whole number of at least 1 \(got -1\)\."),
        ({"workers": 0}, r"workers must be a whole number of at least 1 \(got 0\)\."),
        ({"workers": 1.5}, r"workers must be a whole number of at least 1 \(got 1\.5\)\."),
        ({"suite": None}, r"suite must be a text \(got None\)\."),
        ({"size": 3}, r"size must be a text \(got 3\)\."),
        ({"workspace": 3}, r"workspace must be a path \(got 3\)\."),
        ({"data_root": 3}, r"data_root must be a path \(got 3\)\."),
        ({"precision": None}, r"The precision must be float32 or "),
        ({"executor": None}, r"The executor must be processes or inline or dask, not None\."),
    ],
)
def test_a_wrong_type_is_one_sentence(tmp_path, asked, wrong, sentence):
    options = {"suite": "tiny", "workspace": tiny_workspace(tmp_path), "on": "tiny", "recipes": "thresholded", **wrong}
    with pytest.raises(rbp.UserError, match=f"^{sentence}"):
        rbp.run(**options)
    assert not asked


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model": print}, r"model must be a text \(got <built-in function print>\)\."),
        ({"task": None}, r"task must be a text \(got None\)\."),
        ({"weights": {"a": 1}}, r"weights must be a path \(got \{'a': 1\}\)\."),
        ({"name": 3}, r"name must be a text \(got 3\)\."),
        ({"workers": "two"}, r"workers must be a whole number of at least 1 \(got 'two'\)\."),
    ],
)
def test_a_wrong_type_for_an_external_model_is_one_sentence(tmp_path, asked, wrong, sentence):
    options = {"model": "a.b:c", "task": "tiny", "suite": "tiny", "workspace": tiny_workspace(tmp_path), **wrong}
    with pytest.raises(rbp.UserError, match=f"^{sentence}"):
        rbp.evaluate(**options)
    assert not asked


def test_what_is_long_is_not_shown():
    with pytest.raises(rbp.UserError, match=r"\(got a list\)\.$"):
        seeds_text("seeds", [0.5] * 1000)
