"""Projected gradient ascent on the cross-entropy (Madry et al. 2018, arXiv 1706.06083), and what makes it transfer.

With momentum it is MI-FGSM (Dong et al. 2018, arXiv 1710.06081), with ``diversity`` DI-FGSM (Xie et al. 2019, arXiv
1803.06978), with a ``kernel`` TI-FGSM (Dong et al. 2019, arXiv 1904.02884). Starts and inputs are keyed by image, and
gradients are normalized for each, so that an image's result does not depend on its batch.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.balls import TINY, Ball, steepest
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.engine_classes import bounds
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import positive, whole
from robustbench_pix.attacks.transferability import DIVERSITY_DRAWS, blurred, diversified
from robustbench_pix.errors import JobFailedError


class ProjectedGradient(FixedStrengthAttack):
    """Steps of one length uphill, each projected onto the ball of linf or l2, as ``strength`` says, and onto [0, 1].

    With access ``gradients`` an image keeps the first point that fools and asks no more; one that is never fooled has
    asked ``restarts * (steps + 1)`` times. With ``transfer`` nobody tells, so the last point is returned.

    Args:
        steps: gradients taken of an image, for each restart.
        step_share: length of a step as a share of the strength; 2.5 / steps where absent.
        restarts: random starts tried one after the other; only with access ``gradients``.
        random_start: begin at a random point of the ball, not at the image.
        momentum: how much of the sum of earlier gradients is kept at each step, each gradient divided by its L1 norm.
        diversity: probability that the gradient is taken of a shrunk and padded image; only with access ``transfer``.
        kernel: side of the Gaussian that gradients are blurred with, odd, in pixels; 1 does nothing.
    """

    needs = bounds("gradients", "linf", "l2")

    def __init__(
        self,
        steps: int = 40,
        step_share: float | None = None,
        restarts: int = 1,
        random_start: bool = True,
        momentum: float = 0,
        diversity: float = 0,
        kernel: int = 1,
    ) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.step_share = 2.5 / steps if step_share is None else positive("step_share", step_share)
        self.restarts = whole("restarts", restarts, at_least=1)
        self.random_start = random_start
        self.momentum = momentum and positive("momentum", momentum)
        self.diversity = diversity and positive("diversity", diversity, up_to=1)
        self.kernel = whole("kernel", kernel, at_least=1)
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd (got {kernel})")
        if restarts > 1 and not random_start:
            raise ValueError("restarts without random_start would all be the same")

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield what an ascent of its own reaches at each strength; at 0 the images, without a query.

        Raises:
            JobFailedError: restarts under transfer, or diverse inputs without.
        """
        if target.source is not None and self.restarts > 1:
            raise JobFailedError('restarts are of no use with access = "transfer": nobody tells which one fooled')
        if target.source is None and self.diversity > 0:
            raise JobFailedError('diversity belongs to access = "transfer": a changed image does not tell what fools')
        for strength in strengths:
            if strength == 0:
                yield images
            elif target.source is None or target.source_memory is None:
                yield self._ascend(target, Ball(images, strength, target.norm), labels, keys)
            else:
                yield self._recalled(target, Ball(images, strength, target.norm), labels, keys)

    def _recalled(self, target: Target, ball: Ball, labels: Tensor, keys: Sequence[ImageKey]) -> Tensor:
        assert target.source_memory is not None
        settings = tuple(sorted(vars(self).items())), ball.radius, ball.norm
        which = tuple(keys), tuple(labels.tolist()), ball.images.shape, ball.images.device
        key = (type(self), *settings, *which)
        return target.source_memory.recall(key, lambda: self._ascend(target, ball, labels, keys))

    def _ascend(self, target: Target, ball: Ball, labels: Tensor, keys: Sequence[ImageKey]) -> Tensor:
        """Return for each image the first point that fooled, else the last one of the last restart."""
        module, device = attacked_module(target), labels.device
        starts, inputs = (KeyedNoise(keys, f"projected-gradient-{name}", device) for name in ("starts", "inputs"))
        found, open_ = ball.images.clone(), torch.arange(len(labels), device=device)
        for restart in range(self.restarts):
            rows, near = open_, ball.of(open_)
            points = near.inside(starts.of(rows), restart) if self.random_start else near.images
            velocity = torch.zeros_like(points)
            for step in range(self.steps):
                logits, gradients = self._ask(module, points, labels[rows], rows, inputs, step)
                if target.source is None:
                    found[rows] = points
                    stays = logits.argmax(dim=1) == labels[rows]
                    rows, near = rows[stays], near.of(stays)
                    points, velocity, gradients = points[stays], velocity[stays], gradients[stays]
                    if len(rows) == 0:
                        return found
                velocity = self.momentum * velocity + _per_image(gradients)
                points = near.project(points + self.step_share * ball.radius * steepest(velocity, ball.norm))
            found[rows] = points
            if target.source is None:
                open_ = rows[module(points, rows).argmax(dim=1) == labels[rows]]
                if len(open_) == 0:
                    break
        return found

    def _ask(
        self, module: Oracle, points: Tensor, labels: Tensor, rows: Tensor, inputs: KeyedNoise, step: int
    ) -> tuple[Tensor, Tensor]:
        """Return the logits (M, classes) of the images ``rows`` and the gradients of their losses (M, C, H, W)."""
        points = points.clone().requires_grad_()
        with torch.enable_grad():
            shown = points
            if self.diversity:
                draws = inputs.of(rows).uniform(torch.tensor([step], device=rows.device), DIVERSITY_DRAWS)[0]
                shown = diversified(points, draws, self.diversity)
            logits = module(shown, rows)
            loss = functional.cross_entropy(logits, labels, reduction="sum")
        (gradients,) = torch.autograd.grad(loss, points)
        return logits.detach(), gradients if self.kernel == 1 else blurred(gradients, self.kernel)


def _per_image(gradients: Tensor) -> Tensor:
    """Divide each gradient by its L1 norm; first by its largest entry, since norms may be 0 in float32."""
    scaled = gradients / gradients.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=TINY)
    return scaled / scaled.abs().sum(dim=(1, 2, 3), keepdim=True).clamp(min=TINY)
