"""The slots of a recipe: what each may do, what is refused, and that one which does nothing changes no bit."""

import copy

import pytest
import torch
from torch.nn import functional

from robustbench_pix.errors import JobFailedError
from robustbench_pix.recipes.contract import Recipe, defines, needs_images, remains_without_penalty
from robustbench_pix.recipes.tools import Tools
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
from robustbench_pix.training import step as training_step
from robustbench_pix.training.loop import train
from tests.training.models import DATA, SPEC, network, setting, similarity


def trained(recipe, alpha=0.5, net=None, **changes):
    net = net or network()
    return net, train(net, recipe, DATA, SPEC, seed=0, alpha=alpha, device="cpu", **changes)


def same_bits(first, second):
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


class Identities(SimilarityRegularizer):
    """Every slot is defined, and none does anything."""

    @classmethod
    def network(cls, network, *, channels, classes, **parameters):
        return network

    def begin(self, epoch, tools):
        pass

    def batch(self, batch, tools):
        return batch

    def loss(self, step):
        return functional.cross_entropy(step.logits, step.targets)


def test_slots_that_do_nothing_leave_every_bit_of_the_weights():
    plain, _ = trained(similarity())
    net, _ = trained(Identities(setting(), target="thresholded", threshold=0.2))
    assert all(defines(Identities, slot) for slot in ("network", "begin", "batch", "loss", "penalty"))
    assert same_bits(plain, net)


def test_what_a_recipe_defines_is_told_from_what_it_inherits():
    assert all(defines(SimilarityRegularizer, slot) for slot in ("penalty", "begin"))
    assert not any(defines(SimilarityRegularizer, slot) for slot in ("network", "batch", "loss"))
    assert not remains_without_penalty(SimilarityRegularizer)
    assert remains_without_penalty(Identities)
    assert needs_images(SimilarityRegularizer)
    assert not needs_images(Recipe)


def test_views_are_normalized_apart_or_together_as_the_batch_says():
    class Views(Recipe):
        joint = False

        def batch(self, batch, tools):
            images = torch.cat([batch.images, batch.images.flip(3).square()])
            return batch._replace(images=images, views=2, joint=self.joint)

        def loss(self, step):
            first, second = step.logits.chunk(step.views)
            return functional.cross_entropy(first, step.targets) + functional.mse_loss(first, second)

    class Joint(Views):
        joint = True

    def once(recipe, fused, monkeypatch):
        monkeypatch.setattr(training_step, "gains_from_fusion", lambda network, images: fused)
        net, _ = trained(recipe(setting()), net=network().double())
        return net.state_dict()

    with pytest.MonkeyPatch.context() as patch:
        apart = [once(Views, fused, patch) for fused in (True, False)]
        together = [once(Joint, fused, patch) for fused in (True, False)]
    for one, other in (apart, together):
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], rtol=1e-9, atol=1e-11, msg=name)
    assert not torch.allclose(apart[0]["linear.weight"], together[0]["linear.weight"])
    assert apart[0]["stem.1.num_batches_tracked"] == 2 * together[0]["stem.1.num_batches_tracked"]


def test_single_images_come_with_their_features_and_numbers():
    seen = []

    class Singles(Recipe):
        singles = 6

        def penalty(self, step):
            assert torch.equal(step.single_images, DATA.regularization_images[step.numbers] / 255)
            assert [len(maps) for maps in step.single] == [6] * 4
            seen.append(step.numbers)
            return step.single[-1].square().mean()

    trained(Singles(setting()))
    assert len(torch.stack(seen).unique()) > 20
    assert all(len(numbers.unique()) == 6 for numbers in seen)


def test_features_of_the_task_and_weights_are_there():
    class Watching(Recipe):
        task_features = True

        def penalty(self, step):
            assert torch.allclose(net.head(step.features[-1]), step.logits)
            assert set(step.weights) == {name for name, value in net.named_parameters() if value.ndim > 1}
            return step.features[0].square().mean() + step.weights["linear.weight"].square().sum()

    net = network()
    trained(Watching(setting()), net=net)


@pytest.mark.parametrize(
    ("attribute", "need"), [("first", "pairs"), ("numbers", "singles"), ("features", "task_features")]
)
def test_what_was_not_declared_is_named(attribute, need):
    class Undeclared(Recipe):
        def penalty(self, step):
            return getattr(step, attribute)[0].mean()

    with pytest.raises(JobFailedError, match=rf"reads step.{attribute} without declaring {need}"):
        trained(Undeclared(setting()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda batch: batch.images, "returned a tensor of shape .* where a Batch is expected"),
        (lambda batch: batch._replace(images=batch.images[:-1]), r"images \(63, 1, 8, 8\) and 64 targets"),
        (lambda batch: batch._replace(images=batch.images[..., 1:]), r"\(64, 1, 8, 7\)"),
        (lambda batch: batch._replace(views=2), "2 views of 64 images"),
        (lambda batch: batch.images / 0 + batch.nothing, "the recipe's batch raised AttributeError"),
    ],
)
def test_a_batch_that_does_not_fit_is_told(change, sentence):
    class Wrong(Recipe):
        def batch(self, batch, tools):
            return change(batch)

    with pytest.raises(JobFailedError, match=sentence):
        trained(Wrong(setting()))


def test_a_penalty_of_weights_alone_is_refused_without_a_gradient():
    class Constant(Recipe):
        def penalty(self, step):
            return step.weights["linear.weight"].detach().sum()

    with pytest.raises(JobFailedError, match="no gradient to the network"):
        trained(Constant(setting()))


def test_an_error_before_an_epoch_is_told():
    class Failing(Recipe):
        def begin(self, epoch, tools):
            raise ValueError("no idea")

    with pytest.raises(JobFailedError, match="the recipe's begin raised ValueError: no idea"):
        trained(Failing(setting()))


def tools_of(net, seed=0):
    images = {"task": DATA.images, "regularization": DATA.regularization_images}
    return Tools(net, images, lambda images: images.to(torch.float32) / 255, seed, DATA.labels)


def test_tools_leave_batchnorm_alone_and_give_the_gradient():
    net = network().train()
    before = copy.deepcopy(net.state_dict())
    tools = tools_of(net)
    images = DATA.images[:5] / 255
    gradient = tools.gradient(images, lambda logits: logits.square().sum())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training
    assert net.stem[1].training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    net.eval()
    moved = images.double().clone()
    moved[0, 0, 3, 3] += 1e-4
    difference = net.double()(moved).square().sum() - net(images.double()).square().sum()
    assert float(gradient[0, 0, 3, 3]) == pytest.approx(float(difference.detach()) / 1e-4, rel=1e-2)


def test_tools_give_the_features_of_all_images_in_eval_mode():
    net = network().train()
    found = [torch.cat(layers) for layers in zip(*tools_of(net).features("regularization"), strict=True)]
    expected = net.eval().features(DATA.regularization_images / 255)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(found, expected, strict=True))


def test_random_numbers_depend_on_seed_step_and_purpose_alone():
    tools, again, other = tools_of(network()), tools_of(network(1)), tools_of(network(), seed=1)
    first = tools.normal((4, 1, 8, 8), "noise")
    assert torch.equal(first, again.normal((4, 1, 8, 8), "noise"))
    for different in (other.normal((4, 1, 8, 8), "noise"), tools.normal((4, 1, 8, 8), "other")):
        assert (first == different).float().mean() < 0.01
    tools.steps_taken += 1
    assert (first == tools.normal((4, 1, 8, 8), "noise")).float().mean() < 0.01
    many = tools.uniform((20_000,), "level")
    assert 0 <= float(many.min()) < 0.001
    assert 0.999 < float(many.max()) < 1
    assert abs(float(many.mean()) - 0.5) < 0.01
