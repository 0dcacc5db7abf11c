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
from robustbench_pix.attacks.engines import reason
from robustbench_pix.errors import JobFailedError, UserError, unknown
from robustbench_pix.randomness import global_streams

TAKES_STARTS = frozenset({"BoundaryAttack", "HopSkipJump"})
WANTS_PROBABILITIES = frozenset({"SimBA", "VirtualAdversarialMethod"})
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
        if image.device.type not in ("cpu", "cuda"):
            raise JobFailedError(f"the toolbox attacks on cpu or cuda, not on {image.device.type}; give --device cpu")
        model: nn.Module = attacked_module(target)
        if self.engine_class.__name__ in WANTS_PROBABILITIES:
            model = nn.Sequential(model, nn.Softmax(dim=1))
        one_hot = np.eye(target.classes, dtype=np.float32)[label.cpu().numpy()]
        given = {} if start is None else {"x_adv_init": start.cpu().numpy()}
        # The toolbox moves the model to the current GPU, whichever GPU the model is on.
        gpu = torch.cuda.device(image.device if image.is_cuda else -1)
        with gpu, global_streams("art", *key.parts):
            attack = self.engine_class(_estimator(model, image, target.classes), **{**self.parameters, **overrides})
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
        UserError: there is no such class, it refuses the parameters, or it does not attack classifiers of images.
    """
    import art.attacks.evasion
    from art.attacks.attack import EvasionAttack
    from art.exceptions import EstimatorError

    classes: dict[str, Any] = {
        key: value
        for key, value in vars(art.attacks.evasion).items()
        if inspect.isclass(value) and issubclass(value, EvasionAttack)
    }
    if name not in classes:
        raise unknown("evasion attack of the toolbox", name, classes, list_with="dir(art.attacks.evasion)")
    known = dict(inspect.signature(classes[name]).parameters)
    forced: dict[str, Any] = {key: value for key, value in FORCED.items() if key in known}
    if "norm" in known:
        forced["norm"] = {"l2": 2, "linf": "inf"}.get(strength, known["norm"].default)
    try:
        with global_streams("art"):
            classes[name](_estimator(nn.Flatten(), torch.zeros(1, 1, 8, 8), classes=64), **{**forced, **parameters})
    except EstimatorError as error:
        raise UserError(f"art:{name} does not attack classifiers of images.") from error
    except Exception as error:
        takes = ", ".join(list(known)[1:])
        raise UserError(f"art:{name} refused its parameters: {reason(error)}; it takes: {takes}.") from error
    adapter = ArtFixedStrength if "eps" in known else ArtMinimalDistance
    return adapter(classes[name], {**forced, **parameters})


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
