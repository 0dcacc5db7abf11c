"""The points of a search: every combination or a fixed choice, and one budget for every recipe."""

from itertools import product
from pathlib import Path

import pytest

from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.catalogue.tuned import TuningScope
from robustbench_pix.catalogue.workspace import SHIPPED, Workspace
from robustbench_pix.cli.tune import tune
from robustbench_pix.errors import UserError
from robustbench_pix.recipes.building import require_known_parameters
from robustbench_pix.recipes.contract import Recipe
from robustbench_pix.tuning.grid import BUDGET, grid_points, parse_grid
from robustbench_pix.tuning.rule import KEEPS

SHIPPED_RECIPES = sorted(path.stem for path in (SHIPPED / "models").glob("*.toml"))
NOTHING_TO_TUNE = {"unregularized", "statistics"}


def test_values_are_read_as_toml_does():
    assert parse_grid(["a=1, 2.5,true", "b=pixel,'x'"]) == {"a": [1, 2.5, True], "b": ["pixel", "x"]}


@pytest.mark.parametrize("text", ["alpha", "alpha=", "=1", "alpha=1,,2", "a b=1"])
def test_another_form_is_refused(text):
    with pytest.raises(UserError, match="must be PARAMETER=VALUE"):
        parse_grid([text])


def test_points_are_all_combinations_in_their_order():
    search = {"a": [1, 2, 3], "b": ["x", "y"], "c": [0.5]}
    expected = [dict(zip(search, values, strict=True)) for values in product(*search.values())]
    assert grid_points(search, budget=6) == expected


def test_a_larger_grid_is_a_fixed_choice_in_its_order():
    search = {"a": list(range(50)), "b": list(range(40))}
    every = grid_points(search, budget=2000)
    points = grid_points(search, budget=24)
    assert points == grid_points(search, budget=24)
    places = [every.index(point) for point in points]
    assert len(set(places)) == 24
    assert places == sorted(places)
    assert max(places) - min(places) > 1000, "not the first ones"
    assert grid_points({**search, "a": list(range(51))}, budget=24) != points


def test_the_command_line_has_the_same_budget_and_shares():
    options = {option.name: option for option in tune.params}
    assert options["points"].default == BUDGET
    assert (tuple(options["keep"].type.choices), options["keep"].default) == (KEEPS, KEEPS[0])


@pytest.mark.parametrize("name", SHIPPED_RECIPES)
def test_every_shipped_recipe_can_be_searched_within_the_budget(name):
    recipe = Workspace(Path("nowhere")).recipe(name)
    assert (not recipe.search) is (name in NOTHING_TO_TUNE)
    points = grid_points(recipe.search or {}, BUDGET)
    assert name in NOTHING_TO_TUNE or 4 <= len(points) <= BUDGET
    target = regularizers.load(recipe.regularizer) if recipe.regularizer else Recipe
    for point in points if recipe.search else ():
        penalty = recipe.penalty(TuningScope("mnist", "mnist"), point)
        require_known_parameters(target, penalty.parameters, name)
        if recipe.regularizer != "similarity":
            target.check(penalty.parameters, None, 0)


def test_a_control_shares_the_search_without_what_it_fixes():
    shipped = Workspace(Path("nowhere"))
    assert shipped.recipe("shuffled").search == shipped.recipe("thresholded").search
    assert list(shipped.recipe("augmix").search) == ["severity", "divergence"]
    assert list(shipped.recipe("augmix-without-divergence").search) == ["severity"]
    assert list(shipped.recipe("decorrelated").search) == ["alpha"], "its own, since no threshold changes it"
