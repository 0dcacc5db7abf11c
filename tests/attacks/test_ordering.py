import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from robustbench_pix.attacks.gradient.composite import Schedule, doubly_stochastic


def uniform(count, places, seed=0):
    return 0.01 + 0.99 * torch.rand(count, places, places, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("places", [4, 6])
def test_rows_and_columns_sum_to_one(places):
    matrices = doubly_stochastic(uniform(20, places))
    assert (matrices > 0).all()
    torch.testing.assert_close(matrices.sum(dim=2), torch.ones(20, places))
    torch.testing.assert_close(matrices.sum(dim=1), torch.ones(20, places), atol=1e-3, rtol=0)


@pytest.mark.parametrize("places", [4, 6])
def test_the_first_order_is_scipys_assignment_of_largest_weight(places):
    schedule = Schedule(uniform(30, places))
    rows = torch.tensor([3, 0, 17, 29])
    for order, weights in zip(schedule.next(rows), schedule.weights[rows].numpy(), strict=True):
        assert order.tolist() == linear_sum_assignment(weights, maximize=True)[1].tolist()


def test_no_order_is_tried_again_before_all_were():
    schedule, rows = Schedule(uniform(2, 4)), torch.arange(2)
    orders = [schedule.next(rows)[0].tolist() for _ in range(48)]
    assert len({tuple(order) for order in orders[:24]}) == 24
    assert orders[24:] == orders[:24]
    weight = [schedule.weights[0][torch.arange(4), torch.tensor(order)].sum().item() for order in orders[:24]]
    assert weight == sorted(weight, reverse=True)


def test_a_steep_slope_brings_its_component_to_its_place():
    schedule = Schedule(uniform(3, 4))
    before = schedule.weights.clone()
    slopes = torch.zeros(1, 4, 4)
    slopes[0, 1, 2] = 3.0
    schedule.learn(torch.tensor([1]), slopes)
    assert schedule.weights[1, 1, 2] > before[1, 1, 2]
    assert schedule.next(torch.arange(3))[1, 1] == 2
    assert torch.equal(schedule.weights[[0, 2]], before[[0, 2]])
    expected = np.exp(before[1].double().numpy() + slopes[0].numpy())
    for _ in range(500):
        expected /= expected.sum(axis=0)
        expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(schedule.weights[1], expected, atol=1e-3)
