"""The shortest move to a hyperplane within the unit box, against a general solver of convex problems."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from robustbench_pix.attacks.gradient.fab import to_hyperplane

ENTRIES = 6


def draws(count):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(count, ENTRIES, generator=generator)
    points[0, :3] = torch.tensor([0.0, 1.0, 0.0])
    normals = torch.randn(count, ENTRIES, generator=generator)
    normals[1, 2:4] = 0
    return points, normals, generator


def shortest(point, normal, offset, norm):
    """Return the length of the shortest move."""
    bounds = list(zip(-point, 1 - point, strict=True))
    if norm == "l2":
        constraint = {"type": "eq", "fun": lambda move: normal @ move + offset, "jac": lambda move: normal}
        found = minimize(
            lambda move: move @ move, 0 * point, jac=lambda move: 2 * move, bounds=bounds, constraints=constraint
        )
        return np.sqrt(found.fun)
    # The largest entry is a variable of its own.
    above = np.block([[np.eye(ENTRIES), -np.ones((ENTRIES, 1))], [-np.eye(ENTRIES), -np.ones((ENTRIES, 1))]])
    found = linprog([0] * ENTRIES + [1], above, np.zeros(2 * ENTRIES), [[*normal, 0]], [-offset], [*bounds, (0, None)])
    return found.fun


@pytest.mark.parametrize("scale", [1.0, 1e-15])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_move_reaches_the_hyperplane_in_the_box_and_none_is_shorter(norm, scale):
    points, normals, generator = draws(40)
    moves = (torch.rand(40, ENTRIES, generator=generator) - points) * torch.rand(40, 1, generator=generator)
    offsets = -(normals * moves).sum(dim=1)
    assert {True, False} == set((offsets > 0).tolist())
    found = to_hyperplane(points, scale * normals, scale * offsets, norm)
    torch.testing.assert_close((normals * found).sum(dim=1), -offsets, atol=1e-5, rtol=0)
    assert (points + found).min() >= -1e-6
    assert (points + found).max() <= 1 + 1e-6
    lengths = found.norm(dim=1) if norm == "l2" else found.abs().amax(dim=1)
    pairs = zip(points.double().numpy(), normals.double().numpy(), offsets.double().numpy(), strict=True)
    expected = [shortest(point, normal, offset, norm) for point, normal, offset in pairs]
    np.testing.assert_allclose(lengths.numpy(), expected, atol=2e-5)
    assert ((points + found == 0) | (points + found == 1)).any(), "some bounds were met"


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_where_the_hyperplane_misses_the_box_it_goes_to_the_nearest_corner(norm):
    points, normals, _ = draws(10)
    for side in (1, -1):
        found = to_hyperplane(points, normals, torch.full((10,), side * 100.0), norm)
        corner = torch.where(side * normals > 0, 0.0, 1.0)
        torch.testing.assert_close(points + found, torch.where(normals == 0, points, corner))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_without_a_slope_or_a_way_to_go_it_stays(norm):
    points, normals, _ = draws(4)
    assert (to_hyperplane(points, normals, torch.zeros(4), norm) == 0).all()
    assert (to_hyperplane(points, torch.zeros(4, ENTRIES), torch.ones(4), norm) == 0).all()
