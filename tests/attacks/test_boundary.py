"""Our boundary attack: foolbox's walk step by step, its distances, and no trace of the batch."""

from unittest import mock

import eagerpy
import foolbox
import numpy as np
import pytest
import torch
from foolbox.attacks import boundary_attack as theirs
from torch.utils._python_dispatch import TorchDispatchMode

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.boundary import BoundaryAttack, BoundaryState
from robustbench_pix.attacks.decision.starting_points import find_starts
from tests.attacks.toys import (
    Counting,
    Halfspace,
    QuadraticClassifier,
    attacked,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
)


def prepared(images, keys, network=None):
    """Return target, log, labels and starts."""
    network = QuadraticClassifier() if network is None else network
    labels = decisions_of(network, images)
    target, log = attacked(network, images, labels)
    starts, found = find_starts(target.oracle, images, labels, keys, images, labels, directions=50)
    assert found.all()
    return target, log, labels, starts


def foolbox_states(network, images, labels, starts, draws, **parameters):
    """Return what foolbox knows before each step, given its draws: best images, spherical and source steps."""
    states, remaining, propose = [], iter(draws), theirs.draw_proposals

    def watched(bounds, originals, best, unnormalized, directions, norms, spherical_steps, source_steps):
        states.append((best.raw.clone(), spherical_steps.raw.clone(), source_steps.raw.clone()))
        with mock.patch.object(theirs.ep, "normal", return_value=eagerpy.astensor(next(remaining)[:, None])):
            return propose(bounds, originals, best, unnormalized, directions, norms, spherical_steps, source_steps)

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.BoundaryAttack(steps=len(draws), **parameters)
    with mock.patch.object(theirs, "draw_proposals", watched):
        attack(model, images, labels, epsilons=None, starting_points=starts)
    return states


class Watched(BoundaryState):
    """A walk that remembers its state before each step."""

    def _propose(self, direction):
        state = self.nearest.clone(), self.spherical_steps.clone(), self.source_steps.clone()
        self.states = [*getattr(self, "states", []), state]
        return super()._propose(direction)


@pytest.mark.parametrize("count", [1, 4])
def test_given_foolboxs_draws_every_step_is_foolboxs(count):
    images, steps = some_images(count), 1207
    target, _, labels, starts = prepared(images, keys_of(count))
    draws = torch.randn(steps, images[0].numel(), generator=torch.Generator().manual_seed(0))
    # Shorter steps towards the image would rarely fail, and lengths would never shrink within this walk.
    lengths = {"spherical_step": 0.2, "source_step": 0.05}
    expected = foolbox_states(target.oracle.network, images, labels, starts, draws, **lengths)
    padded = torch.cat([draws, torch.zeros(10, draws.shape[1])])
    walk = Watched(
        BoundaryAttack(steps, **lengths),
        target.oracle,
        images,
        labels,
        starts,
        lambda numbers, _: padded[numbers][:, None].expand(-1, count, -1),
    )
    with torch.no_grad():
        walk.run()
    assert len(walk.states) == len(expected) == steps
    ours, others = ([torch.stack(values) for values in zip(*states, strict=True)] for states in (walk.states, expected))
    torch.testing.assert_close(ours[0], others[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[1:], others[1:], rtol=1e-5, atol=0)
    assert (walk.distances < 0.9 * (starts - images).flatten(1).norm(dim=1)).all()
    for lengths_of_steps in others[1:]:
        assert len(lengths_of_steps.unique()) > 1, "both lengths were adapted"


def test_distances_agree_with_foolboxs_in_distribution():
    """The same images, three walks each with our draws and with foolbox's, in the midst of the descent."""
    repetitions, images, steps = 3, some_images(16), 600
    network = QuadraticClassifier()
    labels = decisions_of(network, images)
    target, _, _, starts = prepared(images, keys_of(16))
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    logs = np.empty((2, repetitions, 16))
    for repetition in range(repetitions):
        target, _ = attacked(network, images, labels)
        found = BoundaryAttack(steps).minimize(target, images, labels, starts, keys_of(16, repetition=repetition))
        torch.manual_seed(repetition)
        # In two batches, so that fewer images share a direction.
        others = [
            foolbox.attacks.BoundaryAttack(steps=steps)(
                model, images[part], labels[part], epsilons=None, starting_points=starts[part]
            )[0]
            for part in torch.arange(16).split(8)
        ]
        for row, points in enumerate((found, torch.cat(others))):
            logs[row, repetition] = (points - images).flatten(1).norm(dim=1).log().numpy()
    difference = logs[0].mean(axis=0) - logs[1].mean(axis=0)
    error = difference.std(ddof=1) / np.sqrt(16)
    assert error < 0.03, "the comparison tells 10% apart"
    assert abs(difference.mean()) < 3.5 * error
    spread = logs.std(axis=1, ddof=1).mean(axis=1)
    assert 0.6 < spread[0] / spread[1] < 1.7


def test_it_reaches_the_distance_to_a_hyperplane():
    network, images = Halfspace(distance=0.3), gray_images(4)
    examples = run_entry(entry("boundary", steps=5000), network, images, classes=2)
    ratio = examples["l2"].to_numpy() / network.distances(images).numpy()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.01).all()
    assert not examples["failed"].any()


def test_a_walk_depends_on_its_image_and_key_alone():
    images = some_images(6)
    pool, keys = torch.cat([images, images]), [*keys_of(6), *keys_of(6, repetition=1)]
    target, log, labels, starts = prepared(pool, keys)
    attack = BoundaryAttack(steps=400)
    asked = log.queries.clone()
    together = attack.minimize(target, pool, labels, starts, keys)
    assert not torch.equal(together[:6], together[6:]), "repetitions are other walks"
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    target, shuffled = attacked(QuadraticClassifier(), pool[order], labels[order])
    found = attack.minimize(target, pool[order], labels[order], starts[order], [keys[place] for place in order])
    assert torch.equal(found, together[order])
    assert torch.equal(shuffled.queries, (log.queries - asked)[order])
    for place in (0, 7):
        one = slice(place, place + 1)
        target, alone = attacked(QuadraticClassifier(), pool[one], labels[one])
        assert torch.equal(attack.minimize(target, pool[one], labels[one], starts[one], keys[one]), together[one])
        assert alone.queries[0] == log.queries[place] - asked[place]


@pytest.mark.parametrize("steps", [1, 7, 10, 23, 50])
def test_queries_are_one_a_step_and_one_more_every_tenth(steps):
    network, images, keys = Counting(QuadraticClassifier()), some_images(3), keys_of(3)
    target, log, labels, starts = prepared(images, keys, network)
    asked, before = log.queries.clone(), network.asked
    found = BoundaryAttack(steps).minimize(target, images, labels, starts, keys)
    assert (log.queries - asked == steps + steps // 10).all()
    assert network.asked - before == 3 * (steps + steps // 10)
    distance = (found - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(log.best, distance)
    assert (distance <= (starts - images).flatten(1).norm(dim=1)).all()
    assert (decisions_of(network, found) != labels).all()


def test_an_image_that_has_converged_is_left_alone_and_asks_no_more():
    """With long first steps and a lenient limit all images converge, at different times."""
    images, keys = some_images(8), keys_of(8)
    target, log, labels, starts = prepared(images, keys)
    before = log.queries.clone()
    attack = BoundaryAttack(20_000, spherical_step=0.5, source_step=0.02, source_step_convergence=0.01)
    together = attack.minimize(target, images, labels, starts, keys)
    asked = log.queries - before
    assert len(asked.unique()) > 1
    assert (asked < 22_000).all()
    assert (asked % 11 == 0).all(), "they stop between blocks"
    early = asked.argmin().item()
    one = slice(early, early + 1)
    target, alone = attacked(QuadraticClassifier(), images[one], labels[one])
    assert torch.equal(attack.minimize(target, images[one], labels[one], starts[one], keys[one]), together[one])
    assert alone.queries[0] == asked[early]


def test_an_image_that_converges_before_the_last_steps_takes_none_of_them_in_company_either():
    images, keys = some_images(8), keys_of(8)
    _, _, labels, starts = prepared(images, keys)
    settings = {"spherical_step": 0.5, "source_step": 0.02, "source_step_convergence": 0.01}
    target, log = attacked(QuadraticClassifier(), images, labels)
    BoundaryAttack(20_000, **settings).minimize(target, images, labels, starts, keys)
    first = log.queries.argmin().item()
    blocks = int(log.queries[first]) // 11
    target, log = attacked(QuadraticClassifier(), images, labels)
    BoundaryAttack(10 * blocks + 5, **settings).minimize(target, images, labels, starts, keys)
    assert log.queries[first] == 11 * blocks
    assert log.queries.max() == 11 * blocks + 5


def walking(images):
    keys = keys_of(len(images))
    target, log, labels, starts = prepared(images, keys)
    noise = PhiloxNoise(keys, "boundary", images.device)
    return BoundaryState(BoundaryAttack(), target.oracle, images, labels, starts, noise.normal), log


def state_of(walk, log):
    parts = {"walk": walk, "spherical": walk.spherical_rate, "source": walk.source_rate, "log": log}
    return {
        f"{part}.{name}": value
        for part, holder in parts.items()
        for name, value in vars(holder).items()
        if isinstance(value, torch.Tensor)
    }


def test_a_block_changes_its_tensors_in_place_so_that_it_can_be_replayed():
    walk, log = walking(some_images(3))
    places = {name: value.data_ptr() for name, value in state_of(walk, log).items()}
    before = {name: value.clone() for name, value in state_of(walk, log).items()}
    with torch.no_grad():
        walk.block()
    after = state_of(walk, log)
    assert {name: value.data_ptr() for name, value in after.items()} == places
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed >= {"walk.nearest", "walk.distances", "walk.steps_of_block", "spherical.successes", "source.noted"}
    assert changed >= {"log.queries", "log.best", "log.nearest", "log.at"}


def test_what_has_converged_keeps_its_step_lengths():
    walk, log = walking(some_images(3))
    walk.source_steps[1] = 1e-8
    before, asked = {name: value.clone() for name, value in state_of(walk, log).items()}, log.queries.clone()
    with torch.no_grad():
        for _ in range(120):
            walk.block()
    for name in ("nearest", "distances", "spherical_steps", "source_steps"):
        same = [torch.equal(getattr(walk, name)[row], before[f"walk.{name}"][row]) for row in range(3)]
        assert same == [False, True, False], name
    assert (log.queries - asked).tolist() == [1320, 0, 1320]


class Waits(TorchDispatchMode):
    """Refuses what makes the host wait for the device: reading a value, or a result of a size that values decide."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        waits = any(word in function.__name__ for word in ("_local_scalar_dense", "nonzero", "masked_select"))
        if function.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_):
            waits |= any(index is not None and index.dtype == torch.bool for index in args[1])
        assert not waits, f"{function} waits for the device"
        return function(*args, **(kwargs or {}))


def test_a_block_never_waits_for_the_device():
    walk, _ = walking(some_images(3))
    with torch.no_grad(), Waits():
        walk.block()
        for wait in (lambda: bool(walk.converged().all()), lambda: walk.nearest[walk.converged()]):
            with pytest.raises(AssertionError, match="waits for the device"):
                wait()


def test_on_a_source_model_it_asks_the_attacked_model_nothing():
    source, network, images = Halfspace(distance=0.3), Counting(Halfspace(distance=0.2)), gray_images(4)
    labels = decisions_of(network.network, images)
    examples = run_entry(entry("boundary", "transfer", steps=3000), network, images, labels, source, classes=2)
    assert (examples["queries"] == 0).all()
    ratio = examples["l2"].to_numpy() / source.distances(images).numpy()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.2).all()


@pytest.mark.parametrize(
    ("spherical", "source", "spherical_factor", "source_factor"),
    [
        (0.50, 7 / 30, 1.0, 1.0),
        (0.51, 7 / 30, 1.5, 1.5),
        (0.20, 7 / 30, 1.0, 1.0),
        (0.19, 7 / 30, 1 / 1.5, 1 / 1.5),
        (0.50, 8 / 30, 1.0, 1.5),
        (0.50, 3 / 30, 1.0, 1.0),
        (0.50, 2 / 30, 1.0, 1 / 1.5),
    ],
)
def test_step_lengths_follow_foolboxs_rates(spherical, source, spherical_factor, source_factor):
    """Of 100 spherical steps more than a half, fewer than a fifth; of 30 others more than a quarter, fewer than 0.1."""
    walk, _ = walking(some_images(1))
    before = walk.spherical_steps.clone(), walk.source_steps.clone()
    for trial in range(99):
        walk.spherical_rate.record(torch.tensor([trial < round(100 * spherical)]), above=0.5, below=0.2)
    for trial in range(29):
        walk.source_rate.record(torch.tensor([trial < round(30 * source)]), above=0.25, below=0.1)
    walk._adapt(torch.tensor([False]), torch.tensor([False]))
    torch.testing.assert_close(walk.spherical_steps, spherical_factor * before[0])
    torch.testing.assert_close(walk.source_steps, source_factor * before[1])
