"""The loop against the same method written once more, plainly, and the fairness on which every table rests."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.errors import JobFailedError
from robustbench_pix.networks.building import build_network
from robustbench_pix.randomness import stream
from robustbench_pix.regularizers.base import FunctionRegularizer, Setting
from robustbench_pix.regularizers.representational import SimilarityRegularizer
from robustbench_pix.training.loop import TrainingData, train

GENERATOR = np.random.default_rng(0)
DATA = TrainingData(
    images=torch.from_numpy(GENERATOR.integers(0, 256, (150, 1, 8, 8), dtype=np.uint8)),
    labels=torch.from_numpy(GENERATOR.integers(0, 10, 150)),
    validation_images=torch.from_numpy(GENERATOR.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)),
    validation_labels=torch.from_numpy(GENERATOR.integers(0, 10, 40)),
    regularization_images=torch.from_numpy(GENERATOR.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)),
)
SPEC = TrainingSpec(epochs=3, learning_rate=0.05, decay_every=2, restart_every=20)


def network(seed=0):
    return build_network("small", None, {"width": 4}, channels=1, classes=10, seed=seed)


def setting():
    shapes = tuple(tap.shape[1:] for tap in network().eval().features(torch.zeros(1, 1, 8, 8)))
    return Setting(DATA.regularization_images, shapes, seed=0)


def similarity(**parameters):
    return SimilarityRegularizer(setting(), **{"target": "thresholded", "threshold": 0.2, **parameters})


def trained(regularizer, alpha, **changes):
    net = network().double() if changes.pop("double", False) else network()
    if regularizer is not None and next(net.parameters()).dtype == torch.float64:
        regularizer = regularizer.double()
    return net, train(net, regularizer, DATA, SPEC, seed=0, alpha=alpha, device="cpu", **changes)


def plain_training(alpha):
    """The method of the paper in one function: no plan, no classes, running means and targets by hand, float64."""
    net = network().double()
    images = DATA.regularization_images.double() / 255
    flat = images.flatten(1) - images.flatten(1).mean(0)
    similarity_matrix = functional.normalize(flat) @ functional.normalize(flat).T
    target = (similarity_matrix > 0.2).double() - (similarity_matrix < -0.2).double()
    pairs = [(i, j) for i in range(30) for j in range(i + 1, 30)]
    gamma = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    running = [torch.zeros(width, dtype=torch.float64) for width in (4, 4, 8, 16)]
    optimizer = torch.optim.SGD([*net.parameters(), gamma], lr=0.05, momentum=0.9)
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = 0.05 * 0.3 ** (epoch // 2)
        order = stream("order", 0, epoch).permutation(150)
        uniforms = stream("pairs", 0, epoch).random((3, 16))
        net.train()
        for step in range(3):
            batch = torch.from_numpy(order[64 * step : 64 * (step + 1)])
            loss = functional.cross_entropy(net(DATA.images[batch].double() / 255), DATA.labels[batch])
            chosen = [pairs[int(u * len(pairs))] for u in uniforms[step]]
            first = net.features(images[[i for i, _ in chosen]])
            second = net.features(images[[j for _, j in chosen]])
            predicted = torch.zeros(16, dtype=torch.float64)
            weights = torch.softmax(gamma, 0)
            for layer in range(4):
                with torch.no_grad():
                    mean = torch.cat([first[layer], second[layer]]).mean((0, 2, 3))
                    running[layer] = 0.9 * running[layer] + 0.1 * mean
                a, b = ((x - running[layer][:, None, None]).flatten(1) for x in (first[layer], second[layer]))
                predicted = predicted + weights[layer] * functional.cosine_similarity(a, b)
            wanted = torch.stack([target[i, j] for i, j in chosen])
            z = [torch.log(1 + s + 1e-5) - torch.log(1 - s + 1e-5) for s in (predicted, wanted)]
            loss = loss + alpha * (z[0] - z[1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net, torch.softmax(gamma, 0)


def test_the_loop_is_the_method():
    ours, result = trained(similarity(), 0.5, double=True)
    plain, weights = plain_training(0.5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name)
    logged = [result.log[-1][f"layer_weight_{layer}"] for layer in range(4)]
    assert logged == pytest.approx(weights.tolist(), rel=1e-9)


def test_a_penalty_of_weight_0_changes_batchnorms_statistics_and_no_parameter():
    plain, _ = trained(None, 0.0)
    kept, _ = trained(similarity(), 0.0)
    for name, value in plain.state_dict().items():
        same = torch.equal(kept.state_dict()[name], value)
        assert same == ("running" not in name and "num_batches" not in name), name


def test_the_control_of_statistics_is_that_penalty_of_weight_0():
    kept, _ = trained(similarity(), 0.0)
    control, _ = trained(similarity(target="none"), 10.0)
    assert all(torch.equal(control.state_dict()[name], value) for name, value in kept.state_dict().items())


def test_the_best_epoch_is_kept_and_is_no_alias_of_the_live_weights():
    net, result = trained(None, 0.0)
    losses = [row["validation_loss"] for row in result.log]
    assert result.best_epoch == int(np.argmin(losses))
    other = network()
    other.load_state_dict(result.state)
    other.eval()
    with torch.no_grad():
        loss = functional.cross_entropy(other(DATA.validation_images / 255), DATA.validation_labels)
    assert float(loss) == pytest.approx(min(losses), rel=1e-5)
    with torch.no_grad():
        net.linear.weight.fill_(7)
    assert not (result.state["linear.weight"] == 7).any()


def test_the_same_training_twice_gives_the_same_bytes():
    first, second = trained(similarity(), 0.5)[1], trained(similarity(), 0.5)[1]
    assert first.log == second.log
    assert all(torch.equal(first.state[name], value) for name, value in second.state.items())


def test_pairs_are_drawn_from_the_allowed_ones():
    seen = []

    class Watching(SimilarityRegularizer):
        def forward(self, step):
            seen.append(step.ranks)
            return super().forward(step)

    regularizer = Watching(setting(), target="high", threshold=0.2)
    trained(regularizer, 0.5)
    assert set(torch.cat(seen).tolist()) <= set(regularizer.allowed().tolist())


@pytest.mark.parametrize(
    ("penalty", "sentence"),
    [
        (lambda step: step.first[0].mean() * float("nan"), "the penalty was not finite in epoch 1"),
        (lambda step: step.first[0].mean(dim=0), "a tensor of shape"),
        (lambda step: 3.0, "a float where a scalar tensor"),
        (lambda step: step.nothing, "raised AttributeError"),
    ],
)
def test_a_regularizer_that_fails_is_told(penalty, sentence):
    with pytest.raises(JobFailedError, match=sentence):
        trained(FunctionRegularizer(setting(), penalty=penalty, pairs=16), 1.0)


def test_bfloat16_hands_float32_features_to_the_regularizer():
    kinds = set()

    def penalty(step):
        kinds.update(layer.dtype for layer in (*step.first, *step.second))
        return similarity_of(step)

    def similarity_of(step):
        return functional.cosine_similarity(step.first[0].flatten(1), step.second[0].flatten(1)).mean()

    trained(FunctionRegularizer(setting(), penalty=penalty, pairs=4), 0.1, precision="bfloat16")
    assert kinds == {torch.float32}


def test_the_images_enter_in_0_to_1():
    ranges = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, images):
            ranges.append((float(images.min()), float(images.max())))
            return self.net(images)

    train(Watching(), None, DATA, SPEC, seed=0, alpha=0.0, device="cpu")
    assert min(low for low, _ in ranges) == 0.0
    assert max(high for _, high in ranges) == 1.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_trains_like_the_cpu():
    on_cpu = trained(similarity(), 0.5)[1]
    data = TrainingData(*(getattr(DATA, field).cuda() for field in DATA.__dataclass_fields__))
    on_cuda = train(network().cuda(), similarity().cuda(), data, SPEC, seed=0, alpha=0.5, device="cuda")
    assert on_cuda.log[0]["task_loss"] == pytest.approx(on_cpu.log[0]["task_loss"], rel=1e-3)
    assert on_cuda.log[0]["penalty"] == pytest.approx(on_cpu.log[0]["penalty"], rel=1e-2)


@pytest.mark.parametrize(("precision", "tf32"), [("float32", False), ("tf32", True)])
def test_forward_and_backward_compute_in_the_precision_that_the_id_names(monkeypatch, precision, tf32):
    """cuDNN reads its flags at each pass, so the backward pass must stand under them too."""
    seen = {"forward": set(), "backward": set()}

    def flags():
        return (
            torch.backends.cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.deterministic,
        )

    class Watching(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images):
            seen["forward"].add(flags())
            return images.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen["backward"].add(flags())
            return gradient

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", not tf32)
    net = network()
    stem = net.stem.forward
    net.stem.forward = lambda images: Watching.apply(stem(images))
    spec = SPEC.model_copy(update={"epochs": 1})
    train(net, None, DATA, spec, seed=0, alpha=0.0, device="cpu", precision=precision)
    validation = (False, False, True)
    assert seen["backward"] == {(tf32, tf32, True)}
    assert seen["forward"] == {(tf32, tf32, True), validation}
    assert torch.backends.cudnn.allow_tf32 is not tf32
