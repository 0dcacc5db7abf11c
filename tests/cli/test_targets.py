"""``rbp targets``: two targets on the same images, in a table, as rows and as a picture."""

import json

import numpy as np
import pytest

from robustbench_pix.catalogue.registries import datasets
from robustbench_pix.regularizers.similarity import pixel_similarity
from tests.regularizers.test_recorded_runs import IMAGES, RESPONSES, recorded


@pytest.fixture(autouse=True)
def _a_recording(monkeypatch):
    monkeypatch.setitem(datasets.registered, "recorded", recorded(RESPONSES))


def test_two_targets_are_compared_over_the_pairs_of_the_images(rbp):
    rows = json.loads(rbp("targets", "pixel", "v1-model", "--on", "tiny", "--format", "json").out)
    assert [row["recipe"] for row in rows] == ["pixel", "v1-model"]
    assert rows[0]["correlation"] == rows[1]["correlation"] > 0.5
    assert [row["pairs"] for row in rows] == [780, 780]
    assert sum(rows[0]["histogram"]) == 780
    said = rbp("targets", "pixel", "v1-model", "--on", "tiny").out
    assert f"pixel and v1-model: r = {rows[0]['correlation']:.3f} over 780 pairs of tiny:tiny" in said


def test_numbers_of_a_target_against_numpy(rbp, workspace):
    (row, same) = json.loads(rbp("targets", "pixel", "pixel", "--on", "tiny:recorded", "--format", "json").out)
    assert row == same
    assert row["correlation"] == pytest.approx(1)
    from robustbench_pix.data.preparation import regularization_data

    data = regularization_data(recorded(RESPONSES)(None, colour="gray"), count=40, colour="gray", size=(8, 8))
    values = pixel_similarity(data.images).numpy()[np.triu_indices(len(IMAGES), 1)]
    assert row["mean"] == pytest.approx(values.mean(), abs=1e-6)
    assert row["deviation"] == pytest.approx(values.std(), abs=1e-6)
    assert row["above"] == pytest.approx((values > 0.8).mean())
    assert row["histogram"] == np.histogram(values, bins=20, range=(-1, 1))[0].tolist()


def test_a_neural_target_has_noise_ceilings_and_a_shuffled_one_none(rbp, workspace):
    (workspace / "models/mixed.toml").write_text(
        'summary = "x"\nregularizer = "similarity"\ncontrols = "neural"\nparameters = { shuffled = true }\n'
    )
    neural, mixed = json.loads(rbp("targets", "neural", "mixed", "--on", "tiny:recorded", "--format", "json").out)
    for name in ("split_half", "spearman_brown", "single_trial", "sessions_lower", "sessions_upper"):
        assert neural[name] is not None
        assert mixed[name] is None
    assert abs(neural["correlation"]) < 0.3
    said = rbp("targets", "neural", "mixed", "--on", "tiny:recorded").out
    assert f"neural: noise ceiling split half {neural['split_half']:.3f}, spearman brown" in said


def test_what_has_no_target_is_told(rbp):
    assert rbp("targets", "unregularized", "pixel").refusal == "The recipe unregularized has no target of similarities."
    assert rbp("targets", "statistics", "pixel").refusal == "The recipe statistics has no target of similarities."
    said = rbp("targets", "neural", "pixel", "--on", "tiny").refusal
    assert said.startswith("The recipe neural has no target on tiny:tiny: it needs neural responses or similarities")


def test_a_figure_is_the_same_bytes_twice(rbp, workspace):
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg", "c.png"):
        assert rbp("targets", "pixel", "neural", "--on", "tiny:recorded", "--figure", name).code == 0
    assert (workspace / "a.svg").read_bytes() == (workspace / "b.svg").read_bytes()
    assert (workspace / "c.png").read_bytes().startswith(b"\x89PNG")
    said = rbp("targets", "pixel", "neural", "--on", "tiny:recorded", "--figure", "a.gif").refusal
    assert said == "--figure must name a file of .png, .pdf, .svg (got a.gif)."
