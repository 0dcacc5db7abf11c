"""Any attack of foolbox by its class name: called, never ``.run``, with our starting points and our random state."""

import inspect
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from torch import Tensor

from robustbench_pix.attacks.base import (
    Attack,
    FixedStrengthAttack,
    ImageKey,
    MinimalDistanceAttack,
    Target,
    attacked_module,
)
from robustbench_pix.attacks.engines import reason
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.randomness import global_streams

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which fails without a git executable


class FoolboxFixedStrength(FixedStrengthAttack):
    """An attack of foolbox that takes epsilons; foolbox clips and we judge."""

    batch_dependent = True

    def __init__(self, engine_attack: Any) -> None:
        self.engine_attack = engine_attack

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield foolbox's clipped images at each strength; strength 0 is the image itself."""
        model, criterion = _model_and_criterion(target, labels, images)
        for strength in strengths:
            if strength == 0:
                yield images
                continue
            with global_streams("foolbox", *target.batch.parts):
                _, clipped, _ = self.engine_attack(model, images, criterion, epsilons=strength)
            yield clipped


class FoolboxMinimalDistance(MinimalDistanceAttack):
    """An attack of foolbox that minimizes a distance; it draws once for the whole batch, so batches matter."""

    batch_dependent = True

    def __init__(self, engine_attack: Any) -> None:
        self.engine_attack = engine_attack
        self.needs_starts = "starting_points" in inspect.signature(engine_attack.run).parameters

    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return the images that foolbox found."""
        model, criterion = _model_and_criterion(target, labels, images)
        given = {} if starts is None else {"starting_points": starts}
        with global_streams("foolbox", *target.batch.parts):
            found, _, _ = self.engine_attack(model, images, criterion, epsilons=None, **given)
        return found


def build_foolbox_attack(name: str, parameters: dict[str, Any]) -> Attack:
    """Return the adapter around ``foolbox.attacks.<name>(**parameters)``.

    Raises:
        UserError: there is no such class, or it refuses the parameters.
    """
    import foolbox.attacks
    from foolbox.attacks.base import FixedEpsilonAttack, MinimizationAttack

    classes = {
        key: value
        for key, value in vars(foolbox.attacks).items()
        if inspect.isclass(value) and issubclass(value, (FixedEpsilonAttack, MinimizationAttack))
    }
    if name not in classes:
        raise unknown("attack of foolbox", name, classes, list_with="dir(foolbox.attacks)")
    if "BrendelBethge" in name and find_spec("numba") is None:
        raise UserError(f"foolbox:{name} needs the package numba, which foolbox does not declare; pip install numba.")
    try:
        engine_attack = classes[name](**parameters)
    except Exception as error:
        raise UserError(f"foolbox:{name} refused its parameters: {reason(error)}.") from error
    minimal = isinstance(engine_attack, MinimizationAttack)
    return FoolboxMinimalDistance(engine_attack) if minimal else FoolboxFixedStrength(engine_attack)


def _model_and_criterion(target: Target, labels: Tensor, images: Tensor) -> tuple[Any, Any]:
    import foolbox

    model = foolbox.PyTorchModel(attacked_module(target), bounds=(0, 1), device=images.device)
    return model, foolbox.criteria.Misclassification(labels)
