"""Any evasion attack of the Adversarial Robustness Toolbox by its class name, image by image.

Image by image because most of them loop anyway, share random draws over a batch, or drop images from it, so that
neither their queries nor their results belonged to one image. Their random state is ours: without a starting point
BoundaryAttack and HopSkipJump draw theirs from the operating system, so they are always given one.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import (
    Attack,
    FixedStrengthAttack,
    ImageKey,
    MinimalDistanceAttack,
    Target,
    attacked_module,
)
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.randomness import global_streams

TAKES_STARTS = frozenset({"BoundaryAttack", "HopSkipJump"})
WANTS_PROBABILITIES = frozenset({"SimBA"})
FORCED = {"targeted": False, "verbose": False}


class ArtAttack:
    """What both kinds share: building the toolbox's attack around the oracle and running it on one image."""

    one_by_one = True

    def __init__(self, engine_class: Any, parameters: dict[str, Any]) -> None:
        self.engine_class, self.parameters = engine_class, parameters
        self.needs_starts = engine_class.__name__ in TAKES_STARTS

    def run(
        self, target: Target, image: Tensor, label: Tensor, key: ImageKey, start: Tensor | None, **overrides: Any
    ) -> Tensor:
        """Return the toolbox's image for a batch of one image, (1, C, H, W)."""
        wrapped = _estimator(target, image, probabilities=self.engine_class.__name__ in WANTS_PROBABILITIES)
        one_hot = np.eye(target.classes, dtype=np.float32)[label.cpu().numpy()]
        given = {} if start is None else {"x_adv_init": start.cpu().numpy()}
        with global_streams("art", key.seed, key.task, key.index, key.repetition):
            attack = self.engine_class(wrapped, **{**self.parameters, **overrides})
            found = attack.generate(image.cpu().numpy(), y=one_hot, **given)
        return torch.from_numpy(np.asarray(found, dtype=np.float32)).to(image.device)


class ArtFixedStrength(ArtAttack, FixedStrengthAttack):
    """An attack with the parameter ``eps``, which is set to each strength."""

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the toolbox's image at each strength; strength 0 is the image itself."""
        for strength in strengths:
            yield images if strength == 0 else self.run(target, images, labels, keys[0], None, eps=strength)


class ArtMinimalDistance(ArtAttack, MinimalDistanceAttack):
    """An attack that makes a distance small."""

    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return the image that the toolbox found."""
        return self.run(target, images, labels, keys[0], starts)


def build_art_attack(name: str, parameters: dict[str, Any], strength: str) -> Attack:
    """Return the adapter around ``art.attacks.evasion.<name>(estimator, **parameters)``.

    Raises:
        UserError: there is no such class, or it has no such parameter.
    """
    import art.attacks.evasion
    from art.attacks.attack import EvasionAttack

    classes = {
        key: value
        for key, value in vars(art.attacks.evasion).items()
        if inspect.isclass(value) and issubclass(value, EvasionAttack)
    }
    if name not in classes:
        raise unknown("evasion attack of the toolbox", name, classes, list_with="dir(art.attacks.evasion)")
    known = inspect.signature(classes[name].__init__).parameters
    wrong = sorted(set(parameters) - set(known))
    if wrong:
        raise UserError(f"art:{name} has no parameter {', '.join(wrong)}; it takes: {', '.join(list(known)[2:])}.")
    forced: dict[str, Any] = {key: value for key, value in FORCED.items() if key in known}
    if "norm" in known:
        forced["norm"] = {"l2": 2, "linf": "inf"}.get(strength, known["norm"].default)
    adapter = ArtFixedStrength if "eps" in known else ArtMinimalDistance
    return adapter(classes[name], {**forced, **parameters})


def _estimator(target: Target, image: Tensor, *, probabilities: bool) -> Any:
    from art.estimators.classification import PyTorchClassifier

    model = attacked_module(target)
    model = nn.Sequential(model, nn.Softmax(dim=1)) if probabilities else model
    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(image.shape[1:]),
        nb_classes=target.classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if image.is_cuda else "cpu",
    )
