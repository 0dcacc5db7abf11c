"""Adapter of evasion attacks of the Adversarial Robustness Toolbox (ART), called on one image at a time.

Most of them loop over images anyway, share random draws over a batch, or drop images from it, so that neither queries
nor results would belong to one image. The harness sets their random state: without a starting point BoundaryAttack and
HopSkipJump draw theirs from the operating system, so they always get one.
"""

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import Attack, AttackContext, MinimalDistanceAttack, SearchAttack
from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.libraries.classes import reason
from robustbench_pix.attacks.libraries.failures import Failures
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.errors import JobFailedError, UserError
from robustbench_pix.randomness import ImageKey, ImageKeys, global_streams

TAKES_STARTS = frozenset({"BoundaryAttack", "HopSkipJump"})
WANTS_PROBABILITIES = frozenset({"SimBA", "VirtualAdversarialMethod"})
FORCED = {"targeted": False, "verbose": False}
NORMS = {"l1": 1, "l2": 2, "linf": "inf"}


class ArtAttack:
    """Base of both kinds: builds the toolbox's attack around the oracle and runs it on one image."""

    one_by_one = True

    def __init__(self, engine_class: Any, parameters: dict[str, Any], reference: str) -> None:
        self.engine_class, self.parameters = engine_class, parameters
        self.failures = Failures(reference)
        self.needs_starts = engine_class.__name__ in TAKES_STARTS

    def run(
        self, context: AttackContext, image: Tensor, label: Tensor, key: ImageKey, start: Tensor | None, **extra: Any
    ) -> Tensor:
        """Return the toolbox's image for a batch of one image, (1, C, H, W); NaN where the toolbox raised an error."""
        try:
            found = self._generate(context, image, label, key, start, **extra)
        except Exception as error:
            self.failures.record(error, key)
            return torch.full_like(image, torch.nan)
        self.failures.succeeded()
        return found

    def _generate(
        self, context: AttackContext, image: Tensor, label: Tensor, key: ImageKey, start: Tensor | None, **extra: Any
    ) -> Tensor:
        if image.device.type not in ("cpu", "cuda"):
            raise JobFailedError(f"the toolbox attacks on cpu or cuda, not on {image.device.type}; give --device cpu")
        model: nn.Module = context.model
        if context.source is not None and model(image).argmax(dim=1).ne(label).item():
            return image  # Many classes move away from the model's decision instead of the label.
        if self.engine_class.__name__ in WANTS_PROBABILITIES:
            model = nn.Sequential(model, nn.Softmax(dim=1))
        one_hot = np.eye(context.classes, dtype=np.float32)[label.cpu().numpy()]
        given = {} if start is None else {"x_adv_init": start.cpu().numpy()}
        # The toolbox moves the model to the current GPU, whichever GPU the model is on.
        gpu = torch.cuda.device(image.device if image.is_cuda else -1)
        with gpu, global_streams("art", *key.parts):
            attack = self.engine_class(_estimator(model, image, context.classes), **{**self.parameters, **extra})
            found = attack.generate(image.cpu().numpy(), y=one_hot, **given)
        return torch.from_numpy(np.asarray(found, dtype=np.float32)).to(image.device)


class ArtFixedStrength(ArtAttack, SearchAttack):
    """An attack with the parameter ``eps``, which is set to each strength."""

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return the toolbox's image."""
        return self.run(context, ball.images, labels, keys[0], None, eps=ball.radius)


class ArtMinimalDistance(ArtAttack, MinimalDistanceAttack):
    """An attack that makes a distance small."""

    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the image that the toolbox found."""
        return self.run(context, images, labels, keys[0], starts)


def build_art_attack(wanted: Any, spec: AttackSpec) -> Attack:
    """Return the adapter around a class of ``art.attacks.evasion``.

    Raises:
        UserError: it refuses the parameters, or does not attack classifiers of images.
    """
    from art.exceptions import EstimatorError

    known = inspect.signature(wanted).parameters
    forced: dict[str, Any] = {key: value for key, value in FORCED.items() if key in known}
    if "norm" in known and spec.strength in NORMS:
        forced["norm"] = NORMS[spec.strength]
    if "attacker_params" in known:
        forced["attacker_params"] = {"verbose": False}
    parameters = {**forced, **{key: _tuples(value) for key, value in spec.parameters.items()}}
    try:
        with global_streams("art"):
            stand_in = nn.Sequential(nn.Flatten(), nn.Linear(64, 64))
            wanted(_estimator(stand_in, torch.zeros(1, 1, 8, 8), classes=64), **parameters)
    except EstimatorError as error:
        raise UserError(f"{spec.attack} does not attack classifiers of images.") from error
    except Exception as error:
        raise UserError(f"{spec.attack} refused its parameters: {reason(error)}.") from error
    adapter = ArtFixedStrength if "eps" in known else ArtMinimalDistance
    return adapter(wanted, parameters, spec.attack)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _estimator(model: nn.Module, image: Tensor, classes: int) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(image.shape[1:]),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if image.is_cuda else "cpu",
    )
