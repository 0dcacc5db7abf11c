import numpy as np
import pytest
import torch

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.training.plan import draw_ranks, epoch_plan, learning_rate

SPEC = TrainingSpec(epochs=40, batch_size=64)


def test_the_papers_schedule():
    rates = [learning_rate(SPEC, epoch) for epoch in range(40)]
    expected = [0.1 * 0.3 ** ((epoch % 20) // 4) for epoch in range(40)]
    assert rates == pytest.approx(expected)


def test_every_image_once_and_the_last_batch_kept():
    plan = epoch_plan(SPEC, seed=0, epoch=0, images=49_500, pairs=16)
    assert torch.equal(torch.cat(plan.batches).sort().values, torch.arange(49_500))
    assert (len(plan.batches), len(plan.batches[-1])) == (774, 28)
    assert plan.pair_uniforms.shape == (774, 16)


def test_a_last_batch_below_the_minimum_is_dropped():
    spec = SPEC.model_copy(update={"minimum_batch": 16})
    plan = epoch_plan(spec, seed=0, epoch=0, images=14_850, pairs=0)
    assert {len(batch) for batch in plan.batches} == {64}


def test_the_plan_depends_on_seed_and_epoch_and_on_nothing_else():
    np.random.seed(0)
    first = epoch_plan(SPEC, seed=3, epoch=2, images=500, pairs=4)
    np.random.rand(10)
    again = epoch_plan(SPEC, seed=3, epoch=2, images=500, pairs=16)
    assert torch.equal(torch.cat(first.batches), torch.cat(again.batches))
    for seed, epoch in ((4, 2), (3, 3)):
        other = epoch_plan(SPEC, seed=seed, epoch=epoch, images=500, pairs=4)
        assert not torch.equal(torch.cat(first.batches), torch.cat(other.batches))


def test_crops_belong_to_their_batches():
    spec = SPEC.model_copy(update={"augmentation": "crop-and-flip"})
    plan = epoch_plan(spec, seed=0, epoch=0, images=100, pairs=0)
    assert [len(crops.rows) for crops in plan.crops] == [len(batch) for batch in plan.batches]
    assert epoch_plan(SPEC, seed=0, epoch=0, images=100, pairs=0).crops is None


def test_ranks_are_uniform_over_all_pairs_or_the_allowed_ones():
    uniforms = np.random.default_rng(0).random(200_000)
    counts = np.bincount(draw_ranks(uniforms, 10, None).numpy(), minlength=10)
    assert abs(counts - 20_000).max() < 5 * np.sqrt(20_000)
    allowed = torch.tensor([2, 5, 9])
    drawn = draw_ranks(uniforms, 10, allowed)
    assert set(drawn.tolist()) == {2, 5, 9}
    assert int(draw_ranks(np.array([np.nextafter(1.0, 0.0)]), 12_497_500, None)) == 12_497_499
