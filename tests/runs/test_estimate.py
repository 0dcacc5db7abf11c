"""What --dry-run supposes of attacks, against attacks."""

import pytest

from robustbench_pix.runs.estimate import QUERIES_OF_A_STEP
from tests.attacks.toys import Quadrants, entry, run_entry, some_images


@pytest.mark.parametrize(("attack", "steps"), [("boundary", 2000), ("hop-skip-jump", 10)])
def test_queries_of_a_step_are_as_supposed(attack, steps):
    examples = run_entry(entry(attack, steps=steps), Quadrants(), some_images(3))
    assert examples["queries"].mean() / steps == pytest.approx(QUERIES_OF_A_STEP[attack], rel=0.15)
