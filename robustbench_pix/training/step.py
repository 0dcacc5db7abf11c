"""One step of training: the slots of a recipe in their order, the forward passes that it declares, one update.

L = L_task + alpha L_reg (Attias, Pehlevan, Obeid 2024, equation 1).
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.devices import arithmetic, autocast
from robustbench_pix.errors import JobFailedError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.networks.segments import differentiable_twice
from robustbench_pix.recipes.contract import Batch, Recipe, Step, defines
from robustbench_pix.recipes.tools import Tools
from robustbench_pix.training.batches import ResidentPlan, TaskBatch, at_least_float32
from robustbench_pix.training.passes import Passes, forward_passes, gains_from_fusion
from robustbench_pix.training.sgd import FusedSGD


class TrainingStep:
    """A step of a training as a function of the batch's size; nothing in it waits for the device.

    Attributes:
        totals: sums over the steps since they were set to 0: of the task's loss and of the penalty, (2,).
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe | None,
        batches: ResidentPlan,
        tools: Tools,
        optimizer: FusedSGD,
        *,
        alpha: float,
        device: str,
        precision: str,
    ) -> None:
        self.network, self.recipe, self.batches, self.tools, self.optimizer = network, recipe, batches, tools, optimizer
        self.alpha, self.device, self.precision = alpha, device, precision
        self.fused = gains_from_fusion(network, batches.data.images)
        self.totals, self.watched = torch.zeros(2, device=device), False
        self.weights = {name: value for name, value in network.named_parameters() if value.ndim > 1}
        self.slots = {slot for slot in ("batch", "loss", "penalty") if recipe is not None and defines(recipe, slot)}
        self.penalizes = recipe is not None and recipe.penalizes and "penalty" in self.slots

    def __call__(self, size: int) -> None:
        """Take the next batch of this size, and update network and recipe."""
        task = self.batches.task_batch(size)
        with arithmetic(self.precision), autocast(self.device, self.precision):
            if self.recipe is None:
                logits = at_least_float32(self.network(task.images))
                task_loss, penalty, watch = functional.cross_entropy(logits, task.labels), None, None
            else:
                task_loss, penalty, watch = self._with_recipe(self.recipe, task)
            loss = task_loss if penalty is None else task_loss + self.alpha * penalty
        with arithmetic(self.precision):
            self.optimizer.zero_grad()
            loss.backward()
            if watch is not None:
                watch.require_reached()
            self.optimizer.step()
        self.batches.advance(size)
        self.tools.steps_taken += 1
        self.totals[0] += task_loss.detach()
        if penalty is not None:
            self.totals[1] += penalty.detach()

    def _with_recipe(self, recipe: Recipe, task: TaskBatch) -> tuple[Tensor, Tensor | None, "GradientWatch | None"]:
        """Return the loss of the task, the penalty, and what watches the penalty's gradient in the first step."""
        batch = self._batch(recipe, task)
        if recipe.double_backward:
            batch = batch._replace(images=batch.images.detach().requires_grad_())
        pairs = self.batches.pair_batch() if recipe.pairs else None
        singles = self.batches.single_batch() if recipe.singles else None
        others = [*(pairs[:2] if pairs else ()), *(singles[:1] if singles else ())]
        views = [batch.images] if batch.joint or batch.views == 1 else [*batch.images.chunk(batch.views)]
        with self._derived_twice(recipe):
            passes = forward_passes(
                self.network,
                views,
                others,
                fused=self.fused,
                task_features=recipe.task_features,
                others_gradient=self.penalizes,
            )
        step = _step(recipe, passes, batch, self.weights, pairs, singles)
        penalty, watch = None, None
        if self.penalizes:
            if others and not self.watched:
                watch = GradientWatch(layer for maps in passes.others for layer in maps)
            penalty = self._scalar("penalty", recipe.penalty, step)
            if not others and not self.watched:
                _require_gradient(penalty, self.network)
            self.watched = True
        if "loss" not in self.slots:
            return functional.cross_entropy(at_least_float32(passes.logits), batch.targets), penalty, watch
        return self._scalar("loss", recipe.loss, step), penalty, watch

    def _batch(self, recipe: Recipe, task: TaskBatch) -> Batch:
        """Return the batch to train on: the task's, as the recipe changes it.

        Raises:
            JobFailedError: images and targets do not fit together, or to the network.
        """
        batch = Batch(task.images, task.labels)
        if "batch" not in self.slots:
            return batch
        changed = self._called("batch", recipe.batch, batch, self.tools)
        if not isinstance(changed, Batch):
            raise JobFailedError(f"the recipe's batch returned {_kind(changed)} where a Batch is expected")
        count, size = len(changed.images), len(task.images)
        if changed.images.shape[1:] != task.images.shape[1:] or count != changed.views * len(changed.targets):
            raise JobFailedError(
                f"the recipe's batch returned images {tuple(changed.images.shape)} and {len(changed.targets)} targets; "
                f"{changed.views} views of {size} images {tuple(task.images.shape[1:])} are expected"
            )
        targets = changed.targets
        labels = targets.ndim == 1 and targets.dtype == torch.int64
        if not labels and not (targets.ndim == 2 and targets.is_floating_point()):
            kind = str(targets.dtype).removeprefix("torch.")
            raise JobFailedError(
                f"the recipe's batch returned targets {tuple(targets.shape)} of type {kind}; labels int64 ({size},) or "
                f"probabilities float ({size}, classes) are expected"
            )
        images = changed.images.detach().to(task.images.dtype).contiguous(memory_format=self.batches.memory_format)
        return changed._replace(images=images)

    def _scalar(self, slot: str, function: Callable[[Step], Any], step: Step) -> Tensor:
        """Return the loss or the penalty, computed from float32 whatever the precision of the network.

        Raises:
            JobFailedError: the recipe raised, or returned no scalar tensor.
        """
        with torch.autocast(torch.device(self.device).type, enabled=False):
            value = self._called(slot, function, step)
        if not isinstance(value, Tensor) or value.ndim != 0:
            raise JobFailedError(f"the recipe's {slot} returned {_kind(value)} where a scalar tensor is expected")
        return value

    def _called(self, slot: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with foreign_code():
                return function(*arguments)
        except JobFailedError:
            raise
        except Exception as error:
            if NOT_DERIVED in str(error) and self.recipe is not None and not self.recipe.double_backward:
                raise JobFailedError(f"the recipe's {slot} derives without declaring double_backward") from error
            raise JobFailedError(f"the recipe's {slot} raised {type(error).__name__}: {error}") from error

    def _derived_twice(self, recipe: Recipe) -> AbstractContextManager[None]:
        return differentiable_twice(self.network) if recipe.double_backward else nullcontext()


def _step(
    recipe: Recipe, passes: Passes, batch: Batch, weights: Mapping[str, Tensor], pairs: Any, singles: Any
) -> Step:
    """Return what the recipe sees of the forward passes: what it declared, and no more."""
    step = Step(
        logits=at_least_float32(passes.logits),
        targets=batch.targets,
        images=batch.images,
        views=batch.views,
        weights=weights,
    )
    present = step.__dict__
    if recipe.task_features:
        present["features"] = _floats(passes.features)
    if pairs:
        first, second = map(_floats, passes.others[:2])
        present.update(
            first=first, second=second, first_images=pairs.first, second_images=pairs.second, ranks=pairs.ranks
        )
    if singles:
        present.update(single=_floats(passes.others[-1]), single_images=singles.images, numbers=singles.numbers)
    return step


def _floats(layers: list[Tensor]) -> list[Tensor]:
    return [at_least_float32(layer) for layer in layers]


NOT_DERIVED = "One of the differentiated Tensors does not require grad"
"""Part of what torch raises where a recipe derives by ``step.images`` without declaring it."""

NO_GRADIENT = (
    "the penalty has no gradient to the network, so it would do nothing (a constant, .detach(), numpy?); "
    "compute it from step.first and step.second, or from what else the step has, in torch, or say penalizes = False "
    "where only their forwards are wanted"
)


class GradientWatch:
    """Records in one step whether a gradient of the penalty reaches the features of regularization data.

    Nothing is computed twice, and nothing waits for the device. A zero gradient counts: it may be larger later.
    """

    def __init__(self, features: Iterable[Tensor]) -> None:
        self.reached = False
        for layer in features:
            if layer.requires_grad:
                layer.register_hook(self._see)

    def _see(self, gradient: Tensor | None) -> None:
        self.reached |= gradient is not None

    def require_reached(self) -> None:
        """Refuse, after the backward pass, a penalty without effect on training.

        Raises:
            JobFailedError: the penalty is a constant, or was cut off from the features.
        """
        if not self.reached:
            raise JobFailedError(NO_GRADIENT)


def _require_gradient(penalty: Tensor, network: nn.Module) -> None:
    """Refuse a penalty, of the task's images or the weights, that no parameter of the network changes."""
    trained = [value for value in network.parameters() if value.requires_grad]
    reached = penalty.requires_grad and any(
        gradient is not None for gradient in torch.autograd.grad(penalty, trained, retain_graph=True, allow_unused=True)
    )
    if not reached:
        raise JobFailedError(NO_GRADIENT)


def _kind(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
