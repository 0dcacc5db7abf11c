from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.columns import SETTING, names
from robustbench_pix.results.derived_columns import LEADERBOARD
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, DISTANCE_ONLY, REASON, RECIPES, block, measurements, rows

ALL = (*ATTACKS, DISTANCE_ONLY)


def brute_force(measured, asked):
    """Recompute one block with loops and dictionaries alone; a row a recipe, by name."""
    models = {}
    for row in measured.to_dict("records"):
        models.setdefault((row["recipe"], row["seed"], row["attack"]), []).append(row)
    attacks = asked["attacks"].iloc[0].split(",")
    distances = {attack for (_, _, attack), lines in models.items() if np.isnan(lines[0]["strength"])}
    curved = [attack for attack in attacks if attack not in distances]
    mean_aucs, found = {}, {}
    for row in asked.to_dict("records"):
        name, seeds = row["recipe"], [int(seed) for seed in row["seed_list"].split(",")]
        complete = [seed for seed in seeds if all((name, seed, attack) in models for attack in curved)]
        table, clean = {}, []
        for seed in complete:
            table[seed] = {}
            for attack in curved:
                last = max(models[name, seed, attack], key=lambda line: line["strength"])
                table[seed][attack] = last["area"] / last["strength"]
            largest = max((models[name, seed, attack] for attack in curved), key=lambda lines: lines[0]["n"])
            clean.append(next(line["correct"] / line["n"] for line in largest if line["strength"] == 0))
        mean_aucs[name] = {seed: np.mean(list(table[seed].values())) for seed in complete}
        out = {"seeds": len(complete), "clean_accuracy": np.mean(clean) if clean else np.nan}
        out["mean_auc"] = np.mean(list(mean_aucs[name].values())) if complete else np.nan
        for attack in curved if complete else []:
            out[f"auc_{attack}"] = np.mean([table[seed][attack] for seed in complete])
        if len(complete) > 1:
            out |= dict(zip(("clean_accuracy_low", "clean_accuracy_high"), _interval(clean), strict=True))
            out |= dict(zip(("mean_auc_low", "mean_auc_high"), _interval(list(mean_aucs[name].values())), strict=True))
        found[name] = out
    better = _better(mean_aucs)
    for name, out in found.items():
        if any(name in pair for pair in better):
            out["rank"] = 1 + sum(name in pair and best not in (None, name) for pair, best in better.items())
        differences = _differences(mean_aucs, name, "unregularized")
        if name != "unregularized" and differences:
            out["gain"] = np.mean(differences)
            out["gain_low"], out["gain_high"] = _interval(differences)
    return found


def _better(mean_aucs):
    """Return which of two recipes is better, or None, of every pair with six common seeds; Holm's method, by steps."""
    tests = {}
    for pair in combinations(mean_aucs, 2):
        differences = _differences(mean_aucs, *pair)
        if len(differences) >= 6:
            tests[pair] = stats.ttest_1samp(differences, 0).pvalue, pair[0 if np.mean(differences) > 0 else 1]
    found, going = {}, True
    for step, pair in enumerate(sorted(tests, key=tests.get)):
        going = going and tests[pair][0] <= 0.05 / (len(tests) - step)
        found[pair] = tests[pair][1] if going else None
    return found


def _differences(mean_aucs, name, other):
    return [mean_aucs[name][seed] - mean_aucs[other][seed] for seed in mean_aucs[name] if seed in mean_aucs[other]]


def _interval(values):
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) < 1e-14:
        return np.mean(values), np.mean(values)
    return stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))


@pytest.mark.parametrize("key", range(6))
def test_leaderboard_is_what_loops_compute(key):
    random = np.random.default_rng(key)
    seeds = tuple(range(random.integers(1, 9)))
    measured = measurements(attacks=ALL, seeds=seeds, key=key)
    models = measured[["recipe", "seed", "attack"]].drop_duplicates()
    lost = models.sample(frac=0.05, random_state=key).itertuples(index=False, name=None)
    gone = set(lost) if key % 2 else set()
    measured = measured[[k not in gone for k in zip(measured.recipe, measured.seed, measured.attack, strict=True)]]
    asked = rows(attacks=ALL, seeds=seeds)
    board = build_leaderboard(settings(measured.sample(frac=1, random_state=key), asked))
    expected = brute_force(measured, asked)
    for row in board.to_dict("records"):
        want = expected[row["recipe"]]
        numeric = ["clean_accuracy", "mean_auc", "gain", "gain_low", "gain_high", "rank"]
        numeric += [f"auc_{attack}" for attack in ATTACKS] if want["seeds"] else []
        numeric += (
            ["clean_accuracy_low", "clean_accuracy_high", "mean_auc_low", "mean_auc_high"] if want["seeds"] != 1 else []
        )
        for name in numeric if row["status"] != "not run" and want["seeds"] else ["mean_auc", "rank", "gain"]:
            value = np.nan if pd.isna(row[name]) else row[name]
            assert value == pytest.approx(want.get(name, np.nan), nan_ok=True, rel=1e-9), (row["recipe"], name)
    scored = board[board["mean_auc"].notna()]
    order = list(zip(scored["rank"].fillna(99), -scored["mean_auc"], strict=True))
    assert order == sorted(order)
    assert board["mean_auc"].isna().tolist() == sorted(board["mean_auc"].isna())


def test_columns_and_kinds():
    board = build_leaderboard(settings(measurements(attacks=ALL), rows(attacks=ALL)))
    aucs = [f"auc_{attack}" for attack in ATTACKS]
    retained = [f"relative_auc_{attack}" for attack in ATTACKS]
    assert list(board.columns) == [*names(LEADERBOARD), *aucs, *retained, f"distance_{DISTANCE_ONLY}"]
    assert {str(board[column].dtype) for column in ("suite_version", "seeds", "rank")} == {"Int64"}
    assert {str(board[column].dtype) for column in ("mean_auc", "p_value", aucs[0])} == {"float64"}
    assert board["status"].tolist() == ["complete"] * 6 + ["not run"]


def test_distance_is_the_mean_over_seeds_and_in_no_score():
    measured = measurements(attacks=ALL)
    board = build_leaderboard(settings(measured, rows(attacks=ALL))).set_index("recipe")
    pixel = measured[(measured["recipe"] == "pixel") & (measured["attack"] == DISTANCE_ONLY)]
    assert board.loc["pixel", f"distance_{DISTANCE_ONLY}"] == pytest.approx(pixel["median_squared_l2_per_pixel"].mean())
    without = build_leaderboard(settings(measured[measured["attack"] != DISTANCE_ONLY], rows())).set_index("recipe")
    assert board["mean_auc"].equals(without["mean_auc"])


def test_only_distances_give_no_score():
    board = build_leaderboard(settings(measurements(attacks=(DISTANCE_ONLY,)), rows(attacks=(DISTANCE_ONLY,))))
    assert board["mean_auc"].isna().all()
    assert board["rank"].isna().all()
    assert board.set_index("recipe").loc["pixel", ["status", f"distance_{DISTANCE_ONLY}"]].notna().all()


def test_one_seed_has_wilson_and_nothing_else():
    measured = measurements(seeds=(4,))
    board = build_leaderboard(settings(measured, rows(seeds=(4,)))).set_index("recipe")
    pixel = board.loc["pixel"]
    clean = measured[(measured["recipe"] == "pixel") & (measured["attack"] == "gaussian") & (measured["strength"] == 0)]
    expected = stats.binomtest(int(clean["correct"].iloc[0]), 500).proportion_ci(0.95, "wilson")
    assert (pixel["clean_accuracy_low"], pixel["clean_accuracy_high"]) == pytest.approx(tuple(expected))
    assert pixel[["mean_auc_low", "mean_auc_high", "gain_low", "gain_high", "p_value"]].isna().all()
    assert (pixel["seeds"], pixel["seed_list"], pixel["verdict"], pixel["group"]) == (1, "4", "too few seeds", "")
    assert board[["rank", "rank_low", "rank_high"]].isna().all(axis=None)
    assert pixel["interval"] == "Wilson over test images for the clean accuracy, none for the rest: one seed"


def test_equal_recipes_share_a_rank_and_gain_nothing():
    measured = measurements(recipes=("unregularized",), seeds=range(6))
    twin = measured.assign(recipe="twin")
    asked = rows(recipes=("twin", "unregularized"), seeds=range(6))
    board = build_leaderboard(settings(pd.concat([measured, twin]), asked))
    assert board["recipe"].tolist() == ["twin", "unregularized"]
    assert board["rank"].tolist() == [1, 1]
    assert board.loc[0, ["gain", "gain_low", "gain_high", "p_value"]].tolist() == [0, 0, 0, 1]


def test_rounding_decides_no_rank():
    areas = {"one": (0.1, 0.2, 0.3), "two": (0.3, 0.2, 0.1)}
    template = measurements(recipes=("pixel",), attacks=("a", "b", "c"), seeds=range(6))
    parts = []
    for recipe, values in areas.items():
        area = template["attack"].map(dict(zip("abc", values, strict=True))) * template["strength"]
        parts.append(template.assign(recipe=recipe, area=area))
    board = build_leaderboard(
        settings(pd.concat(parts), rows(recipes=tuple(areas), attacks=("a", "b", "c"), seeds=range(6)))
    )
    assert board["rank"].tolist() == [1, 1]


def test_gaps_are_told():
    measured = measurements()
    lost = (measured["recipe"] == "pixel") & (measured["attack"] == "boundary") & (measured["seed"] == 2)
    lost |= (measured["recipe"] == "shuffled") & (measured["attack"] == "uniform")
    lost |= measured["recipe"].isin(["statistics", "decorrelated"])
    asked = rows()
    asked.loc[asked["recipe"] == "statistics", "note"] = "training diverged"
    board = build_leaderboard(settings(measured[~lost], asked)).set_index("recipe")
    assert board.loc["pixel", ["status", "note"]].tolist() == ["incomplete", "missing: boundary (seed 2)"]
    assert board.loc["pixel", ["seeds", "seed_list"]].tolist() == [2, "0,1"]
    assert board.loc["shuffled", ["status", "note"]].tolist() == ["incomplete", "missing: uniform (seeds 0, 1, 2)"]
    assert board.loc["shuffled", ["mean_auc", "rank"]].isna().all()
    assert board.loc["shuffled", ["clean_accuracy", "auc_gaussian"]].notna().all()
    assert board.loc["statistics", ["status", "note"]].tolist() == ["failed", "training diverged"]
    assert board.loc["decorrelated", ["status", "note"]].tolist() == ["incomplete", "nothing measured yet"]
    assert board.loc["neural", ["status", "note"]].tolist() == ["not run", REASON]
    assert board.loc["neural", ["seeds", "mean_auc", "clean_accuracy", "rank"]].isna().all()


def test_flags_are_collected_once():
    measured = measurements()
    flagged = (measured["recipe"] == "pixel") & measured["attack"].isin(["boundary", "gaussian"])
    measured.loc[flagged, "flags"] = "depends on batch"
    measured.loc[flagged & (measured["seed"] == 2), "flags"] = "depends on batch; not converged"
    note = build_leaderboard(settings(measured, rows())).set_index("recipe").loc["pixel", "note"]
    flags = "depends on batch; not converged"
    assert note == f"gaussian: {flags}; boundary: {flags}"


def test_only_seeds_that_were_asked_for_enter():
    measured = measurements(seeds=(0, 1, 2, 3))
    few = build_leaderboard(settings(measured, rows(seeds=(1, 3))))
    assert few["seed_list"].tolist()[:6] == ["1,3"] * 6
    expected = build_leaderboard(settings(measured[measured["seed"].isin([1, 3])], rows(seeds=(1, 3))))
    pd.testing.assert_frame_equal(few, expected)


def test_blocks_keep_their_order_and_do_not_meet():
    first, second = block("mnist", "natural"), block("cifar10", "cifar10", suite="paper", protocol="paper")
    attacks = {"mnist": ("uniform", "gaussian"), "cifar10": ("gaussian", DISTANCE_ONLY)}
    measured = [measurements(of, attacks=attacks[of["task"]], key=key) for key, of in enumerate((first, second))]
    asked = [rows(of, attacks=attacks[of["task"]]) for of in (first, second)]
    board = build_leaderboard(settings(pd.concat(measured), pd.concat(asked)))
    assert list(dict.fromkeys(board["task"])) == ["mnist", "cifar10"]
    shown = [f"{kind}_{attack}" for kind in ("auc", "relative_auc") for attack in ("uniform", "gaussian")]
    assert list(board.columns[-5:]) == [*shown, f"distance_{DISTANCE_ONLY}"]
    alone = build_leaderboard(settings(measured[1], asked[1]))
    both = board[board["task"] == "cifar10"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both[alone.columns], alone)
    assert both["auc_uniform"].isna().all()
    assert set(SETTING) < set(board.columns)


def test_nothing_measured_at_all():
    board = build_leaderboard(settings(measurements().iloc[:0], rows()))
    assert set(board["status"]) == {"incomplete", "not run"}
    assert len(board) == len(RECIPES)
    assert board["mean_auc"].isna().all()


def test_plain_dictionaries_will_do():
    """Rows and measurements come as records: with NA for NaN, Python's integers, and columns nobody asked for."""
    measured, asked = measurements(attacks=ALL), rows(attacks=ALL)
    lines = measured.to_dict("records")
    records = [{name: pd.NA if pd.isna(value) else value for name, value in line.items()} for line in lines]
    loose = asked.assign(cells=1, controls=[text or None for text in asked["controls"]])
    pd.testing.assert_frame_equal(
        build_leaderboard(settings(pd.DataFrame(records), loose)), build_leaderboard(settings(measured, asked))
    )


def test_retained_is_robustness_by_the_clean_accuracy_of_the_same_model():
    measured = measurements()
    row = build_leaderboard(settings(measured, rows())).set_index("recipe").loc["pixel"]
    shares = []
    for seed in (0, 1, 2):
        mine = measured[(measured["recipe"] == "pixel") & (measured["seed"] == seed)]
        clean = mine[(mine["attack"] == "gaussian") & (mine["strength"] == 0)]["accuracy"].item()
        last = mine[mine["attack"] == "boundary"].iloc[-1]
        shares.append(last["area"] / last["strength"] / clean)
    assert row["relative_auc_boundary"] == pytest.approx(np.mean(shares))


def test_repetitions_do_not_make_a_clean_accuracy_surer():
    measured = measurements(seeds=(0,))
    noise = measured["attack"] == "gaussian"
    repeated = measured.assign(
        n=measured["n"].where(~noise, measured["n"] * 5),
        correct=measured["correct"].where(~noise, measured["correct"] * 5),
        repetitions=measured["repetitions"].where(~noise, 5),
    )
    once, often = (build_leaderboard(settings(table, rows(seeds=(0,)))) for table in (measured, repeated))
    columns = ["clean_accuracy", "clean_accuracy_low", "clean_accuracy_high"]
    pd.testing.assert_frame_equal(once[columns], often[columns])


def given(recipe, place):
    """Return measurements and the row of a given model, whose curves are those of one of the recipes."""
    curves = measurements(recipes=RECIPES[:3], seeds=(2_000_000,))
    asked = rows(recipes=(recipe,), seeds=(2_000_000,)).assign(remark=f"given: net.py:{recipe}, weights 01234567")
    return curves[curves["recipe"] == RECIPES[place]].assign(recipe=recipe), asked


def test_given_models_are_paired_with_nothing_and_have_no_rank():
    trained, asked = measurements(), rows()
    (best, of_best), (same, of_same) = given("best", 2), given("same", 2)
    board = build_leaderboard(settings(pd.concat([trained, best, same]), pd.concat([asked, of_best, of_same])))
    ours = board.set_index("recipe").loc[["best", "same"]]
    assert ours["mean_auc"].notna().all()
    assert ours[["rank", "gain", "gain_low", "p_value", "mean_auc_low"]].isna().all(axis=None)
    assert ours["clean_accuracy_low"].notna().all()
    assert ours["note"].tolist() == [f"given: net.py:{name}, weights 01234567" for name in ("best", "same")]
    assert (
        ours["interval"].tolist()
        == ["Wilson over test images for the clean accuracy, none for the rest: an external model"] * 2
    )
    alone = build_leaderboard(settings(trained, asked))
    others = board[~board["recipe"].isin(["best", "same"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, alone)
    assert board["recipe"].tolist()[-1] == "neural"  # below six seeds nobody has a rank: by score, then the unmeasured


def test_a_given_model_tells_what_is_missing_or_failed():
    measured, asked = given("theirs", 1)
    said = build_leaderboard(settings(measured[measured["attack"] != "boundary"], asked)).iloc[0]
    assert said["note"] == "given: net.py:theirs, weights 01234567; missing: boundary"
    nothing = build_leaderboard(settings(measured.iloc[:0], asked)).iloc[0]
    assert (nothing["status"], nothing["note"].partition("; ")[2]) == ("incomplete", "nothing measured yet")
    failed = build_leaderboard(settings(measured.iloc[:0], asked.assign(note="it broke"))).iloc[0]
    assert (failed["status"], failed["note"].partition("; ")[2]) == ("failed", "it broke")


def test_rows_that_share_no_seed_have_no_rank():
    parts = [measurements(recipes=(name,), seeds=seeds) for name, seeds in (("pixel", (0, 1)), ("thresholded", (2, 3)))]
    asked = [rows(recipes=(name,), seeds=seeds) for name, seeds in (("pixel", (0, 1)), ("thresholded", (2, 3)))]
    assert build_leaderboard(settings(pd.concat(parts), pd.concat(asked)))["rank"].isna().all()
    alone = build_leaderboard(settings(parts[0], pd.concat([asked[0], rows(recipes=("neural",))])))
    assert alone["rank"].isna().all()


def test_a_row_alone_in_its_block_has_no_rank_and_no_group():
    """As an external model that is the only one of its block, or a recipe that nothing was compared with."""
    lone = [
        given("theirs", 1),
        (measurements(recipes=("pixel",), seeds=range(7)), rows(None, ("pixel",), ATTACKS, range(7))),
    ]
    for measured, asked in lone:
        (row,) = build_leaderboard(settings(measured, asked)).to_dict("records")
        assert pd.isna([row[name] for name in ("rank", "rank_low", "rank_high", "gain")]).all()
        assert (row["group"], row["verdict"]) == ("", "")


def test_queries_are_those_of_all_attacks_on_an_image_and_a_mean_over_the_seeds_that_entered():
    measured = measurements(recipes=("unregularized",), attacks=("gaussian", "uniform", "boundary"))
    measured.loc[measured["attack"] == "boundary", "mean_queries"] = 1000.0 + 10 * measured["seed"]
    measured.loc[measured["attack"] == "uniform", "mean_queries"] = 50.0
    whole = measured[(measured["seed"] != 0) | (measured["attack"] != "gaussian")]
    asked = rows(recipes=("unregularized",), attacks=("gaussian", "uniform", "boundary"))
    assert build_leaderboard(settings(measured, asked))["queries"].tolist() == [1060]
    assert build_leaderboard(settings(whole, asked))["queries"].tolist() == [1065]


def test_the_score_is_that_of_threat_groups_and_takes_the_strongest_of_a_group():
    measured, asked = measurements(seeds=range(3)), rows(seeds=range(3))
    accesses = dict(zip(ATTACKS, ("none", "none", "transfer", "transfer"), strict=False))
    measured["access"] = measured["attack"].map(accesses).fillna("decisions")
    measured["strength_kind"] = "linf"
    board = build_leaderboard(settings(measured, asked)).set_index("recipe")
    for name, of_recipe in measured[measured["strength"] == 0.5].groupby("recipe"):
        found = []
        for _, rows_of_seed in of_recipe.groupby("seed"):
            auc = dict(zip(rows_of_seed["attack"], rows_of_seed["area"] / 0.5, strict=True))
            groups = {}
            for attack, value in auc.items():
                groups.setdefault(accesses.get(attack, "decisions"), []).append(value)
            found.append(np.mean([np.mean(of) if access == "none" else min(of) for access, of in groups.items()]))
        assert board.loc[name, "mean_auc"] == pytest.approx(np.mean(found))
