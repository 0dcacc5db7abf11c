"""The variance over test images: areas of images, influences by finite differences, and against the bootstrap."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.columns import SETTING
from robustbench_pix.results.measuring import measure
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import build_aucs
from robustbench_pix.results.statistics.comparisons import build_comparisons
from robustbench_pix.results.statistics.intervals import Sampled, estimate
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.results.statistics.sampling import sampling_table
from robustbench_pix.results.statistics.worst_case import image_areas
from tests.tables import block

RECIPES, SEEDS = ("unregularized", "pixel", "thresholded"), tuple(range(9))
NOISE, FAST, SLOW = "gaussian", "fgsm", "boundary"
SPECS = {
    NOISE: {"attack": NOISE, "access": "none", "strength": "sigma", "strengths": [0.0, 0.1, 0.3, 0.4]},
    FAST: {"attack": FAST, "access": "decisions", "strength": "l2", "strengths": [0.0, 0.2, 1.0]},
    SLOW: {"attack": SLOW, "access": "decisions", "strength": "l2", "strengths": [0.0, 0.5, 1.0]},
}
IMAGES = {NOISE: np.arange(3, 43), FAST: np.arange(3, 43), SLOW: np.arange(3, 19)}
REPETITIONS = {NOISE: 2, FAST: 1, SLOW: 1}


def examples_of(attack, random, level):
    """Return outcomes as ``evaluate`` returns them, of a model that is the better the higher the level."""
    index, repetitions = IMAGES[attack], REPETITIONS[attack]
    clean = random.random(len(index)) < 0.9
    lines = []
    for repetition in range(repetitions):
        shared = {"index": index, "repetition": repetition, "label": index % 5, "failed": False, "queries": 10}
        shared["clean_prediction"] = np.where(clean, index % 5, 9)
        if attack == SLOW:
            distance = np.where(clean, random.exponential(level, len(index)), 0.0)
            told = {"prediction": 9, "queries_at_half": 5, "distance_at_half": distance}
            lines.append(pd.DataFrame(shared | told | {"strength": np.nan, "l2": distance, "linf": distance / 3}))
            continue
        for strength in SPECS[attack]["strengths"]:
            right = clean & (random.random(len(index)) < np.exp(-strength / level)) if strength else clean
            told = {"prediction": np.where(right, index % 5, 9), "correct": right}
            lines.append(pd.DataFrame(shared | told | {"strength": strength, "l2": strength, "linf": strength}))
    return pd.concat(lines, ignore_index=True)


def spec_of(attack):
    attacked = SPECS[attack] | {"evaluation": {"repetitions": REPETITIONS[attack]}}
    return {
        "identity": {"attack": attacked, "protocol": "strict"},
        "context": {"entries": 64, "batch_dependent": False},
        "version": "1",
        "torch": "2",
        "device": "cpu",
    }


def outcomes(key=0):
    random = np.random.default_rng(key)
    return {
        (recipe, seed, attack): examples_of(attack, random, (0.4, 0.5, 0.8)[place] * random.uniform(0.97, 1.03))
        for place, recipe in enumerate(RECIPES)
        for seed in SEEDS
        for attack in SPECS
    }


def tables_of(found):
    """Return measurements, rows and areas of outcomes."""
    lines, areas = [], {}
    for (recipe, seed, attack), examples in found.items():
        facts = block() | {"recipe": recipe, "seed": seed, "attack": attack, "model_id": f"{recipe}{seed}"}
        name = f"{recipe}{seed}{attack}"
        lines += [{**row, **facts, "attack_id": name} for row in measure(examples, spec_of(attack))]
        areas[name] = image_areas(examples, SPECS[attack])
    seeds = sorted({seed for _, seed, _ in found})
    asked = [
        block() | {"recipe": recipe, "attacks": ",".join(SPECS), "seed_list": ",".join(map(str, seeds))}
        for recipe in RECIPES
    ]
    return pd.DataFrame(lines), pd.DataFrame(asked), areas


@pytest.fixture(scope="module")
def made():
    measured, asked, areas = tables_of(outcomes())
    return measured, asked, areas, sampling_table(settings(measured, asked), areas)


def test_the_mean_over_images_is_the_measured_area_and_the_clean_accuracy(made):
    measured, _, areas, _ = made
    ends = measured.drop_duplicates(["attack_id"], keep="last").set_index("attack_id")
    starts = measured.drop_duplicates(["attack_id"]).set_index("attack_id")
    for name, of_images in areas.items():
        assert of_images["auc"].mean() == pytest.approx(ends.loc[name, "area"] / ends.loc[name, "strength"], abs=1e-12)
        assert of_images["clean"].mean() == pytest.approx(starts.loc[name, "accuracy"], abs=1e-12)
        assert list(of_images.index) == list(IMAGES[ends.loc[name, "attack"]])
        assert of_images["auc"].between(0, 1).all()


@pytest.mark.parametrize("attack", list(SPECS))
def test_an_area_may_begin_at_a_strength(attack):
    examples = examples_of(attack, np.random.default_rng(1), 0.5)
    strengths = np.array(SPECS[attack]["strengths"])
    found = image_areas(examples, SPECS[attack] | {"range_from": strengths[1]})
    if attack == SLOW:
        fine = np.linspace(strengths[1], strengths[-1], 20001)
        distance = examples["l2"].to_numpy()
        expected = [np.trapezoid((value > fine).astype(float), fine) / (fine[-1] - fine[0]) for value in distance]
        assert found["auc"].to_numpy() == pytest.approx(np.array(expected), abs=1e-3)
        return
    for index, of_image in examples.groupby("index"):
        curve = of_image.groupby("strength")["correct"].mean()[strengths[1:]]
        area = np.trapezoid(curve, strengths[1:]) / (strengths[-1] - strengths[1])
        assert found.loc[index, "auc"] == pytest.approx(area)


def weighted(found, weights):
    """Return outcomes in which an image counts so many times."""
    return {
        key: examples.loc[examples.index.repeat(examples["index"].map(weights))].reset_index(drop=True)
        for key, examples in found.items()
    }


@pytest.mark.parametrize("measure", ["mean_auc", "clean_accuracy", "auc_boundary", "effective_robustness"])
def test_influences_are_those_of_one_more_copy_of_an_image(measure, made):
    """The infinitesimal jackknife by differences: each image is counted 1,000 times, and one of them 1,001 times."""
    found = {key: part.drop(columns="queries") for key, part in outcomes().items()}
    images = IMAGES[NOISE]
    areas = {key: image_areas(part, SPECS[key[2]]) for key, part in found.items()}

    def number(recipe, extra=None, step=1e-5):
        def mean(of, seed, attack, what):
            values = areas[of, seed, attack][what]
            return float(np.average(values, weights=1 + step * (values.index == extra)))

        def mean_auc(of, seed):
            return (mean(of, seed, NOISE, "auc") + min(mean(of, seed, attack, "auc") for attack in (FAST, SLOW))) / 2

        def effective(of, seed):
            chances = {attack: np.bincount(judged % 5).max() / len(judged) for attack, judged in IMAGES.items()}
            c = (chances[NOISE] + min(chances[FAST], chances[SLOW])) / 2
            k, base = chances[NOISE], mean_auc("unregularized", seed)
            slope = (base - c) / (mean("unregularized", seed, NOISE, "clean") - k)
            return mean_auc(of, seed) - c - slope * (mean(of, seed, NOISE, "clean") - k)

        of_seed = {
            "mean_auc": mean_auc,
            "clean_accuracy": lambda of, seed: mean(of, seed, NOISE, "clean"),
            "auc_boundary": lambda of, seed: mean(of, seed, SLOW, "auc"),
            "effective_robustness": effective,
        }[measure]
        return np.mean([of_seed(recipe, seed) for seed in SEEDS])

    *_, table = made
    rows = table[table["measure"] == measure].set_index(["recipe", "other"])
    recipes = [name for name in RECIPES if measure != "effective_robustness" or name != "unregularized"]
    influence = {name: np.array([(number(name, extra) - number(name)) / 1e-5 for extra in images]) for name in recipes}
    for (one, other), row in rows.iterrows():
        expected = float(influence[one] @ influence[other])
        scale = np.sqrt((influence[one] @ influence[one]) * (influence[other] @ influence[other]))
        assert row["covariance"] == pytest.approx(expected, abs=0.08 * scale)  # 1 / (m - 1) in place of 1 / m
    assert len(rows) == (2 if measure == "effective_robustness" else 6)


def test_a_single_mean_has_its_textbook_variance(made):
    _, _, areas, table = made
    own = table[(table["measure"] == "auc_boundary") & (table["recipe"] == "pixel") & (table["other"] == "pixel")]
    values = np.mean([areas[f"pixel{seed}boundary"]["auc"].to_numpy() for seed in SEEDS], axis=0)
    assert own["covariance"].tolist() == pytest.approx([stats.sem(values) ** 2])
    assert own["images_judged"].tolist() == [16]


def test_the_variance_is_that_of_a_bootstrap_over_images(made):
    _, _, areas, table = made
    places = np.random.default_rng(0).integers(0, 40, (2000, 40))
    drawn = {name: np.zeros(len(places)) for name in RECIPES}
    for name in RECIPES:
        for seed in SEEDS:
            noise, fast = (areas[f"{name}{seed}{attack}"]["auc"].to_numpy() for attack in (NOISE, FAST))
            slow = areas[f"{name}{seed}{SLOW}"]["auc"].reindex(range(3, 43)).to_numpy()
            stronger = fast if fast.mean() <= np.nanmean(slow) else slow
            both = noise[places].mean(axis=1) + np.nanmean(stronger[places], axis=1)
            drawn[name] += both / 2 / len(SEEDS)
    expected = np.cov([drawn[name] for name in RECIPES])
    rows = table[table["measure"] == "mean_auc"].set_index(["recipe", "other"])["covariance"]
    for (one, other), value in rows.items():
        place = RECIPES.index(one), RECIPES.index(other)
        scale = np.sqrt(expected[place[0], place[0]] * expected[place[1], place[1]])
        assert value == pytest.approx(expected[place], abs=0.2 * scale)


@pytest.mark.parametrize("seeds", [2, 7])
def test_intervals_are_by_satterthwaite_and_never_narrower_than_over_seeds(seeds):
    values = np.random.default_rng(seeds).normal(0.3, 0.02, seeds)
    error = stats.sem(values)
    for variance in (0.0, error**2 / 2, 9 * error**2):
        found = estimate(values, Sampled(variance, 50))
        total = error**2 + variance
        freedom = total**2 / (error**4 / (seeds - 1) + variance**2 / 49)
        seed_half = stats.t.ppf(0.975, seeds - 1) * error
        half = max(seed_half, stats.t.ppf(0.975, freedom) * np.sqrt(total))
        assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
        assert (found.seeds_low, found.seeds_high) == pytest.approx(
            (values.mean() - seed_half, values.mean() + seed_half)
        )
        p_values = [2 * stats.t.sf(abs(values.mean()) / np.sqrt(total), freedom), stats.ttest_1samp(values, 0).pvalue]
        assert found.p_value == pytest.approx(max(p_values))


def test_tables_show_the_wider_interval_and_say_what_it_is_over(made):
    measured, asked, _, table = made
    with_images, without = (
        build_leaderboard(settings(measured, asked), known).set_index("recipe") for known in (table, None)
    )
    assert set(with_images["interval"]) == {"Student's t over seeds and test images"}
    assert set(without["interval"]) == {"Student's t over seeds"}
    for name in ("clean_accuracy", "mean_auc", "gain", "effective_robustness"):
        pd.testing.assert_series_equal(with_images[f"{name}_seeds_low"], without[f"{name}_low"], check_names=False)
        widths = [board[f"{name}_high"] - board[f"{name}_low"] for board in (with_images, without)]
        assert (widths[0] >= widths[1] - 1e-12).all() or widths[0].isna().any()
        assert (widths[0] > widths[1]).any()
    rows = table[table["measure"] == "mean_auc"].set_index(["recipe", "other"])["covariance"]
    of_gain = rows["pixel", "pixel"] + rows["unregularized", "unregularized"] - 2 * rows["pixel", "unregularized"]
    ends = measured.drop_duplicates("attack_id", keep="last").pivot(
        index=["recipe", "seed"], columns="attack", values="area"
    )
    mean_aucs = ends[NOISE] / 0.4 / 2 + ends[[FAST, SLOW]].min(axis=1) / 2
    expected = estimate((mean_aucs["pixel"] - mean_aucs["unregularized"]).to_numpy(), Sampled(of_gain, 16))
    assert with_images.loc["pixel", ["gain_low", "gain_high"]].tolist() == pytest.approx(
        [expected.low, expected.high], rel=1e-6
    )
    compared = build_comparisons(settings(measured, asked), table).set_index("recipe")
    assert compared.loc["pixel", "low"] == with_images.loc["pixel", "gain_low"]
    aucs = build_aucs(settings(measured, asked), table)
    assert (aucs["high"] - aucs["low"] >= aucs["seeds_high"] - aucs["seeds_low"] - 1e-12).all()


def test_outcomes_that_are_not_at_hand_leave_intervals_over_seeds(made):
    measured, asked, areas, _ = made
    some = {name: of for name, of in areas.items() if name != "pixel2gaussian"}
    table = sampling_table(settings(measured, asked), some)
    assert set(table.loc[table["measure"] == "mean_auc", "recipe"]) == {"thresholded", "unregularized"}
    board = build_leaderboard(settings(measured, asked), table).set_index("recipe")
    assert board.loc["pixel", "interval"] == "Student's t over seeds"
    assert board.loc["thresholded", "interval"] == "Student's t over seeds and test images"


def test_an_external_model_has_an_interval_over_test_images():
    random = np.random.default_rng(3)
    found = {("unregularized", 2_000_000, attack): examples_of(attack, random, 0.5) for attack in SPECS}
    measured, asked, areas = tables_of(found)
    table = sampling_table(settings(measured, asked), areas)
    row = build_leaderboard(settings(measured, asked), table).set_index("recipe").loc["unregularized"]
    variance = table.loc[table["measure"] == "mean_auc", "covariance"].item()
    half = stats.t.ppf(0.975, row_images(table) - 1) * np.sqrt(variance)
    assert (row["mean_auc_low"], row["mean_auc_high"]) == pytest.approx(
        (row["mean_auc"] - half, row["mean_auc"] + half)
    )
    assert row["interval"] == "over test images (Wilson for the clean accuracy): an external model"
    assert np.isnan(row["mean_auc_seeds_low"])


def row_images(table):
    return int(table.loc[table["measure"] == "mean_auc", "images_judged"].item())


def test_covariances_know_their_block(made):
    *_, table = made
    assert table[SETTING].drop_duplicates().to_dict("records") == [block()]
