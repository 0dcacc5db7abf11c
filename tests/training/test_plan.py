import numpy as np
import pytest
import torch

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.preparation import crop_and_flip
from robustbench_pix.training.batches import ResidentPlan, TrainingData
from robustbench_pix.training.plan import batch_sizes, draw_ranks, epoch_plan, learning_rate

SPEC = TrainingSpec(epochs=40, batch_size=64)


def test_the_papers_schedule():
    rates = [learning_rate(SPEC, epoch) for epoch in range(40)]
    expected = [0.1 * 0.3 ** ((epoch % 20) // 4) for epoch in range(40)]
    assert rates == pytest.approx(expected)


def test_every_image_once_and_the_last_batch_kept():
    plan = epoch_plan(SPEC, seed=0, epoch=0, images=49_500, pairs=16, regularization_images=5_000)
    assert torch.equal(plan.order.sort().values, torch.arange(49_500))
    assert (len(plan.sizes), plan.sizes[-1], sum(plan.sizes)) == (774, 28, 49_500)
    assert {part.shape for part in plan.pairs} == {(774, 16)}


def test_the_images_of_pairs_are_those_of_their_numbers():
    pairs = epoch_plan(SPEC, seed=0, epoch=0, images=640, pairs=16, regularization_images=50).pairs
    numbered = [(i, j) for i in range(50) for j in range(i + 1, 50)]
    drawn = zip(pairs.first.flatten().tolist(), pairs.second.flatten().tolist(), strict=True)
    assert [numbered[rank] for rank in pairs.ranks.flatten().tolist()] == list(drawn)


def test_a_last_batch_below_the_minimum_is_dropped():
    spec = SPEC.model_copy(update={"minimum_batch": 16})
    plan = epoch_plan(spec, seed=0, epoch=0, images=14_850)
    assert set(plan.sizes) == {64}
    assert batch_sizes(spec, 640 + 16) == [64] * 10 + [16]
    assert batch_sizes(spec, 640) == [64] * 10


def test_the_plan_depends_on_seed_and_epoch_and_on_nothing_else():
    np.random.seed(0)
    first = epoch_plan(SPEC, seed=3, epoch=2, images=500, pairs=4, regularization_images=50)
    np.random.rand(10)
    torch.rand(10)
    again = epoch_plan(SPEC, seed=3, epoch=2, images=500, pairs=4, regularization_images=50)
    without_pairs = epoch_plan(SPEC, seed=3, epoch=2, images=500)
    assert all(torch.equal(one, other) for one, other in zip(first.pairs, again.pairs, strict=True))
    assert torch.equal(first.order, again.order)
    assert torch.equal(first.order, without_pairs.order)
    for seed, epoch in ((4, 2), (3, 3)):
        other = epoch_plan(SPEC, seed=seed, epoch=epoch, images=500, pairs=4, regularization_images=50)
        assert not torch.equal(first.order, other.order)
        assert not torch.equal(first.pairs.ranks, other.pairs.ranks)


def test_there_is_a_crop_for_each_image():
    spec = SPEC.model_copy(update={"augmentation": "crop-and-flip"})
    plan = epoch_plan(spec, seed=0, epoch=0, images=100)
    assert {len(part) for part in plan.crops} == {100}
    assert epoch_plan(SPEC, seed=0, epoch=0, images=100).crops is None


def test_a_resident_plan_hands_out_the_plan_step_by_step_in_every_epoch():
    generator = np.random.default_rng(0)

    def pictures(count):
        return torch.from_numpy(generator.integers(0, 256, (count, 1, 9, 9), dtype=np.uint8))

    labels = torch.arange(100)
    data = TrainingData(pictures(100), labels, pictures(1), labels[:1], pictures(30))
    spec = SPEC.model_copy(update={"augmentation": "crop-and-flip"})
    batches = ResidentPlan(data, torch.float64, torch.channels_last)
    for epoch in range(2):
        plan = epoch_plan(spec, seed=1, epoch=epoch, images=100, pairs=3, regularization_images=30, singles=4)
        batches.begin(plan)
        for step, numbers in enumerate(plan.order.split(64)):
            task, pairs, singles = batches.task_batch(len(numbers)), batches.pair_batch(), batches.single_batch()
            batches.advance(len(numbers))
            crops = [part[64 * step : 64 * step + 64] for part in plan.crops]
            assert torch.equal(task.images, crop_and_flip(data.images[numbers], *crops).double() / 255)
            assert torch.equal(task.labels, numbers)
            assert torch.equal(pairs.ranks, plan.pairs.ranks[step])
            assert torch.equal(pairs.first, data.regularization_images[plan.pairs.first[step]].double() / 255)
            assert torch.equal(pairs.second, data.regularization_images[plan.pairs.second[step]].double() / 255)
            assert torch.equal(singles.numbers, plan.singles[step])
            assert len(set(singles.numbers.tolist())) == 4
            assert torch.equal(singles.images, data.regularization_images[plan.singles[step]].double() / 255)


def test_ranks_are_uniform_over_all_pairs_or_the_allowed_ones():
    uniforms = np.random.default_rng(0).random(200_000)
    counts = np.bincount(draw_ranks(uniforms, 10, None).numpy(), minlength=10)
    assert abs(counts - 20_000).max() < 5 * np.sqrt(20_000)
    allowed = torch.tensor([2, 5, 9])
    drawn = draw_ranks(uniforms, 10, allowed)
    assert set(drawn.tolist()) == {2, 5, 9}
    assert int(draw_ranks(np.array([np.nextafter(1.0, 0.0)]), 12_497_500, None)) == 12_497_499
