import numpy as np
import pytest
import torch

from robustbench_pix.recipes.contract import RecipeContext, Step
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer

IMAGES = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (12, 1, 4, 4), dtype=np.uint8))
SHAPES = (torch.Size((2, 4, 4)), torch.Size((3, 2, 2)))


def regularizer(**parameters):
    return SimilarityRegularizer(RecipeContext(IMAGES, SHAPES, seed=0), **parameters).double()


def steps(count):
    generator = np.random.default_rng(4)
    for _ in range(count):
        maps = [[torch.from_numpy(generator.normal(1.0, 1.0, (5, *shape))) for shape in SHAPES] for _ in range(2)]
        ranks = torch.from_numpy(generator.integers(0, 66, 5))
        yield Step(first=maps[0], second=maps[1], ranks=ranks)


def numpy_losses(all_steps, target, gamma):
    """Equations 1 to 3 once more, step by step, in numpy."""
    running = [np.zeros(shape[0]) for shape in SHAPES]
    weights = np.exp(gamma) / np.exp(gamma).sum()

    def z(s):
        return np.log(1 + s + 1e-5) - np.log(1 - s + 1e-5)

    for step in all_steps:
        total = np.zeros(5)
        for layer in range(2):
            first, second = step.first[layer].numpy(), step.second[layer].numpy()
            running[layer] = 0.9 * running[layer] + 0.1 * np.concatenate([first, second]).mean(axis=(0, 2, 3))
            centre = running[layer][None, :, None, None]
            a, b = (first - centre).reshape(5, -1), (second - centre).reshape(5, -1)
            total += weights[layer] * (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
        yield np.mean((z(total) - z(target[step.ranks.numpy()])) ** 2)


def test_several_steps_against_numpy():
    ours = regularizer(target="pixel")
    with torch.no_grad():
        ours.layer_logits.copy_(torch.tensor([0.3, -0.5], dtype=torch.float64))
    expected = list(numpy_losses(steps(4), ours.target.numpy(), np.array([0.3, -0.5])))
    got = [ours(step).item() for step in steps(4)]
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_the_layer_weights_are_trained_and_the_running_mean_passes_no_gradient():
    ours = regularizer(target="thresholded", threshold=0.3)
    step = next(steps(1))
    for maps in (*step.first, *step.second):
        maps.requires_grad_()
    ours(step).backward()
    assert ours.layer_logits.grad.abs().sum() > 0
    assert not any(buffer.requires_grad for buffer in ours.buffers())
    assert [name for name, _ in ours.named_parameters()] == ["layer_logits"]
    assert ours.report() == {"layer_weight_0": pytest.approx(0.5), "layer_weight_1": pytest.approx(0.5)}


def test_the_gradient_is_that_of_a_constant_centre():
    """By finite differences: the loss as a function of the maps, the running mean held fixed."""
    step = next(steps(1))
    ours = regularizer(target="pixel")
    maps = step.first[0].requires_grad_()
    gradient = torch.autograd.grad(ours(step), maps)[0][0, 0, 0, 0]
    centre = [ours.get_buffer(f"mean_{layer}").clone() for layer in range(2)]

    def loss(shift):
        moved = [layer.detach().clone() for layer in step.first]
        moved[0][0, 0, 0, 0] += shift
        sums = []
        for layer, (first, second) in enumerate(zip(moved, step.second, strict=True)):
            a, b = (x - centre[layer][:, None, None] for x in (first, second))
            sums.append(torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1)))
        predicted, target = torch.stack(sums).mean(dim=0), ours.target[step.ranks]
        z = [torch.log(1 + s + 1e-5) - torch.log(1 - s + 1e-5) for s in (predicted, target)]
        return float((z[0] - z[1]).square().mean())

    assert float(gradient) == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-5)


def test_only_the_control_of_statistics_wants_no_penalty():
    assert regularizer(threshold=0.4).penalizes
    assert not regularizer(target="none").penalizes
