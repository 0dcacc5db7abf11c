"""Tuned entries hold for a size and a network, settings of a task at every size, and a search is checked."""

from pathlib import Path

import pytest

from robustbench_pix.catalogue.tuned import TuningScope
from robustbench_pix.catalogue.workspace import FOLDERS, SHIPPED, Workspace
from robustbench_pix.errors import UserError

RECIPE = """\
summary = "A recipe with entries"
regularizer = "own.py:own"
parameters = { alpha = 1.0, steps = 10 }
search = { alpha = [1.0, 2.0] }

[[tuned]]
task = "mnist"
images = "mnist"
alpha = 2.0

[[tuned]]
task = "mnist"
images = "mnist"
size = "reduced"
network = "resnet18"
network_parameters = { width = 16 }
alpha = 3.0

[[tuned]]
task = "mnist"
size = "*"
alpha = 9.0
steps = 3
"""


@pytest.fixture
def recipe(tmp_path):
    return read(tmp_path, RECIPE)


def read(folder, text):
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models/it.toml").write_text(text)
    return Workspace(folder).recipe("it")


def scope(size="full", images="mnist", network="resnet18", width=16, own=True):
    return TuningScope("mnist", images, size, network, {"width": width}, own)


@pytest.mark.parametrize(
    ("of", "alpha", "untuned"),
    [
        (scope(), 2.0, False),
        (scope(width=64), 2.0, False),
        (scope(width=64, own=False), 9.0, True),
        (scope(network="plain", own=False), 9.0, True),
        (scope("reduced"), 3.0, False),
        (scope("reduced", own=False), 3.0, False),
        (scope("reduced", width=8), 9.0, True),
        (scope("reduced", network="plain"), 9.0, True),
        (scope("medium"), 9.0, True),
        (scope(images="natural"), 9.0, True),
    ],
)
def test_an_entry_holds_for_its_size_and_network_alone(recipe, of, alpha, untuned):
    penalty = recipe.penalty(of)
    assert (penalty.alpha, penalty.parameters) == (alpha, {"steps": 3})
    assert recipe.is_untuned(of) is untuned


def test_settings_are_of_their_task(recipe):
    of = TuningScope("digits", "mnist")
    assert recipe.penalty(of).stated == {"alpha": 1.0, "steps": 10}
    assert recipe.is_untuned(of)


def test_a_point_takes_the_place_of_what_is_tuned(recipe):
    assert recipe.penalty(scope(), {"alpha": 5.0}).stated == {"alpha": 5.0, "steps": 3}
    assert recipe.penalty(scope(), {}).stated == {"alpha": 9.0, "steps": 3}


def test_without_a_search_nothing_is_untuned(tmp_path):
    for search in ("", "search = {}\n"):
        text = RECIPE.replace("search = { alpha = [1.0, 2.0] }\n", search)
        assert not read(tmp_path, text).is_untuned(scope("medium"))
    assert not Workspace(tmp_path).recipe("unregularized").is_untuned(scope())


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("[1.0, 2.0]", "[1.0, -2.0]", "search.alpha: must be a number of at least 0 (got -2.0)"),
        ("[1.0, 2.0]", "[]", "search.alpha: must be a list of at least one value"),
        ("[1.0, 2.0]", "[1, 1.0]", "search.alpha: must be a list of at least one value, and none twice"),
        ("alpha = [1.0, 2.0]", "size = [1]", "search.size: is a field of [[tuned]]"),
        ('network = "resnet18"\n', "", "network_parameters belong to network"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, old, new, finding):
    assert old in RECIPE
    with pytest.raises(UserError) as raised:
        read(tmp_path, RECIPE.replace(old, new))
    assert finding in str(raised.value)


def test_entries_of_ours_for_full_do_not_hold_at_reduced():
    shipped = Workspace(Path("nowhere"))
    found = shipped.recipe("thresholded")
    full, reduced = (found.penalty(TuningScope("mnist", "mnist", size)) for size in ("full", "reduced"))
    assert (full.alpha, full.parameters["threshold"]) == (4.0, 0.2)
    assert (reduced.alpha, reduced.parameters["threshold"]) == (10.0, 0.8)
    for size in ("full", "reduced"):
        assert shipped.recipe("adversarial").penalty(TuningScope("mnist", "mnist", size)).parameters["eps"] == 0.3


def test_entries_of_ours_name_their_source_or_are_settings():
    for path in (SHIPPED / FOLDERS["recipe"]).glob("*.toml"):
        for entry in Workspace(Path("nowhere")).recipe(path.stem).tuned:
            assert entry.is_setting or entry.source, path
