"""The boundary attack: walk along the decision boundary towards the image, using decisions only.

Brendel, Rauber, Bethge 2018 (arXiv 1712.04248), in the variant of foolbox 3: with the same random draws its proposals,
step sizes and adaptation are the same. Unlike there each image has its own draws, and a converged image is not queried
again, so an image's result and its queries do not depend on the batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, MinimalDistanceAttack
from robustbench_pix.attacks.common.norms import lengths, spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import minimizes, positive, whole
from robustbench_pix.cuda_graphs import CapturedStep, capturer_for, side_stream
from robustbench_pix.randomness import ImageKeys

STEPS_OF_A_BLOCK = 10
"""Number of steps after which success rates are recorded and step sizes adapted."""

SPHERICAL_TRIALS, SOURCE_TRIALS = 100, 30
"""Number of records in the window of a success rate."""


class BoundaryAttack(MinimalDistanceAttack):
    """Keeps the nearest adversarial image, and proposes nearer ones around it.

    Args:
        steps: proposals for each image, one query each, and one more query every tenth step.
        spherical_step: initial length of steps around the image, as a share of the distance to it.
        source_step: initial length of steps towards the image, as a share of the distance.
        source_step_convergence: an image has converged once its steps towards it are shorter.
        step_adaptation: factor by which step lengths grow and shrink.
    """

    needs = minimizes("decisions", "l2")
    needs_starts = True

    def __init__(
        self,
        steps: int = 25_000,
        spherical_step: float = 1e-2,
        source_step: float = 1e-2,
        source_step_convergence: float = 1e-7,
        step_adaptation: float = 1.5,
    ) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.spherical_step = positive("spherical_step", spherical_step)
        self.source_step = positive("source_step", source_step)
        self.source_step_convergence = positive("source_step_convergence", source_step_convergence)
        self.step_adaptation = positive("step_adaptation", step_adaptation)

    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the nearest adversarial image found for each image."""
        assert starts is not None
        with torch.inference_mode():  # A tenth faster than without gradients where the network is small.
            noise = PhiloxNoise(keys, "boundary", images.device)
            state = BoundaryState(self, context.model, images, labels, starts, noise.normal)
            state.run()
        return state.nearest.clone()


class BoundaryState:
    """The state of a batch of images. It lies on the device and changes in place: ten steps can be one CUDA graph.

    Args:
        draw: takes steps, int64 (S,), and the number of entries of an image; returns directions (S, N, entries).

    Attributes:
        nearest: the nearest adversarial image so far, float32 (N, C, H, W).
        distances: l2 distances of these, float32 (N,).
        spherical_steps, source_steps: step lengths as shares of the distance, float32 (N,).
        active: the images that had not converged before these ten steps, bool (N,); the others are not changed.
    """

    def __init__(
        self,
        attack: BoundaryAttack,
        oracle: Oracle,
        images: Tensor,
        labels: Tensor,
        starts: Tensor,
        draw: Callable[[Tensor, int], Tensor],
    ) -> None:
        self.attack, self.oracle, self.images, self.labels, self.draw = attack, oracle, images, labels, draw
        count, device = len(images), images.device
        self.nearest = starts.clone()
        self.distances = lengths(starts - images)
        self.spherical_steps = torch.full((count,), attack.spherical_step, device=device)
        self.source_steps = torch.full((count,), attack.source_step, device=device)
        self.spherical_rate = SuccessRate(SPHERICAL_TRIALS, count, device)
        self.source_rate = SuccessRate(SOURCE_TRIALS, count, device)
        self.active = torch.ones(count, dtype=torch.bool, device=device)
        self.steps_of_block = torch.arange(STEPS_OF_A_BLOCK, device=device)
        self.twice = torch.arange(count, device=device).repeat(2)

    def run(self) -> None:
        """Take all steps; the host waits for the device only to learn whether all converged or spent their budget."""
        device = str(self.images.device)
        blocks, rest = divmod(self.attack.steps, STEPS_OF_A_BLOCK)
        with side_stream(device):
            block = CapturedStep(self.block, capturer_for(device))
            for _ in range(blocks):
                block()
                if self.converged().all() or self.oracle.spent():
                    return
            torch.logical_not(self.converged(), out=self.active)
            for direction in self._directions()[:rest]:
                self._step(direction)
            self.converged().all().item()  # Other streams may read the result once this is known.

    def converged(self) -> Tensor:
        """Return which images have converged, bool (N,)."""
        return self.source_steps < self.attack.source_step_convergence

    def block(self) -> None:
        """Take ten steps; in the last also query the spherical candidates, and adapt the step lengths."""
        torch.logical_not(self.converged(), out=self.active)
        *directions, last = self._directions()
        for direction in directions:
            self._step(direction)
        self._adapt(*self._step_with_rates(last))
        self.steps_of_block += STEPS_OF_A_BLOCK

    def _directions(self) -> Tensor:
        return self.draw(self.steps_of_block, self.images[0].numel()).reshape(-1, *self.images.shape)

    def _step(self, direction: Tensor) -> None:
        _, candidates = self._propose(direction)
        self._move(candidates, self._wrong(candidates, None, self.active))

    def _step_with_rates(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step; return for which images the spherical candidate and the candidate are misclassified."""
        spherical, candidates = self._propose(direction)
        wrong = self._wrong(torch.cat([candidates, spherical]), self.twice, self.active.repeat(2))
        candidate_wrong, spherical_wrong = wrong.chunk(2)
        self._move(candidates, candidate_wrong)
        return spherical_wrong, candidate_wrong

    def _wrong(self, queries: Tensor, rows: Tensor | None, counted: Tensor) -> Tensor:
        labels = self.labels if rows is None else self.labels[rows]
        return self.oracle(queries, rows, counted).argmax(dim=1) != labels

    def _propose(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Return candidates at the distance of ``nearest`` in a random direction, and those one step nearer."""
        images, distances = self.images, self.distances
        outward = self.nearest - images
        # Orthogonal to the direction to the image, of the wanted length, and back onto the sphere by Pythagoras.
        along = (direction * outward).flatten(1).sum(dim=1) / distances.square()
        sideways = torch.addcmul(direction, outward, spread(along), value=-1)
        sideways_steps = self.spherical_steps * distances / lengths(sideways)
        shrink = (self.spherical_steps.square() + 1).rsqrt()
        spherical = torch.addcmul(images, outward, spread(shrink))
        spherical = spherical.addcmul_(sideways, spread(sideways_steps * shrink)).clamp_(0, 1)
        # Nearer by the share source_steps, and by what rounding and clamping have moved it outward.
        inward = images - spherical
        reached = lengths(inward)
        inward_steps = (self.source_steps * distances + reached - distances).clamp_(min=0) / reached
        return spherical, torch.addcmul(spherical, inward, spread(inward_steps)).clamp_(0, 1)

    def _move(self, candidates: Tensor, wrong: Tensor) -> None:
        distances = lengths(candidates - self.images)
        moves = wrong & (distances < self.distances) & self.active
        self.nearest.copy_(torch.where(spread(moves), candidates, self.nearest))
        self.distances.copy_(torch.where(moves, distances, self.distances))

    def _adapt(self, spherical_wrong: Tensor, candidate_wrong: Tensor) -> None:
        """Lengthen steps that succeed often, shorten those that succeed rarely.

        The thresholds are foolbox's: its rate of steps towards the image counts all steps, not only those whose
        spherical candidate succeeded.
        """
        often, rarely = self.spherical_rate.record(spherical_wrong, above=0.5, below=0.2)
        factor = self._factor(often, rarely)
        self.spherical_steps *= factor
        self.source_steps *= factor
        self.source_steps *= self._factor(*self.source_rate.record(candidate_wrong, above=0.25, below=0.1))

    def _factor(self, often: Tensor, rarely: Tensor) -> Tensor:
        adaptation = self.attack.step_adaptation
        factor = torch.where(often, adaptation, torch.where(rarely, 1 / adaptation, 1.0))
        return factor.masked_fill(~self.active, 1.0)


class SuccessRate:
    """Per-image success rate over a sliding window of ``trials``; a window restarts once its rate crossed a threshold.

    All tensors are changed in place, so that recording can be part of a CUDA graph.
    """

    def __init__(self, trials: int, images: int, device: torch.device) -> None:
        self.trials = trials
        self.successes = torch.zeros(trials, images, device=device)
        self.noted = torch.zeros(images, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)

    def record(self, success: Tensor, *, above: float, below: float) -> tuple[Tensor, Tensor]:
        """Record one trial of each image, bool (N,); return which rates are above and which are below the thresholds.

        An image with fewer than ``trials`` records in its window is neither.
        """
        self.successes.index_copy_(0, self.place, success[None].float())
        self.place.add_(1).remainder_(self.trials)
        self.noted += 1
        full, rate = self.noted >= self.trials, self.successes.mean(dim=0)
        often, rarely = full & (rate > above), full & (rate < below)
        self.noted.masked_fill_(often | rarely, 0)
        return often, rarely
