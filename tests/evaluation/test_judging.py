import numpy as np
import pytest
import torch

from robustbench_pix.errors import JobFailedError
from robustbench_pix.evaluation.judging import accept, judge, judge_batch, predict, unmoved
from tests.attacks.toys import Quadrants, decisions_of, gray_images, some_images, tiny_network

CLEAN = some_images(6, channels=3)


def judged(perturbed, clean=CLEAN, **ball):
    return judge(Quadrants(), clean, perturbed, device="cpu", **ball)


def test_norms_are_those_of_numpy():
    perturbed = (CLEAN + 0.2 * torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    verdict = judged(perturbed)
    for index in range(6):
        difference = (perturbed[index].double() - CLEAN[index].double()).numpy().ravel()
        assert verdict.l2[index].item() == pytest.approx(np.linalg.norm(difference), rel=1e-5)
        assert verdict.linf[index].item() == pytest.approx(np.abs(difference).max(), rel=1e-5)
    assert torch.equal(verdict.prediction, decisions_of(Quadrants(), perturbed))
    assert not verdict.failed.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1.001, -0.001])
def test_what_is_no_image_is_judged_as_the_clean_one(value):
    perturbed = 1 - CLEAN
    perturbed[2, 1, 3, 3] = value
    verdict = judged(perturbed)
    assert verdict.failed.tolist() == [False, False, True, False, False, False]
    assert (verdict.l2[2], verdict.linf[2]) == (0, 0)
    assert verdict.prediction[2] == decisions_of(Quadrants(), CLEAN)[2]
    assert torch.equal(verdict.prediction != decisions_of(Quadrants(), CLEAN), ~verdict.failed)


def test_rounding_at_the_bounds_is_clamped_away():
    verdict = judged(CLEAN.round() * (1 + 2e-5) - 1e-5)
    assert not verdict.failed.any()
    assert (verdict.linf <= 1).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("radius", [1e-4, 5e-4, 0.05])
def test_outside_the_ball_is_a_failure(norm, radius):
    clean = gray_images(4)
    direction = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    order = 2 if norm == "l2" else torch.inf
    unit = direction / direction.flatten(1).norm(order, dim=1)[:, None, None, None]
    lengths = radius * torch.tensor([0.5, 1.0, 1.02, 2.0])
    verdict = judged(clean + lengths[:, None, None, None] * unit, clean, norm=norm, radius=radius)
    assert verdict.failed.tolist() == [False, False, True, True]
    assert (verdict.l2[2:] == 0).all()


def test_no_ball_for_other_strengths():
    for ball in ({"norm": "sigma", "radius": 1e-3}, {"norm": "linf", "radius": None}):
        assert not judged(1 - CLEAN, **ball).failed.any()


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        (None, "nothing"),
        (CLEAN[:1], r"the shape \(1, 3, 8, 8\)"),
        (CLEAN[:, :1], r"the shape \(6, 1, 8, 8\)"),
        (CLEAN.flatten(1), r"the shape \(6, 192\)"),
    ],
)
def test_only_one_image_for_each_image_is_accepted(returned, what):
    with pytest.raises(JobFailedError, match=rf"returned {what} for images of the shape \(6, 3, 8, 8\)"):
        accept(returned, CLEAN)


def test_another_type_and_a_gradient_are_accepted():
    accepted = accept(CLEAN.double().requires_grad_(), CLEAN)
    assert accepted.dtype == torch.float32
    assert not accepted.requires_grad
    assert torch.equal(accepted, CLEAN)


def test_predictions_do_not_need_gradients_nor_fit_in_one_batch():
    network, images = tiny_network(), some_images(judge_batch("cpu", 64) + 3)
    assert torch.equal(predict(network, images, device="cpu"), decisions_of(network, images))
    assert predict(network, images[:0], device="cpu").shape == (0,)


def test_more_of_small_images_are_judged_at_once_on_a_cpu():
    sizes = [judge_batch("cpu", entries) for entries in (64, 784, 3072)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1] > 1
    assert judge_batch("cuda:1", 3072) > sizes[0]


@pytest.mark.parametrize("ball", [{}, {"norm": "linf", "radius": 0.0}])
def test_images_that_did_not_move_need_no_judge(ball):
    known = unmoved(decisions_of(Quadrants(), CLEAN), CLEAN)
    for got, expected in zip(known, judged(CLEAN.clone(), **ball), strict=True):
        assert torch.equal(got, expected)
        assert got.dtype == expected.dtype
