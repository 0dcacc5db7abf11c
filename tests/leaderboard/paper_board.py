"""A board of two blocks with costs, queries, corruptions and a matrix, as tables for a paper show them."""

import itertools

import numpy as np
import pandas as pd

from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.results.columns import COSTS, MEASUREMENTS, QUERIES, typed
from robustbench_pix.results.corruptions import accuracy_rows, group_rows
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.results.transfer_matrix import matrix
from tests.results.test_corruptions import FOUND
from tests.results.test_corruptions import measurements as corrupted
from tests.tables import block, measurements, rows

RECIPES = ("unregularized", "thresholded", "shuffled", "decorrelated", "neural", "pixel")
ATTACKS = ("gaussian", "salt-and-pepper", "transfer-fgsm", "boundary")
MNIST = block("mnist", "mnist", size="reduced", network="resnet18")
BLOCKS = ((block(), tuple(range(7))), (MNIST, (0, 1, 2)))
WILD = {"pixel": "100%_$x$ & #1", "shuffled": "[a]{b}~^\\<>|"}


def board(recipes=RECIPES):
    """Return measurements and leaderboard: seven seeds on digits, three on MNIST, the worst case on digits only."""
    measured, asked = [], []
    for key, (of, seeds) in enumerate(BLOCKS):
        one = measurements(of, recipes, ATTACKS, seeds, key=key)
        halved = (one["attack"] == "salt-and-pepper") & (one["recipe"] == recipes[1])
        one.loc[halved, "accuracy"] = one.loc[halved, "accuracy"].clip(lower=0.7)  # never halves
        late = (one["attack"] == "gaussian") & (one["recipe"] == recipes[1]) & (one["seed"] > 0)
        one.loc[late, "accuracy"] = one.loc[late, "accuracy"].clip(lower=0.7)  # halves under seed 0 only
        worst = one[(one["attack"] == "boundary") & (key == 0)].assign(attack="worst-case", strength_kind="share")
        both = pd.concat([one, worst.assign(strength=worst["strength"] * 2)], ignore_index=True)
        identifiers = both["recipe"] + both["seed"].astype(str) + of["task"]
        measured.append(both.assign(model_id=identifiers, attack_id=identifiers + both["attack"]))
        asked.append(rows(of, recipes, ATTACKS, seeds))
    together = as_published(pd.concat(measured, ignore_index=True), MEASUREMENTS)
    return together, build_leaderboard(settings(together, pd.concat(asked, ignore_index=True)))


def costs(measured):
    """Return the seconds of every run but the attacks on decorrelated."""
    trained = [{"kind": "train", "id": name} for name in measured["model_id"].unique()]
    attacked = [{"kind": "attack", "id": name} for name in measured["attack_id"].unique() if "decorrelated" not in name]
    lines = pd.DataFrame([*trained, *attacked])
    return typed(lines.assign(seconds=10.0 + 13.37 * lines.index, device="cpu", processor="p"), COSTS)


def queries(recipes=RECIPES):
    """Return three strengths of one attack of minimal distance and of one without distances, on digits."""
    lines = []
    for place, recipe in enumerate(name for name in recipes if name != "neural"):
        for attack, strength in itertools.product(("boundary", "square"), (0.5, 1.0, 1.5)):
            line = {"recipe": recipe, "attack": attack, "strength_kind": "l2", "strength": strength, "seeds": 7}
            line |= {
                "n": 1400 + place,
                "found": 700 + 100 * place,
                "query_budget": 1000 + place,
                "restricted_mean_queries": 600.0,
            }
            known = [count for count in CHECKPOINTS if count <= 1000]
            line |= {f"success_at_{count}": count / 1500 + place / 100 + strength / 10 for count in known}
            if attack == "boundary":
                line |= {f"distance_at_{count}": 12 / np.log(count + place) for count in known if count > 100 or place}
            if place:
                line |= {"median_queries": 700.0, "median_low": 500.0, "median_high": np.nan if place == 1 else 1000.0}
            lines.append(block() | line)
    return typed(pd.DataFrame(lines), QUERIES)


def corruptions(recipes=RECIPES):
    """Return accuracies and groups, as ``rbp corruptions`` shows them, on digits."""
    parts = []
    for place, recipe in enumerate(recipes[:3]):
        curves = {
            (seed, name): (0.99, 0.9 - 0.01 * place - weight, 0.7 + 0.02 * seed)
            for seed, (name, weight) in itertools.product((0, 1), (("a", 0.1), ("b", 0.2), ("c", 0.3)))
        }
        parts.append(corrupted(curves).assign(recipe=recipe))
    return pd.DataFrame(accuracy_rows(pd.concat(parts), FOUND)), pd.DataFrame(group_rows(FOUND))


def sources(recipes, victims):
    """Return the matrix of one source a recipe and two of unregularized."""
    named = [("unregularized", "small", 0), ("unregularized", "small", 1)]
    named += [(recipe, "plain", 0) for recipe in recipes]
    random = np.random.default_rng(0)
    boards = [
        pd.DataFrame({"recipe": victims, "status": "complete", "auc_fgsm": random.uniform(0, 1, len(victims))})
        for _ in named
    ]
    boards[-1].loc[0, "auc_fgsm"] = np.nan
    return matrix(named, boards, victims, "fgsm")
