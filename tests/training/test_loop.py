"""The loop against the same method written once more, plainly, and the fairness on which every table rests."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robustbench_pix import cuda_graphs
from robustbench_pix.errors import JobFailedError
from robustbench_pix.randomness import stream
from robustbench_pix.regularizers.base import FunctionRegularizer
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
from robustbench_pix.training import loop
from robustbench_pix.training import step as training_step
from robustbench_pix.training.batches import TrainingData
from robustbench_pix.training.loop import train, training
from robustbench_pix.training.plan import batch_sizes
from tests.training.models import DATA, SPEC, network, setting, similarity


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
        optimizer.param_groups[0]["lr"] = float(np.float32(0.05 * 0.3 ** (epoch // 2)))
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


class NoWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return None


@pytest.mark.parametrize(
    "penalty",
    [
        lambda step: torch.tensor(3.0),
        lambda step: step.first[0].square().mean().detach(),
        lambda step: torch.tensor(np.square(step.first[0].detach().numpy()).mean()),
        lambda step: step.first[0].flatten(1).argmax(dim=1).float().mean(),
        lambda step: torch.ones((), requires_grad=True) * 2,
        lambda step: NoWayBack.apply(step.first[0]).mean(),
    ],
)
@pytest.mark.parametrize("fused", [True, False])
def test_a_penalty_without_a_gradient_is_refused_at_the_first_step(monkeypatch, penalty, fused):
    monkeypatch.setattr(training_step, "gains_from_fusion", lambda network, images: fused)
    asked, net = [], network()
    before = {name: value.clone() for name, value in net.named_parameters()}

    def counted(step):
        asked.append(1)
        return penalty(step)

    with pytest.raises(JobFailedError, match=r"the penalty has no gradient to the network.*penalizes = False"):
        train(
            net, FunctionRegularizer(setting(), penalty=counted, pairs=16), DATA, SPEC, seed=0, alpha=1.0, device="cpu"
        )
    assert len(asked) == 1
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())


def test_a_penalty_that_is_zero_at_first_is_attached_and_not_refused():
    calls = []

    def late(step):
        calls.append(1)
        return (len(calls) > 1) * step.first[0].square().mean()

    with_late, _ = trained(FunctionRegularizer(setting(), penalty=late, pairs=16), 1.0)
    without, _ = trained(FunctionRegularizer(setting(), penalty=lambda step: 0 * step.first[0].mean(), pairs=16), 1.0)
    assert not torch.equal(with_late.linear.weight, without.linear.weight)


def test_the_check_of_the_gradient_changes_no_bit(monkeypatch):
    checked = trained(similarity(), 0.5)[1]
    monkeypatch.setattr(training_step.GradientWatch, "require_reached", lambda watch: None)
    monkeypatch.setattr(training_step.GradientWatch, "_see", lambda watch, gradient: None)
    unchecked = trained(similarity(), 0.5)[1]
    assert checked.log == unchecked.log
    assert all(torch.equal(checked.state[name], value) for name, value in unchecked.state.items())


def test_a_frozen_part_of_the_network_is_no_lack_of_a_gradient():
    net = network()
    net.stem.requires_grad_(False)
    train(net, similarity(), DATA, SPEC, seed=0, alpha=0.5, device="cpu")


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


def curve(state, sigmas=(0.0, 0.1, 0.2, 0.3)):
    """Return the accuracy on the training images under one fixed noise at several strengths."""
    net = network().to(DATA.images.device)
    net.load_state_dict(state)
    net.eval()
    images = DATA.images.float() / 255
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decisions = [net((images + sigma * noise).clamp(0, 1)).argmax(dim=1) for sigma in sigmas]
    return [float((found == DATA.labels).float().mean()) for found in decisions]


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def on_cuda(precision="float32", record=True, monkeypatch=None):
    if not record:
        monkeypatch.setattr(cuda_graphs, "CALLS_BEFORE_CAPTURE", float("inf"))
    data = TrainingData(*(getattr(DATA, field).cuda() for field in DATA.__dataclass_fields__))
    return train(
        network().cuda(), similarity().cuda(), data, SPEC, seed=0, alpha=0.5, device="cuda", precision=precision
    )


@needs_cuda
def test_cuda_trains_like_the_cpu():
    on_cpu, trained_on_cuda = trained(similarity(), 0.5)[1], on_cuda()
    assert trained_on_cuda.log[0]["task_loss"] == pytest.approx(on_cpu.log[0]["task_loss"], rel=1e-3)
    assert trained_on_cuda.log[0]["penalty"] == pytest.approx(on_cpu.log[0]["penalty"], rel=1e-2)


@needs_cuda
def test_a_recorded_training_is_the_one_that_was_called_kernel_by_kernel(monkeypatch):
    recorded = on_cuda()
    called = on_cuda(record=False, monkeypatch=monkeypatch)
    assert recorded.log == called.log
    assert all(torch.equal(recorded.state[name], value) for name, value in called.state.items())


@needs_cuda
def test_bfloat16_learns_what_tf32_learns():
    results = {precision: on_cuda(precision) for precision in ("tf32", "bfloat16")}
    losses = [result.log[-1]["task_loss"] for result in results.values()]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    curves = [curve({name: value.cpu() for name, value in result.state.items()}) for result in results.values()]
    assert np.abs(np.subtract(*curves)).max() < 0.1


def test_bfloat16_learns_what_float32_learns():
    results = [trained(similarity(), 0.5, precision=precision)[1] for precision in ("float32", "bfloat16")]
    assert results[0].log[-1]["task_loss"] == pytest.approx(results[1].log[-1]["task_loss"], rel=0.05)
    assert np.abs(np.subtract(*(curve(result.state) for result in results))).max() < 0.1


def test_the_loop_fused_or_not_is_the_same_loop(monkeypatch):
    fused, _ = trained(similarity(), 0.5, double=True)
    monkeypatch.setattr(training_step, "gains_from_fusion", lambda network, images: False)
    separate, _ = trained(similarity(), 0.5, double=True)
    for name, value in separate.state_dict().items():
        torch.testing.assert_close(fused.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name)


def test_a_step_can_be_recorded(monkeypatch):
    """Replayed by a stand-in for a CUDA graph, each size of batch recorded once for all epochs and learning rates."""
    recorded = []

    class StandIn:
        def capture_blocker(self, function):
            function()

        def capture(self, function):
            recorded.append(function)
            return function

    plain = trained(similarity(), 0.5)[1]
    monkeypatch.setattr(loop, "capturer_for", lambda device: StandIn())
    replayed = trained(similarity(), 0.5)[1]
    assert len(recorded) == 2
    assert replayed.log == plain.log
    assert all(torch.equal(replayed.state[name], value) for name, value in plain.state.items())


def an_epoch(device):
    """Return a training whose first step is done, and how many steps its epoch still has."""
    data = TrainingData(*(getattr(DATA, field).to(device) for field in DATA.__dataclass_fields__))
    net, regularizer = network().to(device), similarity().to(device)
    steps = training(net, regularizer, data, SPEC, seed=0, alpha=0.5, device=device)
    next(steps)
    return steps, len(batch_sizes(SPEC, len(DATA.images))) - 1


def test_a_step_asks_no_tensor_for_its_value(monkeypatch):
    def refuse(self, *arguments):
        raise AssertionError("the host waited for the device")

    steps, left = an_epoch("cpu")
    for name in ("item", "__bool__", "__float__", "__int__", "tolist", "numpy", "cpu", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    for _ in range(left):
        next(steps)


@needs_cuda
def test_within_an_epoch_nothing_waits_for_cuda():
    steps, left = an_epoch("cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(left):
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
