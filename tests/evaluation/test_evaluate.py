"""Who is attacked under which protocol, in which batches, and the rows of the outcome."""

import random

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.noise import GaussianNoise
from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.evaluation import evaluate as evaluating
from robustbench_pix.evaluation import judging
from robustbench_pix.evaluation.evaluate import attacked_indices
from tests.attacks.toys import (
    Counting,
    Halfspace,
    Quadrants,
    decisions_of,
    entry,
    run_entry,
    some_images,
)
from tests.evaluation.told import (
    IMAGES,
    LABELS,
    MISTAKEN,
    STRENGTHS,
    WRONG,
    Fixed,
    Minimal,
    inverted,
    run_fixed,
    run_minimal,
    unchanged,
)

COLUMNS = {
    "index": "int32",
    "repetition": "int16",
    "strength": "float64",
    "label": "int16",
    "clean_prediction": "int16",
    "prediction": "int16",
    "correct": "bool",
    "failed": "bool",
    "l2": "float32",
    "linf": "float32",
    "queries": "int32",
}
FIXED_COLUMNS = {"found_at": "int32"}
DISTANCE_COLUMNS = {
    **{f"distance_at_{queries}": "float32" for queries in CHECKPOINTS},
    "queries_at_half": "int32",
    "distance_at_half": "float32",
}


def test_columns():
    for examples, columns in (
        (run_fixed(unchanged), COLUMNS | FIXED_COLUMNS),
        (run_minimal(unchanged), COLUMNS | DISTANCE_COLUMNS),
    ):
        assert {name: str(kind) for name, kind in examples.dtypes.items()} == columns
        assert (examples["label"] == LABELS.numpy()[examples["index"]]).all()
        assert (examples["clean_prediction"] == examples["label"]).all()
    examples = run_fixed(unchanged, repetitions=2)
    rows = set(zip(examples["index"], examples["repetition"], examples["strength"], strict=True))
    assert rows == {(index, repetition, s) for index in range(6) for repetition in range(2) for s in STRENGTHS}
    assert len(rows) == len(examples)


@pytest.mark.parametrize("access", ["decisions", "scores", "gradients"])
def test_strict_query_attacks_are_not_given_misclassified_images(access):
    for attack, run in ((Fixed(inverted), run_fixed), (Minimal(inverted), run_minimal)):
        examples = run(attack, access, labels=WRONG)
        images, labels, keys, _ = attack.given[0]
        assert keys == [0, 2, 3, 5]
        assert torch.equal(images, IMAGES[keys])
        assert torch.equal(labels, WRONG[keys])
        spared = examples[examples["index"].isin([1, 4])]
        assert not spared["correct"].any()
        assert not spared["failed"].any()
        assert (spared[["l2", "linf", "queries"]] == 0).all(axis=None)
        assert (spared["prediction"] == spared["clean_prediction"]).all()


@pytest.mark.parametrize("access", ["none", "transfer"])
def test_strict_blind_attacks_correct_no_misclassified_image(access):
    source = Quadrants() if access == "transfer" else None
    attack = Fixed(lambda images, strength: images if strength < 0.3 else some_images(6, seed=8))
    spec = entry("x", access, "sigma")
    examples = run_entry(spec, Quadrants(), IMAGES, WRONG, source, attack, strengths=STRENGTHS)
    assert attack.given[0][2] == list(range(6))
    assert not examples.loc[examples["index"].isin([1, 4]), "correct"].any()
    other = examples[~examples["index"].isin([1, 4])]
    assert (other["correct"] == (other["prediction"] == other["label"])).all()


def test_paper_is_plain_accuracy_of_all_images():
    def mended(images, strength):
        return torch.eye(4)[WRONG].reshape(6, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)

    attack = Fixed(mended)
    examples = run_fixed(attack, "decisions", labels=WRONG, protocol="paper")
    assert attack.given[0][2] == list(range(6))
    assert torch.equal(attack.given[0][1], WRONG)
    assert examples["correct"].all(), "an attack that mends a mistake counts as it fell out"
    assert run_fixed(mended, labels=WRONG)["correct"].tolist() == [not mistaken for mistaken in MISTAKEN] * 3


def test_paper_attacks_the_predicted_label_of_minimal_distances():
    attack = Minimal(inverted)
    examples = run_minimal(attack, labels=WRONG, protocol="paper")
    assert torch.equal(attack.given[0][1], LABELS), "the model's decisions, not the labels"
    assert attack.given[0][2] == list(range(6))
    assert (examples["l2"] > 0).all()
    assert not examples["failed"].any()
    nothing = run_minimal(unchanged, labels=WRONG, protocol="paper")
    assert nothing["failed"].all()
    assert nothing["correct"].tolist() == [not mistaken for mistaken in MISTAKEN]


def test_protocol_decides_the_clamp_and_access_the_models():
    for protocol, clamp in (("strict", "unit"), ("paper", "image")):
        attack = Fixed(unchanged)
        run_fixed(attack, protocol=protocol)
        target = attack.given[0][3]
        assert (target.clamp, target.oracle, target.source, target.classes) == (clamp, None, None, 4)
    attack = Fixed(unchanged)
    run_fixed(attack, "scores", kind="linf")
    assert (attack.given[0][3].oracle.access, attack.given[0][3].norm) == ("scores", "linf")


def test_all_images_misclassified_is_no_error():
    everything_wrong = (LABELS + 1) % 4
    for examples in (
        run_fixed(inverted, "decisions", labels=everything_wrong),
        run_minimal(Minimal(inverted, needs_starts=True), labels=everything_wrong),
    ):
        assert not examples["correct"].any()
        assert not examples["failed"].any()
        assert (examples[["l2", "queries"]] == 0).all(axis=None)


def test_repetitions_draw_anew_and_are_told_apart():
    examples = run_fixed(GaussianNoise(), repetitions=3)
    strong = examples[examples["strength"] == 0.05].pivot(index="index", columns="repetition", values="l2")
    assert strong.nunique(axis=1).tolist() == [3] * 6
    alone = run_fixed(GaussianNoise(), repetitions=1)
    first = examples[examples["repetition"] == 0].reset_index(drop=True)
    assert alone.equals(first), "more repetitions do not change the first"


def test_an_attack_that_draws_from_global_states_repeats_its_bytes_and_leaves_them_alone():
    def anyhow(images, strength=None):
        size = images.shape
        drawn = torch.rand(size) + torch.from_numpy(np.random.random(size)) + random.random()
        return (images + 0.3 * (drawn - 1.5)).clamp(0, 1)

    for run in (run_fixed, run_minimal):
        first = run(anyhow, repetitions=2)
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
        assert first.equals(run(anyhow, repetitions=2))
        assert random.getstate() == before[0]
        np.testing.assert_equal(np.random.get_state(), before[1])
        assert torch.equal(torch.get_rng_state(), before[2])
        assert (first.groupby("index")["l2"].nunique() > 1).any(), "repetitions draw anew"


def test_which_images_are_attacked_is_fixed_and_nested():
    assert attacked_indices("digits", 5, None).tolist() == [0, 1, 2, 3, 4]
    assert attacked_indices("digits", 5, 9).tolist() == [0, 1, 2, 3, 4]
    few, many = attacked_indices("digits", 1000, 32), attacked_indices("digits", 1000, 64)
    assert set(few) < set(many)
    assert len(set(few)) == 32
    assert few.tolist() == sorted(few)
    assert few[:4].tolist() != attacked_indices("mnist", 1000, 32)[:4].tolist()
    assert attacked_indices("digits", 1000, 32).tolist() == few.tolist()
    chosen = run_fixed(GaussianNoise(), images=some_images(40), labels=torch.zeros(40).long())
    fewer = run_entry(
        entry("x", "none", "sigma"),
        Quadrants(),
        some_images(40),
        torch.zeros(40).long(),
        attack=GaussianNoise(),
        strengths=STRENGTHS,
        images_attacked=7,
    )
    assert fewer["index"].nunique() == 7
    merged = fewer.merge(chosen, on=["index", "strength"])
    assert merged["l2_x"].equals(merged["l2_y"])


@pytest.mark.parametrize("attack", ["gaussian-noise", "uniform-noise", "salt-and-pepper-noise", "fast-gradient-sign"])
def test_our_own_attacks_do_not_depend_on_the_batch_size(attack, monkeypatch):
    images = some_images(11)
    access = "transfer" if attack == "fast-gradient-sign" else "none"
    spec = entry(attack, access, "linf" if access == "transfer" else "sigma")
    source = Halfspace(seed=1) if access == "transfer" else None
    labels = decisions_of(Halfspace(), images)
    arguments = (spec, Halfspace(), images, labels, source)
    expected = run_entry(*arguments, strengths=STRENGTHS, classes=2, repetitions=3)
    keys = ["strength", "repetition", "index"]
    assert expected[keys].equals(expected[keys].sort_values(keys, ignore_index=True))
    for size in (1, 4):
        for module in (evaluating, judging):
            monkeypatch.setattr(module, "judge_batch", lambda device, entries, size=size: size)
        found = run_entry(*arguments, strengths=STRENGTHS, classes=2, repetitions=3)
        for name in (*keys, "prediction", "correct", "failed", "queries", "label"):
            assert expected[name].tolist() == found[name].tolist()
        np.testing.assert_allclose(expected["l2"], found["l2"], rtol=1e-6)


def test_an_engine_is_given_its_batch_size_by_test_index():
    attack = Minimal(inverted)
    attack.batch_dependent = True
    run_minimal(attack, labels=WRONG, batch_size=4)
    assert [keys for _, _, keys, _ in attack.given] == [[0, 2, 3], [5]], "cut before anything is left out"
    attack = Fixed(unchanged)
    attack.one_by_one = True
    run_fixed(attack, "decisions", labels=WRONG)
    assert [keys for _, _, keys, _ in attack.given] == [[0], [2], [3], [5]]


@pytest.mark.parametrize(("dependent", "size"), [(False, 2 * 6), (True, 4)])
def test_only_ours_are_given_several_repetitions_at_once(dependent, size):
    class Listening(Fixed):
        def perturb(self, target, images, labels, strengths, keys):
            seen.append([(key.repetition, key.index) for key in keys])
            assert torch.equal(images, IMAGES[[key.index for key in keys]])
            assert torch.equal(labels, LABELS[[key.index for key in keys]])
            return super().perturb(target, images, labels, strengths, keys)

    seen = []
    attack = Listening(unchanged)
    attack.batch_dependent = dependent
    examples = run_fixed(attack, "decisions", repetitions=2, batch_size=4)
    pairs = [(repetition, index) for repetition in range(2) for index in range(6)]
    assert seen == ([pairs] if not dependent else [pairs[:4], pairs[4:6], pairs[6:10], pairs[10:]])
    assert max(map(len, seen)) == size
    expected = [pair for _ in STRENGTHS for pair in pairs]
    assert list(zip(examples["repetition"], examples["index"], strict=True)) == expected
    assert examples["strength"].tolist() == np.repeat(STRENGTHS, 12).tolist()


def test_distances_of_several_repetitions_are_told_apart():
    class Nearer(Minimal):
        def minimize(self, target, images, labels, starts, keys):
            shares = torch.tensor([1.0 - 0.1 * key.repetition for key in keys])[:, None, None, None]
            return images + shares * (1 - 2 * images)

    examples = run_minimal(Nearer(inverted), repetitions=3)
    whole = (1 - 2 * IMAGES).flatten(1).norm(dim=1)
    np.testing.assert_allclose(examples["l2"], torch.cat([whole, 0.9 * whole, 0.8 * whole]), rtol=1e-5)
    assert examples["repetition"].tolist() == np.repeat(range(3), 6).tolist()


def test_queries_of_a_strength_are_those_of_that_strength_alone():
    class Asking(Fixed):
        def perturb(self, target, images, labels, strengths, keys):
            for number, strength in enumerate(strengths, start=1):
                for _ in range(number):
                    target.oracle(images)
                yield self.make(images, strength)

    spec = entry("x", "scores", "linf")
    examples = run_entry(spec, Quadrants(), IMAGES, LABELS, attack=Asking(unchanged), strengths=STRENGTHS)
    asked = examples[examples["clean_prediction"] == examples["label"]].groupby("strength")["queries"].agg(set)
    assert asked.tolist() == [{number} for number in range(1, len(STRENGTHS) + 1)]


def test_progress_ends_at_one():
    seen = []
    attack = Fixed(unchanged)
    attack.one_by_one = True
    spec = entry("x", "none", "sigma")
    run_entry(spec, Quadrants(), IMAGES, LABELS, attack=attack, progress=seen.append, repetitions=2)
    assert seen == [pytest.approx(done / 12) for done in range(1, 13)]


def test_a_blind_attack_costs_the_clean_decisions_and_the_verdicts():
    network = Counting(Quadrants())
    run_fixed(lambda images, strength: images + 0.1 * strength, network=network)
    assert network.asked == 6 * len(STRENGTHS), "images that strength 0 left alone are not judged again"


def test_what_moves_at_strength_zero_is_judged():
    network = Counting(Quadrants())

    def partly(images, strength):
        return torch.cat([1 - images[:1], images[1:]])

    examples = run_fixed(partly, network=network)
    assert network.asked == 6 * (1 + len(STRENGTHS))
    weakest = examples[examples["strength"] == 0]
    assert weakest["correct"].tolist() == [False] + 5 * [True]
    assert (weakest["l2"] > 0).tolist() == [True] + 5 * [False]


def test_a_source_is_asked_for_decisions_only_where_distances_are_searched():
    source = Counting(Quadrants())
    run_entry(entry("x", "transfer", "linf"), Quadrants(), IMAGES, LABELS, source, Fixed(unchanged))
    assert source.asked == 0
    run_entry(entry("x", "transfer"), Quadrants(), IMAGES, LABELS, source, Minimal(inverted))
    assert source.asked == 6, "an attack may choose its own starts from the decisions on all images"
    run_entry(entry("x", "transfer"), Quadrants(), IMAGES, LABELS, source, Minimal(inverted, needs_starts=True))
    assert source.asked > 12
