import numpy as np
import torch
from torch import nn

from robustbench_pix.attacks.decision.starting_points import find_starts
from robustbench_pix.randomness import stream
from tests.attacks.toys import (
    SIDE,
    Halfspace,
    Quadrants,
    attacked,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
)


def starts_of(network, images, directions=20, keys=None, pool=None):
    labels = decisions_of(network, images)
    target, log = attacked(network, images, labels)
    keys = keys_of(len(images)) if keys is None else keys
    pool = images if pool is None else pool
    starts, found = find_starts(
        target.oracle, images, labels, keys, pool, decisions_of(network, pool), directions=directions
    )
    return starts, found, log


def loop(network, images, pool, directions):
    """Find the start of each image alone, with the queries it takes."""
    labels = decisions_of(network, images)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        queries, far = 0, None
        noises = (
            torch.from_numpy(stream(f"start-{attempt}", 0, "toy", index, 0).random(image.shape, dtype=np.float32))
            for attempt in range(directions)
        )
        for tried in noises:
            queries += 1
            if decisions_of(network, tried[None]) != label:
                far = tried
                break
        else:
            queries += 1
            others = [pool[(index + attempt) % len(pool)] for attempt in range(len(pool))]
            far = next((other for other in others if decisions_of(network, other[None]) != label), None)
        if far is None:
            yield None, queries
            continue
        for share in np.linspace(0, 1, 51):
            queries += 1
            blend = (1 - share) * image + share * far
            if decisions_of(network, blend[None]) != label:
                break
        yield blend, queries + 1


def test_starts_are_what_a_loop_over_the_images_finds():
    network = Quadrants()
    images = torch.cat([some_images(12), 0.2 + 0.7 * torch.eye(4).reshape(4, 1, 2, 2).repeat(1, 1, 4, 4)])
    starts, found, log = starts_of(network, images, directions=3)
    for index, (expected, queries) in enumerate(loop(network, images, images, 3)):
        assert found[index]
        torch.testing.assert_close(starts[index], expected.float(), atol=1e-6, rtol=0)
        assert log.queries[index] == queries
    assert (decisions_of(network, starts) != decisions_of(network, images)).all()


def test_starts_do_not_depend_on_the_batch():
    network, images, keys = Quadrants(), some_images(10), keys_of(10)
    together, _, _ = starts_of(network, images)
    backwards, _, _ = starts_of(network, images.flip(0), keys=keys[::-1], pool=images)
    assert torch.equal(together, backwards.flip(0))
    alone, _, log = starts_of(network, images[4:5], keys=keys[4:5], pool=images)
    assert torch.equal(alone[0], together[4])
    assert log.best[0] == (alone[0] - images[4]).norm()


def test_other_repetitions_start_elsewhere():
    network, images = Quadrants(), some_images(6)
    starts, _, _ = starts_of(network, images)
    others, _, _ = starts_of(network, images, keys=keys_of(6, repetition=1))
    assert (starts != others).flatten(1).any(dim=1).all()


class Bright(nn.Module):
    """Class 1 is an image that is bright everywhere: uniform noise never is."""

    def forward(self, images):
        darkest = images.flatten(1).amin(dim=1)
        return torch.stack([torch.full_like(darkest, 0.6), darkest], dim=1)


def test_an_image_that_no_noise_fools_starts_from_a_test_image_of_another_class():
    images = torch.tensor([0.1, 0.2, 0.9]).reshape(3, 1, 1, 1).expand(3, 1, SIDE, SIDE)
    starts, found, log = starts_of(Bright(), images, directions=4)
    assert found.all()
    torch.testing.assert_close(starts[0], torch.full_like(starts[0], 0.1 + 0.8 * 32 / 50))
    # Four noises, the one image of another class, the blends of shares 0 to 32 of 50, and the start once more.
    assert log.queries[0] == 4 + 1 + 33 + 1


def test_no_start_where_the_model_never_errs():
    _, found, log = starts_of(Bright(), torch.full((2, 1, SIDE, SIDE), 0.3), directions=4)
    assert found.tolist() == [False, False]
    assert log.queries.tolist() == [5, 5]
    assert torch.isinf(log.best).all()


class Stubborn(nn.Module):
    """A halfspace whose other class is far from most noise: with one direction some images have a start, some not."""

    def __init__(self):
        super().__init__()
        self.halfspace = Halfspace()

    def forward(self, images):
        return self.halfspace(images) - torch.tensor([0.0, 1.0])


def test_an_image_without_a_start_fails_alone():
    network, images = Stubborn(), gray_images(12)
    images = images[decisions_of(network, images) == 0]
    _, found, _ = starts_of(network, images, directions=1)
    assert 0 < found.sum() < len(images)
    spec = entry("foolbox:BoundaryAttack", steps=30)
    examples = run_entry(spec, network, images, start_directions=1, classes=2)
    assert examples["failed"].tolist() == (~found).tolist()
    assert np.isinf(examples["l2"]).tolist() == (~found).tolist()
    assert examples["correct"].tolist() == (~found).tolist()
    assert (examples["queries"][~found.numpy()] == 1 + 1).all()
    assert (examples["queries"][found.numpy()] > 30).all()
