"""An error that a library raises on an image fails that image; our own errors, and one on every image, fail the job."""

import pytest
import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.querying.oracle import BudgetSpentError
from robustbench_pix.errors import JobFailedError
from robustbench_pix.results.measuring import _flags
from tests.attacks.toys import Counting, Quadrants, decisions_of, entry, run_entry, some_images

IMAGES = some_images(4)
LIBRARIES = [
    ("foolbox:LinfPGD", "gradients", "linf", {"steps": 2}),
    ("foolbox:L2DeepFoolAttack", "gradients", "l2", {"steps": 3}),
    ("art:FastGradientMethod", "gradients", "linf", {}),
    ("art:DeepFool", "gradients", "l2", {"max_iter": 3}),
]


class Allergic(torch.nn.Module):
    """Raises an error about images that lie near those given."""

    def __init__(self, error, *bad):
        super().__init__()
        self.network, self.error, self.bad, self.armed = Quadrants(), error, IMAGES[list(bad)], True

    def forward(self, images):
        if self.armed and images.requires_grad:
            near = (images.detach()[:, None] - self.bad).abs().flatten(2).amax(dim=2) < 0.5
            if near.any():
                raise self.error
        return self.network(images)


def run(attack, access, strength, parameters, error, *bad, **case):
    spec = entry(attack, access, strength, **parameters)
    labels = decisions_of(Quadrants(), IMAGES)
    return spec, run_entry(spec, Allergic(error, *bad), IMAGES, labels, strengths=(0.0, 0.1), **case)


@pytest.mark.parametrize(("attack", "access", "strength", "parameters"), LIBRARIES)
def test_an_error_on_one_image_fails_that_image_only(attack, access, strength, parameters):
    _, examples = run(attack, access, strength, parameters, ValueError("no"), 2)
    attacked = examples[examples["strength"] != 0]
    assert attacked["failed"].tolist() == [False, False, True, False]
    assert attacked["correct"].tolist()[2]
    marks = [1, 1, 2, 1] if attack.startswith("foolbox") else [0, 0, 2, 0]
    assert examples["raised"].tolist()[-4:] == marks
    alone = run(attack, access, strength, parameters, ValueError("no"), 2, batch_size=1)[1]
    for name in ("l2", "prediction"):
        assert attacked[name].tolist() == alone.loc[alone["strength"] != 0, name].tolist()


def test_the_row_says_so():
    spec, examples = run(*LIBRARIES[1], ValueError("no"), 2)
    flags = _flags(examples, examples, {"attack": spec.attack, "strength": "l2"}, float("nan"))
    assert "4 images attacked alone after an error of the library" in flags
    assert "failed on 25%" in flags


@pytest.mark.parametrize(("attack", "access", "strength", "parameters"), LIBRARIES)
def test_an_error_on_every_image_fails_the_job_with_its_reason(attack, access, strength, parameters):
    with pytest.raises(JobFailedError, match=rf"^{attack} failed on every image \(ValueError: this is broken\)$"):
        run(attack, access, strength, parameters, ValueError("this is broken."), 0, 1, 2, 3)


@pytest.mark.parametrize("error", [JobFailedError("ours"), MemoryError(), torch.OutOfMemoryError()])
@pytest.mark.parametrize(("attack", "access", "strength", "parameters"), LIBRARIES)
def test_errors_of_ours_and_of_the_machine_are_raised(attack, access, strength, parameters, error):
    with pytest.raises(type(error)):
        run(attack, access, strength, parameters, error, 2)


@pytest.mark.parametrize(("attack", "access", "strength", "parameters"), LIBRARIES)
def test_a_spent_budget_is_no_failure(attack, access, strength, parameters):
    _, examples = run(attack, access, strength, parameters, BudgetSpentError(), 2)
    assert "raised" not in examples


def test_images_attacked_alone_have_their_own_queries_and_the_same_budget():
    for budget in (None, 3):
        network = Counting(Allergic(ValueError("no"), 2))
        spec = entry("foolbox:LinfPGD", "gradients", "linf", steps=6)
        labels = decisions_of(Quadrants(), IMAGES)
        examples = run_entry(spec, network, IMAGES, labels, strengths=(0.1,), budget=budget)
        queries = examples["queries"].tolist()
        assert queries[0] == queries[1] == queries[3] == (7 if budget is None else budget)
        assert queries[2] == 0
        assert examples["failed"].tolist() == [False, False, True, False]


def test_an_engine_that_works_marks_nothing():
    examples = run_entry(entry(*LIBRARIES[0][:3], steps=2), Quadrants(), IMAGES)
    assert "raised" not in examples
    assert build_attack(entry("foolbox:LinfPGD", "gradients", "linf")).batch_dependent
