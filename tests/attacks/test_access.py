"""What an attacker sees, what is counted of what it asked, and that it leaves no trace."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.access import CHECKPOINTS, Ledger, Oracle, guarded
from robustbench_pix.attacks.base import FixedStrengthAttack, attacked_module
from robustbench_pix.errors import JobFailedError
from tests.attacks.toys import (
    Counting,
    Halfspace,
    Quadrants,
    attacked,
    blind,
    decisions_of,
    entry,
    gray_images,
    run_entry,
    some_images,
    tiny_network,
)

BLACK_BOX = ["decisions", "scores"]


def test_decisions_are_one_hot_rows_without_gradient():
    network, images = Quadrants(), some_images(6)
    oracle = attacked(network, images, decisions_of(network, images))[0].oracle
    seen = oracle(images)
    assert torch.equal(seen, torch.eye(4)[decisions_of(network, images)])
    assert not seen.requires_grad


def test_scores_are_logits_without_gradient_and_gradients_have_one():
    network, images = Quadrants(), some_images(6)
    for access, wanted in (("scores", False), ("gradients", True)):
        oracle = attacked(network, images, decisions_of(network, images), access)[0].oracle
        seen = oracle(images)
        torch.testing.assert_close(seen.detach(), network(images).detach())
        assert seen.requires_grad == wanted


@pytest.mark.parametrize("access", BLACK_BOX)
def test_asking_for_a_gradient_is_refused_with_a_sentence(access):
    network, images = Quadrants(), some_images(2)
    oracle = attacked(network, images, decisions_of(network, images), access)[0].oracle
    with pytest.raises(JobFailedError, match=f'asks for gradients, which access = "{access}" does not show'):
        oracle(images.clone().requires_grad_())
    with torch.no_grad():
        oracle(images.clone().requires_grad_())


@pytest.mark.parametrize("access", BLACK_BOX)
@pytest.mark.parametrize(
    "attack",
    [
        "fast-gradient-sign",
        "foolbox:LinfPGD",
        "foolbox:L2CarliniWagnerAttack",
        "foolbox:EADAttack",
        "foolbox:L2DeepFoolAttack",
        "art:FastGradientMethod",
        "art:CarliniL2Method",
    ],
)
def test_no_gradient_attack_works_in_a_black_box(access, attack):
    with pytest.raises(JobFailedError, match="asks for gradients"):
        run_entry(entry(attack, access, "linf"), Quadrants(), some_images(2))


def test_access_none_shows_no_model():
    with pytest.raises(JobFailedError, match="this attack needs a model; set access to"):
        attacked_module(blind())
    with pytest.raises(JobFailedError, match="this attack needs a model"):
        run_entry(entry("foolbox:BoundaryAttack", "none"), Quadrants(), some_images(2))


def test_float64_is_cast():
    network, images = tiny_network(), some_images(2)
    target, ledger = attacked(network, images, decisions_of(network, images), "scores")
    assert target.oracle(images.double()).dtype == torch.float32
    assert ledger.best.dtype == torch.float32


def test_the_oracle_stays_in_eval_mode():
    network, images = tiny_network(), some_images(2)
    oracle = attacked(network, images, decisions_of(network, images))[0].oracle
    oracle.train()
    assert not oracle.training
    assert not network.training


def replay(image, label, asked, network):
    """Recompute one image's ledger from the list of what was asked about it, in order."""
    distances, nearest = [], image
    for query in asked:
        inside = query.min() >= 0 and query.max() <= 1
        wrong = decisions_of(network, query[None]).item() != label
        distance = (query - image).norm().item() if wrong and inside else np.inf
        nearest = query if distance < min(distances, default=np.inf) else nearest
        distances.append(distance)
    count = len(asked)
    last = max([2**power for power in range(5, 21) if 2**power <= 0.75 * count], default=32)
    at = {checkpoint: min(distances[:checkpoint], default=np.inf) for checkpoint in CHECKPOINTS}
    return count, min(distances, default=np.inf), nearest, at, last


def check_against_replay(ledger, images, labels, asked, network):
    queries, l2 = ledger.last_doubling()
    for row in range(len(images)):
        count, best, nearest, at, last = replay(images[row], labels[row].item(), asked[row], network)
        assert ledger.queries[row].item() == count
        assert ledger.best[row].item() == pytest.approx(best)
        assert torch.equal(ledger.nearest[row], nearest)
        for checkpoint in (100, 1_000, 10_000, 32, 64, 128, 256):
            assert ledger.best_at(checkpoint)[row].item() == pytest.approx(at[checkpoint]), (row, checkpoint)
        assert (queries[row].item(), l2[row].item()) == (last, pytest.approx(at[last]))


def near(images, generator, spread):
    return images + spread * torch.randn(images.shape, generator=generator)


def test_ledger_equals_a_replay_of_rows_that_come_and_go():
    network, images = Quadrants(), gray_images(5)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(0)
    ledger, asked = Ledger(images, labels), [[] for _ in range(5)]
    for step in range(150):
        rows = torch.arange(5)[torch.rand(5, generator=generator) < 0.8]
        inputs = near(images[rows], generator, 0.16 / (1 + step / 30))
        ledger.record(inputs, network(inputs), rows)
        for row, query in zip(rows.tolist(), inputs, strict=True):
            asked[row].append(query)
    check_against_replay(ledger, images, labels, asked, network)


def test_ledger_equals_a_replay_of_large_batches_about_one_image():
    network, images = Quadrants(), gray_images(3)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(1)
    ledger, asked = Ledger(images, labels), [[], [], []]
    ledger.under_attack = torch.tensor([1])
    for size in (1, 20, 79, 1, 30, 250, 700, 5):
        inputs = near(images[1].expand(size, -1, -1, -1), generator, 4 / (25 + len(asked[1])))
        ledger.record(inputs, network(inputs), None)
        asked[1] += list(inputs)
    check_against_replay(ledger, images, labels, asked, network)
    assert torch.isfinite(ledger.at[:, 1]).any()
    assert len(ledger.at[:, 1].unique()) > 3, "the best distance fell from checkpoint to checkpoint"


def test_ledger_equals_a_replay_of_the_images_under_attack():
    network, images = Quadrants(), gray_images(4)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(2)
    ledger, asked = Ledger(images, labels), [[] for _ in range(4)]
    ledger.under_attack = torch.tensor([0, 2, 3])
    for _ in range(60):
        inputs = near(images[[0, 2, 3]], generator, 0.1)
        ledger.record(inputs, network(inputs), None)
        for row, query in zip((0, 2, 3), inputs, strict=True):
            asked[row].append(query)
    check_against_replay(ledger, images, labels, asked, network)


def test_ledger_equals_a_replay_of_several_queries_of_several_images_at_once():
    network, images = Quadrants(), gray_images(4)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(3)
    ledger, asked = Ledger(images, labels), [[] for _ in range(4)]
    for step in range(12):
        rows = torch.randint(0, 4, (40,), generator=generator)
        inputs = near(images[rows], generator, 0.16 / (1 + step / 3))
        ledger.record(inputs, network(inputs), rows)
        for row, query in zip(rows.tolist(), inputs, strict=True):
            asked[row].append(query)
    check_against_replay(ledger, images, labels, asked, network)


def test_queries_that_cannot_be_attributed_are_refused():
    images = some_images(3)
    oracle = attacked(Quadrants(), images, torch.zeros(3).long())[0].oracle
    with pytest.raises(JobFailedError, match=r"asked about 2 images in a batch of 3.*evaluation\.batch_size = 1"):
        oracle(images[:2])


@pytest.mark.parametrize(
    ("attack", "access", "strength", "parameters"),
    [
        ("foolbox:LinfPGD", "gradients", "linf", {"steps": 5}),
        ("foolbox:BoundaryAttack", "decisions", "l2", {"steps": 40}),
        ("foolbox:HopSkipJumpAttack", "decisions", "l2", {"steps": 1}),
        ("foolbox:SaltAndPepperNoiseAttack", "decisions", "l2", {"steps": 30}),
        ("art:HopSkipJump", "decisions", "l2", {"max_iter": 2, "max_eval": 20, "init_eval": 10}),
        ("art:SquareAttack", "scores", "linf", {"max_iter": 5}),
        ("fast-gradient-sign", "gradients", "linf", {}),
    ],
)
def test_queries_are_what_a_counting_model_counts(attack, access, strength, parameters):
    network, images = Counting(Quadrants()), some_images(3)
    labels = decisions_of(network.network, images)
    examples = run_entry(entry(attack, access, strength, **parameters), network, images, labels)
    verdicts = len(examples) * (4 if "checkpoint_l2" in examples else 1)
    assert examples["queries"].sum() + len(images) + verdicts == network.asked
    assert (examples.groupby("index")["queries"].sum() > 0).all()


class Meddling(FixedStrengthAttack):
    """Does to the model whatever it is told, then returns the images."""

    def __init__(self, meddle):
        self.meddle = meddle

    def perturb(self, target, images, labels, strengths, keys):
        self.meddle(target, images)
        for _ in strengths:
            yield images


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same_state(network, before):
    return all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("training", [False, True])
def test_training_mode_is_refused_and_put_back(training):
    network, images = tiny_network().train(training), some_images(4)
    for parameter in network.parameters():
        parameter.requires_grad_(training)
    before = state_of(network)

    def train_and_ask(target, images):
        target.oracle.train()
        target.oracle(images)

    run_entry(entry("x", "decisions"), network, images, torch.zeros(4).long(), attack=Meddling(train_and_ask))
    assert same_state(network, before)
    assert network.training == training
    assert all(parameter.requires_grad == training for parameter in network.parameters())


def test_an_attack_that_changes_the_model_is_refused_and_undone():
    network, images = tiny_network(), some_images(4)
    before = state_of(network)

    def change_weights(target, images):
        with torch.no_grad():
            next(target.oracle.network.parameters()).add_(1)

    def change_statistics(target, images):
        target.oracle.network.train()
        target.oracle.network(images)

    for meddle in (change_weights, change_statistics):
        with pytest.raises(JobFailedError, match=r"the attack changed the model .* it was restored"):
            run_entry(entry("x", "decisions"), network, images, torch.zeros(4).long(), attack=Meddling(meddle))
        assert same_state(network, before)
        assert not network.training


def test_the_source_is_guarded_too():
    source, images = tiny_network(), some_images(4)
    before = state_of(source)

    def change_source(target, images):
        target.source.network.train()
        target.source(images)

    spec = entry("x", "transfer", "linf")
    with pytest.raises(JobFailedError, match="the attack changed the model"):
        run_entry(spec, Quadrants(), images, source=source, attack=Meddling(change_source))
    assert same_state(source, before)


def test_a_failing_attack_leaves_the_model_as_it_was():
    network = tiny_network().train()
    before = state_of(network)

    def fail():
        with guarded(network):
            nn.init.zeros_(network.linear.weight)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert same_state(network, before)
    assert network.training


@pytest.mark.parametrize(
    ("attack", "access", "strength", "parameters"),
    [
        ("gaussian-noise", "none", "sigma", {}),
        ("fast-gradient-sign", "gradients", "linf", {}),
        ("foolbox:LinfPGD", "gradients", "linf", {"steps": 3}),
        ("foolbox:BoundaryAttack", "decisions", "l2", {"steps": 20}),
        ("foolbox:PointwiseAttack", "decisions", "l2", {}),
        ("foolbox:LinearSearchBlendedUniformNoiseAttack", "decisions", "l2", {"steps": 20}),
        ("art:HopSkipJump", "decisions", "l2", {"max_iter": 1, "init_eval": 5}),
        ("art:SquareAttack", "scores", "l2", {"max_iter": 3}),
        ("art:AutoProjectedGradientDescent", "gradients", "linf", {"max_iter": 2, "nb_random_init": 1}),
        ("art:SimBA", "scores", "l2", {"max_iter": 4, "attack": "px"}),
    ],
)
def test_no_engine_touches_the_random_states(attack, access, strength, parameters):
    run_entry(entry(attack, access, strength, **parameters), Halfspace(), some_images(1), classes=2)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    run_entry(entry(attack, access, strength, **parameters), Halfspace(), some_images(2), classes=2)
    assert random.getstate() == before[0]
    np.testing.assert_equal(np.random.get_state(), before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_oracle_and_its_ledger_ask_a_model_once():
    network, images = Counting(Quadrants()), some_images(3)
    Oracle(network, "decisions", Ledger(images, torch.zeros(3).long()))(images)
    assert network.asked == 3
