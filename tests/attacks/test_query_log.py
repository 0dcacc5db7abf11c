"""The log of queries against a replay, one query after the other."""

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.querying.query_log import QueryLog, ordinals
from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.errors import JobFailedError
from tests.attacks.toys import (
    Counting,
    Quadrants,
    attacked,
    decisions_of,
    entry,
    gray_images,
    run_entry,
    some_images,
)


def replay(image, label, asked, network):
    """Recompute one image's log from the list of what was asked about it, in order."""
    distances, nearest = [], image
    for query in asked:
        inside = query.min() >= 0 and query.max() <= 1
        wrong = decisions_of(network, query[None]).item() != label
        distance = (query - image).norm().item() if wrong and inside else np.inf
        nearest = query if distance < min(distances, default=np.inf) else nearest
        distances.append(distance)
    count = len(asked)
    last = max([checkpoint for checkpoint in CHECKPOINTS if 2 * checkpoint <= count], default=10)
    at = {checkpoint: min(distances[:checkpoint], default=np.inf) for checkpoint in CHECKPOINTS}
    found_at = next((number for number, distance in enumerate(distances, start=1) if np.isfinite(distance)), 0)
    return count, min(distances, default=np.inf), nearest, at, last, found_at


def check_against_replay(log, images, labels, asked, network):
    queries, l2 = log.at_half()
    for row in range(len(images)):
        count, best, nearest, at, last, found_at = replay(images[row], labels[row].item(), asked[row], network)
        assert log.queries[row].item() == count
        assert log.found_at[row].item() == found_at
        assert log.best[row].item() == pytest.approx(best)
        assert torch.equal(log.nearest[row], nearest)
        for place, checkpoint in enumerate(CHECKPOINTS):
            assert log.at[place, row].item() == pytest.approx(at[checkpoint]), (row, checkpoint)
        assert (queries[row].item(), l2[row].item()) == (last, pytest.approx(at[last]))


def near(images, generator, spread):
    return images + spread * torch.randn(images.shape, generator=generator)


def ask(log, network, inputs, rows, of, asked):
    """Enter queries of the images ``of``, and remember them."""
    log.record(inputs, network(inputs), rows)
    for row, query in zip(of, inputs, strict=True):
        asked[row].append(query)


def test_ledger_equals_a_replay_of_rows_that_come_and_go():
    network, images = Quadrants(), gray_images(5)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(0)
    log, asked = QueryLog(images, labels), [[] for _ in range(5)]
    for step in range(150):
        rows = torch.arange(5)[torch.rand(5, generator=generator) < 0.8]
        inputs = near(images[rows], generator, 0.16 / (1 + step / 30))
        ask(log, network, inputs, rows, rows.tolist(), asked)
    check_against_replay(log, images, labels, asked, network)


def test_ledger_equals_a_replay_of_large_batches_about_one_image():
    network, images = Quadrants(), gray_images(3)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(1)
    log, asked = QueryLog(images, labels), [[], [], []]
    log.under_attack = torch.tensor([1])
    for size in (1, 20, 79, 1, 30, 250, 700, 5):
        inputs = near(images[1].expand(size, -1, -1, -1), generator, 4 / (25 + len(asked[1])))
        log.record(inputs, network(inputs), None)
        asked[1] += list(inputs)
    check_against_replay(log, images, labels, asked, network)
    assert torch.isfinite(log.at[:, 1]).any()
    assert len(log.at[:, 1].unique()) > 3, "the best distance fell from checkpoint to checkpoint"


def test_ledger_equals_a_replay_of_the_images_under_attack():
    network, images = Quadrants(), gray_images(4)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(2)
    log, asked = QueryLog(images, labels), [[] for _ in range(4)]
    log.under_attack = torch.tensor([0, 2, 3])
    for _ in range(60):
        inputs = near(images[[0, 2, 3]], generator, 0.1)
        ask(log, network, inputs, None, (0, 2, 3), asked)
    check_against_replay(log, images, labels, asked, network)


def test_ledger_equals_a_replay_of_several_queries_of_several_images_at_once():
    network, images = Quadrants(), gray_images(4)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(3)
    log, asked = QueryLog(images, labels), [[] for _ in range(4)]
    for step in range(12):
        rows = torch.randint(0, 4, (40,), generator=generator)
        inputs = near(images[rows], generator, 0.16 / (1 + step / 3))
        ask(log, network, inputs, rows, rows.tolist(), asked)
    check_against_replay(log, images, labels, asked, network)


def test_queries_that_are_not_counted_leave_no_trace():
    network, images = Quadrants(), gray_images(4)
    labels, generator = decisions_of(network, images), torch.Generator().manual_seed(4)
    for places, rows in (([0, 1, 2, 3], None), ([0, 2, 3], None), ([0, 2, 3], torch.tensor([0, 1, 2, 0, 1, 2, 1]))):
        log, asked = QueryLog(images, labels), [[] for _ in range(4)]
        log.under_attack = torch.tensor(places)
        whose = places if rows is None else [places[row] for row in rows.tolist()]
        for step in range(60):
            inputs = near(images[whose], generator, 0.16 / (1 + step / 10))
            counted = torch.rand(len(whose), generator=generator) < 0.6
            log.record(inputs, network(inputs), rows, counted)
            for row, query, counts in zip(whose, inputs, counted.tolist(), strict=True):
                asked[row] += [query] if counts else []
        check_against_replay(log, images, labels, asked, network)
        assert (log.nearest[places] != images[places]).flatten(1).any(dim=1).all()


def test_ordinals_number_what_is_counted():
    generator = torch.Generator().manual_seed(0)
    rows, counted = (torch.randint(0, high, (50,), generator=generator) for high in (4, 2))
    numbers, asked = ordinals(rows, counted, 4).tolist(), [0, 0, 0, 0]
    for row, counts, number in zip(rows.tolist(), counted.tolist(), numbers, strict=True):
        asked[row] += counts
        assert number == asked[row] or not counts
    assert min(asked) > 3


@pytest.mark.parametrize("rows", [None, torch.tensor([0, 1, 1])])
def test_a_ledger_changes_its_tensors_in_place(rows):
    network, images = Quadrants(), gray_images(3)
    log = QueryLog(images, decisions_of(network, images))
    names = ("queries", "best", "nearest", "at")
    places = [getattr(log, name).data_ptr() for name in names]
    inputs = 1 - images if rows is None else 1 - images[rows]
    log.record(inputs, network(inputs), rows)
    assert [getattr(log, name).data_ptr() for name in names] == places
    assert torch.isfinite(log.best[:2]).all()


def test_a_query_that_is_not_a_number_counts_and_finds_nothing():
    network, images = Quadrants(), gray_images(2)
    labels = decisions_of(network, images)
    log, broken = QueryLog(images, labels), 1 - images
    broken[:, 0, 0, 0] = torch.nan
    log.record(broken, network(1 - images), None)
    assert log.queries.tolist() == [1, 1]
    assert torch.isinf(log.best).all()


def test_a_query_outside_the_bounds_counts_and_finds_nothing():
    network, images = Quadrants(), gray_images(2)
    labels = decisions_of(network, images)
    log = QueryLog(images, labels)
    log.record(1.7 - images, network(1.7 - images), None)
    assert log.queries.tolist() == [1, 1]
    assert torch.isinf(log.best).all()
    log.record(1 - images, network(1 - images), None)
    assert torch.equal(log.nearest, 1 - images)


def test_queries_that_cannot_be_attributed_are_refused():
    images = some_images(3)
    oracle = attacked(Quadrants(), images, torch.zeros(3).long())[0].oracle
    with pytest.raises(JobFailedError, match=r"queried 2 images in a batch of 3.*evaluation\.batch_size = 1"):
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
        ("boundary", "decisions", "l2", {"steps": 43}),
        ("hop-skip-jump", "decisions", "l2", {"steps": 2, "initial_gradient_queries": 10}),
        ("square", "scores", "linf", {"steps": 15}),
        ("fast-gradient-sign", "gradients", "linf", {}),
    ],
)
def test_queries_are_what_a_counting_model_counts(attack, access, strength, parameters):
    network, images = Counting(Quadrants()), some_images(3)
    labels = decisions_of(network.network, images)
    examples = run_entry(entry(attack, access, strength, **parameters), network, images, labels)
    # An image that is as it was is not judged again.
    verdicts = (examples["strength"] != 0).sum() * (4 if "distance_at_half" in examples else 1)
    assert examples["queries"].sum() + len(images) + verdicts == network.asked
    assert (examples.groupby("index")["queries"].sum() > 0).all()


def test_the_oracle_and_its_ledger_ask_a_model_once():
    network, images = Counting(Quadrants()), some_images(3)
    Oracle(network, "decisions", QueryLog(images, torch.zeros(3).long()))(images)
    assert network.asked == 3
