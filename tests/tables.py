"""Plausible tables without training anything: measurements, and the rows that a leaderboard is asked for."""

import pickle
from functools import cache, wraps

import numpy as np
import pandas as pd

from robustbench_pix.results.board import Board
from robustbench_pix.results.columns import COSTS, KEY, MEASUREMENTS, REQUESTED, SAMPLING, SETTING, typed
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX, RECIPE_COSTS
from robustbench_pix.results.provenance import empty
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import build_aucs
from robustbench_pix.results.statistics.measured import settings

ATTACKS = ("gaussian", "uniform", "salt-and-pepper", "transfer-fgsm", "boundary")
RECIPES = ("unregularized", "pixel", "thresholded", "decorrelated", "shuffled", "statistics", "neural")
CONTROLS = {"decorrelated": "thresholded", "shuffled": "thresholded", "statistics": "thresholded"}
DISTANCE_ONLY = "boundary-50-steps"
REASON = "no file of responses or similarities is named in models/neural.toml"


def made_once(make):
    """Return a function that makes the same once for equal arguments, and gives every caller a copy of its own."""

    @cache
    def made(call):
        arguments, options = pickle.loads(call)
        return pickle.dumps(make(*arguments, **options))

    return wraps(make)(lambda *arguments, **options: pickle.loads(made(pickle.dumps((arguments, options)))))


def block(task="digits", regularization_data="digits", **changed):
    fields = {
        "suite": "blackbox",
        "suite_version": 1,
        "protocol": "strict",
        "task": task,
        "regularization_data": regularization_data,
    }
    fields |= {"size": "full", "colour": "gray", "network": "small", "precision": "float32"}
    return fields | changed


def rows(of=None, recipes=RECIPES, attacks=ATTACKS, seeds=(0, 1, 2)):
    """Return one row a recipe, as asked for; neural is not run."""
    found = []
    for recipe in recipes:
        stopped = {"status": "not run", "note": REASON} if recipe == "neural" else {"status": "", "note": ""}
        asked = {"attacks": ",".join(attacks), "seed_list": ",".join(map(str, seeds))}
        found.append((of or block()) | {"recipe": recipe, "controls": CONTROLS.get(recipe, "")} | asked | stopped)
    return pd.DataFrame(found)


@made_once
def measurements(of=None, recipes=RECIPES, attacks=ATTACKS, seeds=(0, 1, 2), n=500, key=0, **changed):
    """Return a sigmoid accuracy curve a recipe, seed and attack; the steeper, the less a recipe helps."""
    found = []
    for place, recipe in enumerate(name for name in recipes if name != "neural"):
        for seed in seeds:
            for attack in attacks:
                random = np.random.default_rng([key, place, seed, sum(attack.encode())])
                found += _curve(attack, seed, random, n, help_=(0.0, 0.10, 0.22, 0.05, 0.02, 0.01)[place % 6])
                for row in found[-10:]:
                    row.setdefault("recipe", recipe)
    shared = (of or block()) | {"version": "0.1.0", "torch": "2.15.0", "device": "cpu"}
    shared |= {name: f"{name}-0123456789abcdef" for name in _HASHES}
    return typed(pd.DataFrame(found).assign(**(shared | changed)), MEASUREMENTS)


_HASHES = ("model_id", "attack_id", "recipe_hash", "task_hash", "attack_hash", "suite_hash")


def _curve(attack, seed, random, n, help_):
    n = n // 5 if attack.startswith("boundary") else n
    kind = {"boundary": "l2", "transfer-fgsm": "linf", "salt-and-pepper": "probability"}.get(attack, "sigma")
    row = {
        "seed": seed,
        "attack": attack,
        "access": "none",
        "strength_kind": kind,
        "n": n,
        "repetitions": 1,
        "failed": 0,
        "range_from": 0.0,
        "flags": "",
        "chance": 0.1,
    }
    if attack == DISTANCE_ONLY:
        return [row | {"median_squared_l2_per_pixel": 2e-3 * (1 + help_) * random.uniform(0.9, 1.1)}]
    strengths = np.linspace(0, 0.5, 10)
    clean, middle = random.normal(0.95, 0.006), 0.22 + help_ + random.normal(0, 0.012)
    accuracy = 0.1 + (clean - 0.1) / (1 + np.exp((strengths - middle) / 0.05)) * (1 + np.exp(-middle / 0.05))
    correct = np.clip(accuracy * n, 0, n).astype(int)
    middles = (correct[1:] + correct[:-1]) / 2 / n
    areas = [0.0, *np.cumsum(middles * np.diff(strengths))]
    return [
        row | {"strength": strength, "correct": int(right), "accuracy": right / n, "area": area}
        for strength, right, area in zip(strengths, correct, areas, strict=True)
    ]


def costs():
    lines = [{"kind": "train", "id": f"{number:016x}", "what": "pixel on digits", "seconds": 12.5} for number in (2, 1)]
    return typed(pd.DataFrame(lines).assign(device="cpu", processor="A processor"), COSTS)


@made_once
def tables(**options):
    """Return measurements and their leaderboard."""
    measured = measurements(**options)
    asked = rows(**{name: value for name, value in options.items() if name in ("of", "recipes", "attacks", "seeds")})
    return measured, build_leaderboard(settings(measured, asked))


def asked_of(board, measured):
    """Return the requested rows that a complete leaderboard answers."""
    columns = [name for name in board.columns if name.startswith((AUC_PREFIX, DISTANCE_PREFIX))]
    order = [name.removeprefix(AUC_PREFIX).removeprefix(DISTANCE_PREFIX) for name in columns]
    by_setting = {key: set(part["attack"]) for key, part in measured.groupby(SETTING)}
    by_row = {key: sorted(part["seed"].unique()) for key, part in measured.groupby(KEY)}
    attacks = [by_setting.get(key, set(order)) for key in board[SETTING].itertuples(index=False, name=None)]
    seeds = [by_row.get(key, ()) for key in board[KEY].itertuples(index=False, name=None)]
    stopped = board["status"] == "not run"
    return typed(
        board[[*KEY, "controls"]].assign(
            attacks=[",".join(name for name in order if name in here) for here in attacks],
            seed_list=[",".join(map(str, numbers)) for numbers in seeds],
            status=board["status"].where(stopped, ""),
            note=board["note"].where(stopped, ""),
        ),
        REQUESTED,
    )


def as_board(measured, leaderboard, sampling=None, provenance=None, **others):
    """Return the board of these tables; others are costs, queries and pictures."""
    loaders = {name: (lambda table=table: table) for name, table in others.items()}
    asked = asked_of(leaderboard, measured)
    origins = empty if provenance is None else lambda: provenance
    measured = as_published(measured, MEASUREMENTS)
    return Board(measured, asked, typed(pd.DataFrame() if sampling is None else sampling, SAMPLING), loaders, origins)


@made_once
def beside(measured, board):
    """Return the robustness of each recipe under each attack, and what each costs: the more, the longer its name."""
    spent = board.loc[board["seeds"].notna(), KEY]
    lengths = spent["recipe"].str.len()
    spent = spent.assign(training_seconds=lengths * 1.0, attack_seconds=lengths * 100.0, seconds=lengths * 101.0)
    return build_aucs(settings(measured, asked_of(board, measured))), typed(spent, RECIPE_COSTS)
