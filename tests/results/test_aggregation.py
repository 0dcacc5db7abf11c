import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.columns import LEADERBOARD, names
from robustbench_pix.results.frames import BLOCK
from robustbench_pix.results.statistics.aggregation import build_leaderboard
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
    scores, found = {}, {}
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
        scores[name] = {seed: np.mean(list(table[seed].values())) for seed in complete}
        out = {"seeds": len(complete), "clean_accuracy": np.mean(clean) if clean else np.nan}
        out["score"] = np.mean(list(scores[name].values())) if complete else np.nan
        for attack in curved if complete else []:
            out[f"robustness_{attack}"] = np.mean([table[seed][attack] for seed in complete])
        if len(complete) > 1:
            out |= dict(zip(("clean_low", "clean_high"), _interval(clean), strict=True))
            out |= dict(zip(("score_low", "score_high"), _interval(list(scores[name].values())), strict=True))
        found[name] = out
    for name, out in found.items():
        met = [other for other in scores if other != name and set(scores[name]) & set(scores[other])]
        if scores[name] and (met or not any(scores[other] for other in scores if other != name)):
            out["rank"] = 1 + sum(_interval(_differences(scores, other, name))[0] > 0 for other in scores)
        differences = _differences(scores, name, "unregularized")
        if name != "unregularized" and differences:
            out["gain"] = np.mean(differences)
            out["gain_low"], out["gain_high"] = _interval(differences)
    return found


def _differences(scores, name, other):
    return [scores[name][seed] - scores[other][seed] for seed in scores[name] if seed in scores[other]]


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
    board = build_leaderboard(measured.sample(frac=1, random_state=key), asked)
    expected = brute_force(measured, asked)
    for row in board.to_dict("records"):
        want = expected[row["recipe"]]
        numeric = ["clean_accuracy", "score", "gain", "gain_low", "gain_high", "rank"]
        numeric += [f"robustness_{attack}" for attack in ATTACKS] if want["seeds"] else []
        numeric += ["clean_low", "clean_high", "score_low", "score_high"] if want["seeds"] != 1 else []
        for name in numeric if row["status"] != "not run" and want["seeds"] else ["score", "rank", "gain"]:
            value = np.nan if pd.isna(row[name]) else row[name]
            assert value == pytest.approx(want.get(name, np.nan), nan_ok=True, rel=1e-9), (row["recipe"], name)
    scored = board[board["score"].notna()]
    order = list(zip(scored["rank"], -scored["score"], strict=True))
    assert order == sorted(order)
    assert board["score"].isna().tolist() == sorted(board["score"].isna())


def test_columns_and_kinds():
    board = build_leaderboard(measurements(attacks=ALL), rows(attacks=ALL))
    robustness = [f"robustness_{attack}" for attack in ATTACKS]
    retained = [f"retained_{attack}" for attack in ATTACKS]
    assert list(board.columns) == [*names(LEADERBOARD), *robustness, *retained, f"distance_{DISTANCE_ONLY}"]
    assert {str(board[column].dtype) for column in ("suite_version", "seeds", "rank")} == {"Int64"}
    assert {str(board[column].dtype) for column in ("score", "p_value", robustness[0])} == {"float64"}
    assert board["status"].tolist() == ["complete"] * 6 + ["not run"]


def test_distance_is_the_mean_over_seeds_and_in_no_score():
    measured = measurements(attacks=ALL)
    board = build_leaderboard(measured, rows(attacks=ALL)).set_index("recipe")
    pixel = measured[(measured["recipe"] == "pixel") & (measured["attack"] == DISTANCE_ONLY)]
    assert board.loc["pixel", f"distance_{DISTANCE_ONLY}"] == pytest.approx(pixel["median_squared_l2_per_pixel"].mean())
    without = build_leaderboard(measured[measured["attack"] != DISTANCE_ONLY], rows()).set_index("recipe")
    assert board["score"].equals(without["score"])


def test_only_distances_give_no_score():
    board = build_leaderboard(measurements(attacks=(DISTANCE_ONLY,)), rows(attacks=(DISTANCE_ONLY,)))
    assert board["score"].isna().all()
    assert board["rank"].isna().all()
    assert board.set_index("recipe").loc["pixel", ["status", f"distance_{DISTANCE_ONLY}"]].notna().all()


def test_one_seed_has_wilson_and_nothing_else():
    measured = measurements(seeds=(4,))
    board = build_leaderboard(measured, rows(seeds=(4,))).set_index("recipe")
    pixel = board.loc["pixel"]
    clean = measured[(measured["recipe"] == "pixel") & (measured["attack"] == "gaussian") & (measured["strength"] == 0)]
    expected = stats.binomtest(int(clean["correct"].iloc[0]), 500).proportion_ci(0.95, "wilson")
    assert (pixel["clean_low"], pixel["clean_high"]) == pytest.approx(tuple(expected))
    assert pixel[["score_low", "score_high", "gain_low", "gain_high", "p_value"]].isna().all()
    assert (pixel["rank"], pixel["seeds"], pixel["seed_list"]) == (1, 1, "4")
    assert pixel["interval"] == "Wilson for the clean accuracy, none for the rest: one seed"


def test_equal_recipes_share_a_rank_and_gain_nothing():
    measured = measurements(recipes=("unregularized",), seeds=range(6))
    twin = measured.assign(recipe="twin")
    asked = rows(recipes=("twin", "unregularized"), seeds=range(6))
    board = build_leaderboard(pd.concat([measured, twin]), asked)
    assert board["recipe"].tolist() == ["twin", "unregularized"]
    assert board["rank"].tolist() == [1, 1]
    assert board.loc[0, ["gain", "gain_low", "gain_high", "p_value"]].tolist() == [0, 0, 0, 1]


def test_rounding_decides_no_rank():
    areas = {"one": (0.1, 0.2, 0.3), "two": (0.3, 0.2, 0.1)}
    template = measurements(recipes=("pixel",), attacks=("a", "b", "c"))
    parts = []
    for recipe, values in areas.items():
        area = template["attack"].map(dict(zip("abc", values, strict=True))) * template["strength"]
        parts.append(template.assign(recipe=recipe, area=area))
    board = build_leaderboard(pd.concat(parts), rows(recipes=tuple(areas), attacks=("a", "b", "c")))
    assert board["rank"].tolist() == [1, 1]


def test_gaps_are_told():
    measured = measurements()
    lost = (measured["recipe"] == "pixel") & (measured["attack"] == "boundary") & (measured["seed"] == 2)
    lost |= (measured["recipe"] == "shuffled") & (measured["attack"] == "uniform")
    lost |= measured["recipe"].isin(["statistics", "decorrelated"])
    asked = rows()
    asked.loc[asked["recipe"] == "statistics", "note"] = "training diverged"
    board = build_leaderboard(measured[~lost], asked).set_index("recipe")
    assert board.loc["pixel", ["status", "note"]].tolist() == ["incomplete", "missing: boundary (seed 2)"]
    assert board.loc["pixel", ["seeds", "seed_list"]].tolist() == [2, "0,1"]
    assert board.loc["shuffled", ["status", "note"]].tolist() == ["incomplete", "missing: uniform (seeds 0, 1, 2)"]
    assert board.loc["shuffled", ["score", "rank"]].isna().all()
    assert board.loc["shuffled", ["clean_accuracy", "robustness_gaussian"]].notna().all()
    assert board.loc["statistics", ["status", "note"]].tolist() == ["failed", "training diverged"]
    assert board.loc["decorrelated", ["status", "note"]].tolist() == ["incomplete", "nothing measured yet"]
    assert board.loc["neural", ["status", "note"]].tolist() == ["not run", REASON]
    assert board.loc["neural", ["seeds", "score", "clean_accuracy", "rank"]].isna().all()


def test_flags_are_collected_once():
    measured = measurements()
    flagged = (measured["recipe"] == "pixel") & measured["attack"].isin(["boundary", "gaussian"])
    measured.loc[flagged, "flags"] = "depends on batch"
    measured.loc[flagged & (measured["seed"] == 2), "flags"] = "depends on batch; not converged"
    note = build_leaderboard(measured, rows()).set_index("recipe").loc["pixel", "note"]
    flags = "depends on batch; not converged"
    assert note == f"gaussian: {flags}; boundary: {flags}"


def test_only_seeds_that_were_asked_for_enter():
    measured = measurements(seeds=(0, 1, 2, 3))
    few = build_leaderboard(measured, rows(seeds=(1, 3)))
    assert few["seed_list"].tolist()[:6] == ["1,3"] * 6
    expected = build_leaderboard(measured[measured["seed"].isin([1, 3])], rows(seeds=(1, 3)))
    pd.testing.assert_frame_equal(few, expected)


def test_blocks_keep_their_order_and_do_not_meet():
    first, second = block("mnist", "natural"), block("cifar10", "cifar10", suite="paper", protocol="paper")
    attacks = {"mnist": ("uniform", "gaussian"), "cifar10": ("gaussian", DISTANCE_ONLY)}
    measured = [measurements(of, attacks=attacks[of["task"]], key=key) for key, of in enumerate((first, second))]
    asked = [rows(of, attacks=attacks[of["task"]]) for of in (first, second)]
    board = build_leaderboard(pd.concat(measured), pd.concat(asked))
    assert list(dict.fromkeys(board["task"])) == ["mnist", "cifar10"]
    shown = [f"{kind}_{attack}" for kind in ("robustness", "retained") for attack in ("uniform", "gaussian")]
    assert list(board.columns[-5:]) == [*shown, f"distance_{DISTANCE_ONLY}"]
    alone = build_leaderboard(measured[1], asked[1])
    both = board[board["task"] == "cifar10"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both[alone.columns], alone)
    assert both["robustness_uniform"].isna().all()
    assert set(BLOCK) < set(board.columns)


def test_nothing_measured_at_all():
    board = build_leaderboard(measurements().iloc[:0], rows())
    assert set(board["status"]) == {"incomplete", "not run"}
    assert len(board) == len(RECIPES)
    assert board["score"].isna().all()


def test_plain_dictionaries_will_do():
    """Rows and measurements come as records: with NA for NaN, Python's integers, and columns nobody asked for."""
    measured, asked = measurements(attacks=ALL), rows(attacks=ALL)
    lines = measured.to_dict("records")
    records = [{name: pd.NA if pd.isna(value) else value for name, value in line.items()} for line in lines]
    loose = asked.assign(cells=1, controls=[text or None for text in asked["controls"]])
    pd.testing.assert_frame_equal(build_leaderboard(pd.DataFrame(records), loose), build_leaderboard(measured, asked))


def test_retained_is_robustness_by_the_clean_accuracy_of_the_same_model():
    measured = measurements()
    row = build_leaderboard(measured, rows()).set_index("recipe").loc["pixel"]
    shares = []
    for seed in (0, 1, 2):
        mine = measured[(measured["recipe"] == "pixel") & (measured["seed"] == seed)]
        clean = mine[(mine["attack"] == "gaussian") & (mine["strength"] == 0)]["accuracy"].item()
        last = mine[mine["attack"] == "boundary"].iloc[-1]
        shares.append(last["area"] / last["strength"] / clean)
    assert row["retained_boundary"] == pytest.approx(np.mean(shares))


def test_repetitions_do_not_make_a_clean_accuracy_surer():
    measured = measurements(seeds=(0,))
    noise = measured["attack"] == "gaussian"
    repeated = measured.assign(
        n=measured["n"].where(~noise, measured["n"] * 5),
        correct=measured["correct"].where(~noise, measured["correct"] * 5),
        repetitions=measured["repetitions"].where(~noise, 5),
    )
    once, often = (build_leaderboard(table, rows(seeds=(0,))) for table in (measured, repeated))
    columns = ["clean_accuracy", "clean_low", "clean_high"]
    pd.testing.assert_frame_equal(once[columns], often[columns])


def given(recipe, place):
    """Return measurements and the row of a given model, whose curves are those of one of the recipes."""
    curves = measurements(recipes=RECIPES[:3], seeds=(2_000_000,))
    asked = rows(recipes=(recipe,), seeds=(2_000_000,)).assign(remark=f"given: net.py:{recipe}, weights 01234567")
    return curves[curves["recipe"] == RECIPES[place]].assign(recipe=recipe), asked


def test_given_models_are_paired_with_nothing_and_have_no_rank():
    trained, asked = measurements(), rows()
    (best, of_best), (same, of_same) = given("best", 2), given("same", 2)
    board = build_leaderboard(pd.concat([trained, best, same]), pd.concat([asked, of_best, of_same]))
    ours = board.set_index("recipe").loc[["best", "same"]]
    assert ours["score"].notna().all()
    assert ours[["rank", "gain", "gain_low", "p_value", "score_low"]].isna().all(axis=None)
    assert ours["clean_low"].notna().all()
    assert ours["note"].tolist() == [f"given: net.py:{name}, weights 01234567" for name in ("best", "same")]
    assert ours["interval"].tolist() == ["Wilson for the clean accuracy, none for the rest: a given model"] * 2
    alone = build_leaderboard(trained, asked)
    others = board[~board["recipe"].isin(["best", "same"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, alone)
    assert board["recipe"].tolist()[-3:] == ["best", "same", "neural"]


def test_a_given_model_tells_what_is_missing_or_failed():
    measured, asked = given("theirs", 1)
    said = build_leaderboard(measured[measured["attack"] != "boundary"], asked).iloc[0]
    assert said["note"] == "given: net.py:theirs, weights 01234567; missing: boundary"
    nothing = build_leaderboard(measured.iloc[:0], asked).iloc[0]
    assert (nothing["status"], nothing["note"].partition("; ")[2]) == ("incomplete", "nothing measured yet")
    failed = build_leaderboard(measured.iloc[:0], asked.assign(note="it broke")).iloc[0]
    assert (failed["status"], failed["note"].partition("; ")[2]) == ("failed", "it broke")


def test_rows_that_share_no_seed_have_no_rank():
    parts = [measurements(recipes=(name,), seeds=seeds) for name, seeds in (("pixel", (0, 1)), ("thresholded", (2, 3)))]
    asked = [rows(recipes=(name,), seeds=seeds) for name, seeds in (("pixel", (0, 1)), ("thresholded", (2, 3)))]
    assert build_leaderboard(pd.concat(parts), pd.concat(asked))["rank"].isna().all()
    alone = build_leaderboard(parts[0], pd.concat([asked[0], rows(recipes=("neural",))]))
    assert alone["rank"].tolist() == [1, pd.NA]


def test_queries_are_those_of_all_attacks_on_an_image_and_a_mean_over_the_seeds_that_entered():
    measured = measurements(recipes=("unregularized",), attacks=("gaussian", "uniform", "boundary"))
    measured.loc[measured["attack"] == "boundary", "mean_queries"] = 1000.0 + 10 * measured["seed"]
    measured.loc[measured["attack"] == "uniform", "mean_queries"] = 50.0
    whole = measured[(measured["seed"] != 0) | (measured["attack"] != "gaussian")]
    asked = rows(recipes=("unregularized",), attacks=("gaussian", "uniform", "boundary"))
    assert build_leaderboard(measured, asked)["queries"].tolist() == [1060]
    assert build_leaderboard(whole, asked)["queries"].tolist() == [1065]
