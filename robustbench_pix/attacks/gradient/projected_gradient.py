"""FGSM (Goodfellow, Shlens, Szegedy 2015) and projected gradient ascent (PGD, Madry et al. 2018, arXiv 1706.06083).

PGD ascends the cross-entropy. With momentum it is MI-FGSM (Dong et al. 2018, arXiv 1710.06081), with ``diversity``
DI-FGSM (Xie et al. 2019, arXiv 1803.06978), with a ``kernel`` TI-FGSM (Dong et al. 2019, arXiv 1904.02884). Starts and
inputs are drawn per image, and gradients are normalized per image, so that a result does not depend on its batch.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.norms import TINY, Ball, steepest
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import bounds, positive, whole
from robustbench_pix.errors import JobFailedError
from robustbench_pix.randomness import ImageKeys


class FastGradientSign(SearchAttack):
    """x + epsilon sign(g) for linf, x + epsilon g / ||g|| for l2, clamped to [0, 1].

    g is the gradient of the label's cross-entropy in eval mode. With access ``transfer`` it is the source model's, and
    its signs (one byte each) or unit vectors are kept for the next attacked models. With ``gradients`` each strength is
    an attack on its own, with one query.
    """

    needs = bounds("gradients", "linf", "l2")

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return the images moved by the radius."""
        images = ball.images
        directions = context.cached(
            type(self), images, labels, keys, lambda: _directions(context.model, images, labels, ball.norm)
        )
        return (images + ball.radius * directions).clamp(0, 1)


def _directions(model: Oracle, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    inputs = images.clone().requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
    direction = steepest(torch.autograd.grad(loss, inputs)[0], norm)
    return direction.to(torch.int8) if norm == "linf" else direction


class ProjectedGradient(SearchAttack):
    """Steps of fixed length, each projected onto the ball of linf or l2, as ``strength`` says, and onto [0, 1].

    With access ``gradients`` an image keeps the first adversarial point and is not queried again; one that is never
    fooled costs ``restarts * (steps + 1)`` queries. With ``transfer`` success is unknown: the last point is returned.

    Args:
        steps: gradients per image and restart.
        step_share: step length as a share of the strength; 2.5 / steps where absent.
        restarts: random starts tried one after the other; only with access ``gradients``.
        random_start: start at a random point of the ball instead of at the image.
        momentum: share of the accumulated gradients kept at each step, each gradient divided by its L1 norm.
        diversity: probability that the gradient is taken at a shrunk and padded image; only with access ``transfer``.
        kernel: side in pixels of the Gaussian that blurs gradients, odd; 1 does nothing.
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

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return where each image's ascent ends.

        Raises:
            JobFailedError: restarts with access ``transfer``, or diverse inputs without.
        """
        if context.source is not None and self.restarts > 1:
            raise JobFailedError(
                'restarts have no effect with access = "transfer", where success is unknown; leave them out'
            )
        if context.source is None and self.diversity > 0:
            raise JobFailedError(
                'diversity needs access = "transfer": a query of a changed image does not show whether the image fools'
            )
        settings = type(self), *sorted(vars(self).items()), ball.radius
        return context.cached(settings, ball.images, labels, keys, lambda: self._ascend(context, ball, labels, keys))

    def _ascend(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return for each image its first adversarial point, else the last point of the last restart."""
        module, device = context.model, labels.device
        starts, inputs = (PhiloxNoise(keys, f"projected-gradient-{name}", device) for name in ("starts", "inputs"))
        found, open_ = ball.images.clone(), torch.arange(len(labels), device=device)
        for restart in range(self.restarts):
            rows, near = open_, ball.select(open_)
            points = near.inside(starts.select(rows), restart) if self.random_start else near.images
            velocity = torch.zeros_like(points)
            for step in range(self.steps):
                logits, gradients = self._query(module, points, labels[rows], rows, inputs, step)
                if context.source is None:
                    found[rows] = points
                    stays = logits.argmax(dim=1) == labels[rows]
                    rows, near = rows[stays], near.select(stays)
                    points, velocity, gradients = points[stays], velocity[stays], gradients[stays]
                    if len(rows) == 0:
                        return found
                velocity = self.momentum * velocity + _per_image(gradients)
                points = near.project(points + self.step_share * ball.radius * steepest(velocity, ball.norm))
            found[rows] = points
            if context.source is None:
                open_ = rows[module(points, rows).argmax(dim=1) == labels[rows]]
                if len(open_) == 0:
                    break
        return found

    def _query(
        self, module: Oracle, points: Tensor, labels: Tensor, rows: Tensor, inputs: PhiloxNoise, step: int
    ) -> tuple[Tensor, Tensor]:
        """Return the logits (M, classes) of the images ``rows`` and the gradients of their losses (M, C, H, W)."""
        points = points.clone().requires_grad_()
        with torch.enable_grad():
            shown = points
            if self.diversity:
                draws = inputs.select(rows).uniform(torch.tensor([step], device=rows.device), DIVERSITY_DRAWS)[0]
                shown = diversified(points, draws, self.diversity)
            logits = module(shown, rows)
            loss = functional.cross_entropy(logits, labels, reduction="sum")
        (gradients,) = torch.autograd.grad(loss, points)
        return logits.detach(), gradients if self.kernel == 1 else blurred(gradients, self.kernel)


def _per_image(gradients: Tensor) -> Tensor:
    """Divide each gradient by its L1 norm; first by its largest entry, since norms may be 0 in float32."""
    scaled = gradients / gradients.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=TINY)
    return scaled / scaled.abs().sum(dim=(1, 2, 3), keepdim=True).clamp(min=TINY)


SMALLEST_SHARE = 0.9
"""Smallest share of height and width that a diverse input keeps; 299 of 330 pixels in the paper."""

DIVERSITY_DRAWS = 4
"""Uniform numbers per image that ``diversified`` uses."""


def diversified(images: Tensor, drawn: Tensor, probability: float) -> Tensor:
    """Return images (N, C, H, W) shrunk and padded with zeros to their size, with a probability; else as they are.

    Xie et al. 2019, section 3.2: the new height is one of the whole numbers from 0.9 H to below H, all equally likely,
    the width the one at the same place in its range, nearest pixels are taken, and every place is equally likely. There
    images grow, which only a network for images of any size allows.

    Args:
        drawn: uniform in [0, 1), (N, DIVERSITY_DRAWS): whether, how large, and where vertically and horizontally.
    """
    height, width = images.shape[2:]
    down = _resampling(height, drawn[:, 1], drawn[:, 2])
    across = _resampling(width, drawn[:, 1], drawn[:, 3])
    # Sums with a single term that is not 0, so that nothing is rounded.
    resized = down[:, None] @ images @ across[:, None].mT
    return torch.where((drawn[:, 0] < probability)[:, None, None, None], resized, images)


def _resampling(length: int, size: Tensor, place: Tensor) -> Tensor:
    """Return matrices (N, length, length) that shrink rows of pixels to a drawn size and put them at a drawn place."""
    smallest = min(math.floor(SMALLEST_SHARE * length), length - 1)
    sizes = smallest + (size * (length - smallest)).long()
    first = (place * (length - sizes + 1)).long()
    position = torch.arange(length, device=size.device) - first[:, None]
    inside = (position >= 0) & (position < sizes[:, None])
    nearest = (position.clamp(min=0) * length // sizes[:, None]).clamp(max=length - 1)
    return functional.one_hot(nearest, length) * inside[:, :, None].float()


def blurred(gradients: Tensor, kernel: int) -> Tensor:
    """Return gradients (N, C, H, W) convolved with a Gaussian of ``kernel`` x ``kernel`` pixels, zero outside.

    Dong et al. 2019 (equation 7): about the mean gradient of shifted images. As in their code three standard deviations
    reach the outermost pixels, and the weights add up to 1.
    """
    reach = kernel // 2
    weights = torch.exp(-0.5 * (torch.linspace(-3, 3, kernel) ** 2)).tolist()
    for dimension in (2, 3):
        padding = (0, 0, reach, reach) if dimension == 2 else (reach, reach, 0, 0)
        padded, length = functional.pad(gradients, padding), gradients.shape[dimension]
        # Entry by entry rather than by a library's convolution, whose rounding depends on the batch.
        shifted = (weight * padded.narrow(dimension, place, length) for place, weight in enumerate(weights))
        gradients = sum(shifted, start=torch.zeros_like(gradients)) / sum(weights)
    return gradients
