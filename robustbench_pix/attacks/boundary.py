"""The boundary attack: walk along the decision boundary towards the image, asking for decisions only.

Brendel, Rauber, Bethge 2018 (arXiv 1712.04248), in the variant of foolbox 3: its proposals, its step sizes and its way
of adapting them, so that given the same draws both walk the same way. Unlike there each image has draws of its own, and
an image that has converged is left alone, so an image's walk and its queries do not depend on the others.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.base import ImageKey, MinimalDistanceAttack, Target, attacked_module
from robustbench_pix.attacks.engine_classes import minimizes
from robustbench_pix.attacks.geometry import lengths, spread
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import positive, whole
from robustbench_pix.attacks.success_rate import SuccessRate
from robustbench_pix.graphs import Repeated, recorder_for, side_stream

STEPS_OF_A_BLOCK = 10
"""Every so many steps success rates are noted and step sizes adapted."""

SPHERICAL_TRIALS, SOURCE_TRIALS = 100, 30
"""Over how many of these notes a rate is taken."""


class BoundaryAttack(MinimalDistanceAttack):
    """Keeps the nearest image that the model gets wrong, and proposes nearer ones around it.

    Args:
        steps: proposals for each image; one query each, and one more every tenth.
        spherical_step: length of the first steps around the image, as a share of the distance to it.
        source_step: length of the first steps towards the image, as a share of the distance.
        source_step_convergence: an image has converged when its steps towards it are shorter.
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
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return the nearest adversarial image that the walk of each image reached."""
        assert starts is not None
        with torch.inference_mode():  # A tenth faster than without gradients where the network is small.
            noise = KeyedNoise(keys, "boundary", images.device)
            walk = Walk(self, attacked_module(target), images, labels, starts, noise.normal)
            walk.go()
        return walk.nearest.clone()


class Walk:
    """The walks of a batch of images. All state is on the device and changed in place: a block can be a CUDA graph.

    Args:
        draw: takes steps, int64 (S,), and how many numbers an image has; returns their directions (S, N, numbers).

    Attributes:
        nearest: where each walk stands, the nearest image so far that the model gets wrong, float32 (N, C, H, W).
        distances: of these, float32 (N,).
        spherical_steps, source_steps: step lengths as shares of the distance, float32 (N,).
        walking: which images had not converged when the block began, bool (N,); the others stay as they are.
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
        self.walking = torch.ones(count, dtype=torch.bool, device=device)
        self.steps_of_block = torch.arange(STEPS_OF_A_BLOCK, device=device)
        self.twice = torch.arange(count, device=device).repeat(2)

    def go(self) -> None:
        """Walk to the end; the host waits for the device only to ask whether all converged or spent their budget."""
        device = str(self.images.device)
        blocks, rest = divmod(self.attack.steps, STEPS_OF_A_BLOCK)
        with side_stream(device):
            block = Repeated(self.block, recorder_for(device))
            for _ in range(blocks):
                block()
                if self.converged().all() or self.oracle.spent():
                    return
            torch.logical_not(self.converged(), out=self.walking)
            for direction in self._directions()[:rest]:
                self._step(direction)
            self.converged().all().item()  # Other streams may read the result once this is known.

    def converged(self) -> Tensor:
        """Return which images take too short steps to go on, bool (N,)."""
        return self.source_steps < self.attack.source_step_convergence

    def block(self) -> None:
        """Take ten steps; in the last also ask how the steps around the image fare, and adapt the step lengths."""
        torch.logical_not(self.converged(), out=self.walking)
        *directions, last = self._directions()
        for direction in directions:
            self._step(direction)
        self._adapt(*self._step_with_rates(last))
        self.steps_of_block += STEPS_OF_A_BLOCK

    def _directions(self) -> Tensor:
        return self.draw(self.steps_of_block, self.images[0].numel()).reshape(-1, *self.images.shape)

    def _step(self, direction: Tensor) -> None:
        _, candidates = self._propose(direction)
        self._move(candidates, self._wrong(candidates, None, self.walking))

    def _step_with_rates(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step; return of which images the model got the spherical candidate and the candidate wrong."""
        spherical, candidates = self._propose(direction)
        wrong = self._wrong(torch.cat([candidates, spherical]), self.twice, self.walking.repeat(2))
        candidate_wrong, spherical_wrong = wrong.chunk(2)
        self._move(candidates, candidate_wrong)
        return spherical_wrong, candidate_wrong

    def _wrong(self, queries: Tensor, rows: Tensor | None, counted: Tensor) -> Tensor:
        labels = self.labels if rows is None else self.labels[rows]
        return self.oracle(queries, rows, counted).argmax(dim=1) != labels

    def _propose(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Return candidates as far from the image as ``nearest`` in a random direction, and those a step nearer."""
        images, distances = self.images, self.distances
        outward = self.nearest - images
        # Orthogonal to the way to the image, of the wanted length, and back onto the sphere by Pythagoras.
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
        moves = wrong & (distances < self.distances) & self.walking
        self.nearest.copy_(torch.where(spread(moves), candidates, self.nearest))
        self.distances.copy_(torch.where(moves, distances, self.distances))

    def _adapt(self, spherical_wrong: Tensor, candidate_wrong: Tensor) -> None:
        """Lengthen steps that succeed often, shorten those that succeed seldom.

        The thresholds are foolbox's: its rate of steps towards the image counts all steps, not only those whose
        spherical candidate succeeded.
        """
        often, seldom = self.spherical_rate.note(spherical_wrong, above=0.5, below=0.2)
        factor = self._factor(often, seldom)
        self.spherical_steps *= factor
        self.source_steps *= factor
        self.source_steps *= self._factor(*self.source_rate.note(candidate_wrong, above=0.25, below=0.1))

    def _factor(self, often: Tensor, seldom: Tensor) -> Tensor:
        adaptation = self.attack.step_adaptation
        factor = torch.where(often, adaptation, torch.where(seldom, 1 / adaptation, 1.0))
        return factor.masked_fill(~self.walking, 1.0)
