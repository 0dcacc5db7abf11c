"""On a linear classifier the smallest perturbation has a closed form: one table, one test for every shipped attack.

An attack of minimal distance comes within a stated factor of it within a stated budget of queries; one of a given l1,
l2 or linf strength stays inside its ball. A new entry belongs into the table.
"""

from pathlib import Path

import numpy as np
import pytest

from robustbench_pix.attacks.base import MinimalDistanceAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.catalogue.workspace import Workspace
from tests.attacks.toys import Halfspace, gray_images, run_entry

SHIPPED = Workspace(Path("nowhere"))

REACHES = {
    "boundary": (6000, 1.01),
    "boundary-50-steps": (150, 12.0),
    "boundary-budget": (10_000, 1.01),
    "boundary-foolbox": (6000, 1.01),
    "decision-ensemble": (5_000, 1.01),
    "decision-ensemble-budget": (10_000, 1.01),
    "geoda": (10_000, 1.02),
    "hop-skip-jump": (3000, 1.1),
    "hop-skip-jump-art": (3000, 1.1),
    "hop-skip-jump-budget": (10_000, 1.03),
    "pointwise": (1000, 4.0),
}
"""Attack of minimal distance -> queries of an image, and how many times the smallest perturbation it may take."""

BALLS = ("l1", "l2", "linf")


def smallest(network, images, norm):
    """Return the distances (N,) to the hyperplane: the margin over the dual norm of its normal."""
    margin, normal = network.margin(images).abs(), network.weight
    dual = normal.abs().sum() if norm == "linf" else normal.norm()
    return (margin / dual).detach().numpy()


@pytest.mark.parametrize("name", SHIPPED.names("attacks"))
def test_attacks_reach_the_closed_form_and_stay_inside_their_balls(name):
    spec = SHIPPED.attack(name)
    network, images = Halfspace(distance=0.3), gray_images(3)
    source = Halfspace(distance=0.3) if spec.access == "transfer" else None
    if isinstance(build_attack(spec), MinimalDistanceAttack):
        assert name in REACHES, f"{name} is missing in REACHES: which factor does it reach, with how many queries?"
        budget, factor = REACHES[name]
        fields = spec.evaluation.model_dump() | {"budget": budget, "repetitions": 1}
        examples = run_entry(spec, network, images, None, source, classes=2, **_without_images(fields))
        ratio = examples["linf" if spec.strength == "linf" else "l2"] / smallest(network, images, spec.strength)
        assert (ratio > 1 - 1e-4).all()
        assert (ratio < factor).all(), ratio.max()
        assert (examples["queries"] <= budget).all()
    elif spec.strength in BALLS:
        strengths = (0.0, 0.01, 0.1)
        examples = run_entry(spec, network, images, None, source, classes=2, strengths=strengths)
        assert not examples["failed"].any(), "it left its ball or [0, 1]"
        if spec.strength != "l1":
            assert (examples[spec.strength] <= np.repeat(strengths, 3) * 1.0002 + 1e-6).all()


def test_the_table_names_shipped_attacks_only():
    assert set(REACHES) <= set(SHIPPED.names("attacks"))


def _without_images(fields):
    return {name: value for name, value in fields.items() if name != "images"}
