"""Square: change one random square at a time and keep the change where the margin falls.

Andriushchenko, Croce, Flammarion, Hein 2020 (arXiv 1912.00049), with the margin loss and the proposals of AutoAttack,
also by the authors. The schedule of sizes is stretched to the number of queries in linf but not in l2, where small
windows too early cost success. Squares, signs and acceptance belong to each image alone, with one query a step, and an
image that is fooled is not queried again: neither result nor queries depend on the batch.
"""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.losses import margin
from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import bounds, positive, whole
from robustbench_pix.randomness import ImageKeys

HALVED_AFTER = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Steps of 10,000 after which the share of an image that one square covers is halved (section 4.1 of the paper)."""

STEPS_DRAWN_AT_ONCE = 100
"""Affects speed only."""


class SquareAttack(SearchAttack):
    """Random search with squares in an linf ball (entries at the ball's edge) or an l2 ball, as ``strength`` says.

    Args:
        steps: queries of an image that is never fooled.
        initial_share: share of the image that the first squares cover.
    """

    needs = bounds("scores", "linf", "l2")

    def __init__(self, steps: int = 1_000, initial_share: float = 0.8) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.initial_share = positive("initial_share", initial_share, up_to=1)

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return the first adversarial point of each image, else the point of the smallest margin."""
        rows = torch.arange(len(labels), device=labels.device)
        return self.random_search(context.model, rows, ball, labels, keys, self.steps)[0]

    def side(self, step: int, height: int, width: int, norm: str) -> int:
        """Return the side of the squares at a step, counted from 0, in pixels."""
        stretched = step * 10_000 // self.steps if norm == "linf" else step
        halvings = sum(stretched > limit for limit in HALVED_AFTER)
        side = round(math.sqrt(self.initial_share / 2**halvings * height * width))
        return min(max(side, 1), height, width)

    @torch.no_grad()
    def random_search(
        self, oracle: Oracle, places: Tensor, ball: Ball, labels: Tensor, keys: ImageKeys, queries: int
    ) -> tuple[Tensor, Tensor]:
        """Return the points found with ``queries`` an image, (N, C, H, W), and whether they fool, bool (N,).

        Args:
            places: the rows of the ball's images among those that the oracle knows, int64 (N,).
        """
        images, (height, width) = ball.images, ball.images.shape[2:]
        changes = (BoxChanges if ball.norm == "linf" else SphereChanges)(images, ball.radius)
        found, rows = images.clone(), torch.arange(len(images), device=images.device)
        smallest = torch.full_like(rows, torch.inf, dtype=torch.float32)
        draws = self._draws(changes, PhiloxNoise(keys, "square", images.device))
        for step, drawn in enumerate(islice(draws, queries)):
            if step == 0:
                tried = changes.first(rows, drawn)
            else:
                tried = changes.next(rows, found[rows], drawn[rows], self.side(step, height, width, ball.norm))
            scores = oracle(tried, places[rows])
            margins, fooled = margin(scores, labels[rows]), scores.argmax(dim=1) != labels[rows]
            better = fooled | (margins < smallest[rows])
            found[rows[better]], smallest[rows[better]] = tried[better], margins[better]
            rows = rows[~fooled]
            if len(rows) == 0 or oracle.spent(places[rows]):
                break
        return found, torch.ones_like(labels, dtype=torch.bool).index_fill(0, rows, False)

    def _draws(self, changes: "BoxChanges | SphereChanges", noise: PhiloxNoise) -> Iterator[Tensor]:
        """Yield the uniform numbers of all images: (N, changes.first_draws), then (N, changes.draws) for each step."""
        steps = torch.arange(self.steps, device=noise.keys.device)
        yield noise.uniform(steps[:1], changes.first_draws)[0]
        for part in steps[1:].split(STEPS_DRAWN_AT_ONCE):
            yield from noise.uniform(part, changes.draws)


class BoxChanges:
    """Changes in the linf ball: vertical stripes at first, then a square of one colour at the ball's edge.

    Args:
        images: all images under attack, float32 in [0, 1], (N, C, H, W).
        radius: of the ball.

    Attributes:
        first_draws, draws: how many uniform numbers the first change and each other need for an image.
    """

    def __init__(self, images: Tensor, radius: float) -> None:
        self.images, self.radius = images, radius
        _, channels, _, width = images.shape
        self.first_draws, self.draws = channels * width, 2 + channels

    def first(self, rows: Tensor, drawn: Tensor) -> Tensor:
        """Return the images ``rows`` (M,) plus or minus the radius in each column; drawn: uniform, (M, first_draws)."""
        _, channels, _, width = self.images.shape
        signs = _signs(drawn).reshape(-1, channels, 1, width)
        return (self.images[rows] + self.radius * signs).clamp_(0, 1)

    def next(self, rows: Tensor, found: Tensor, drawn: Tensor, side: int) -> Tensor:
        """Return ``found`` (M, C, H, W) with a square of its own set to the edge of the ball, a sign for each channel.

        Drawn is uniform, (M, draws); the square's side is in pixels.
        The authors add twice the radius with that sign and project, which gives the same.
        """
        height, width = self.images.shape[2:]
        inside = _inside(drawn[:, 0], height, side)[:, :, None] & _inside(drawn[:, 1], width, side)[:, None, :]
        signs = _signs(drawn[:, 2:])[:, :, None, None]
        return torch.where(inside[:, None], (self.images[rows] + self.radius * signs).clamp_(0, 1), found)


class SphereChanges:
    """Changes in the l2 ball: a grid of bumps at first, then the mass of one window moved into another.

    Arguments as of BoxChanges.
    """

    def __init__(self, images: Tensor, radius: float) -> None:
        self.images, self.radius = images, radius
        _, channels, height, width = images.shape
        self.tile = max(min(height, width) // 5, 1)
        self.down, self.across = height // self.tile, width // self.tile
        self.first_draws, self.draws = self.down * self.across * (channels + 1), 5 + channels

    def first(self, rows: Tensor, drawn: Tensor) -> Tensor:
        """Return the images ``rows`` with a bump in each tile of a grid, lying or standing, a sign for each channel."""
        count, channels, height, width = len(rows), *self.images.shape[1:]
        tiles = self.down * self.across
        turned = drawn[:, :tiles].reshape(-1, self.down, 1, self.across, 1) < 0.5
        bump = bumps(self.tile, drawn.device)
        tiled = torch.where(turned, bump.T[:, None, :], bump[:, None, :])  # (M, down, tile, across, tile)
        signs = _signs(drawn[:, tiles:]).reshape(count, channels, self.down, 1, self.across, 1)
        grid = (tiled[:, None] * signs).reshape(count, channels, self.down * self.tile, self.across * self.tile)
        above, left = (height - grid.shape[2]) // 2, (width - grid.shape[3]) // 2
        change = torch.zeros_like(self.images[rows])
        change[:, :, above : above + grid.shape[2], left : left + grid.shape[3]] = grid
        return self._at_radius(rows, change)

    def next(self, rows: Tensor, found: Tensor, drawn: Tensor, side: int) -> Tensor:
        """Return ``found`` with the change in one window replaced by a bump, its mass taken from there and another.

        Algorithm 3 of the paper: the new window gets the squared norm of both windows and the rest of the ball.
        """
        _, channels, height, width = self.images.shape
        side = min(max(side | 1, 3), min(height, width))
        change = found - self.images[rows]
        to, source = (_Window(drawn[:, 2 * k], drawn[:, 2 * k + 1], change, side) for k in range(2))
        both = (change * (to.mask | source.mask)).square().sum(dim=(1, 2, 3), keepdim=True)
        left = (self.radius**2 - change.square().sum(dim=(1, 2, 3), keepdim=True)).clamp_(min=0)
        bump = bumps(side, change.device)
        bump = torch.where(drawn[:, 4, None, None] < 0.5, bump.T, bump)[:, None]
        old = to.read(change)
        new = bump * _signs(drawn[:, 5:])[:, :, None, None] + _unit(old, dim=(2, 3))
        change = change * ~source.mask
        to.write(change, _unit(new, dim=(2, 3)) * (left / channels + both).sqrt())
        return self._at_radius(rows, change)

    def _at_radius(self, rows: Tensor, change: Tensor) -> Tensor:
        return (self.images[rows] + self.radius * _unit(change, dim=(1, 2, 3))).clamp_(0, 1)


class _Window:
    """A window of one size in each image of a batch, at a place of each image's own."""

    def __init__(self, top: Tensor, left: Tensor, batch: Tensor, side: int) -> None:
        height, width = batch.shape[2:]
        self.rows = _first(top, height, side)[:, None] + torch.arange(side, device=batch.device)
        self.columns = _first(left, width, side)[:, None] + torch.arange(side, device=batch.device)
        self.mask = (_inside(top, height, side)[:, :, None] & _inside(left, width, side)[:, None, :])[:, None]

    def _index(self, batch: Tensor) -> tuple[Tensor, ...]:
        count, channels = (torch.arange(size, device=batch.device) for size in batch.shape[:2])
        return (
            count[:, None, None, None],
            channels[:, None, None],
            self.rows[:, None, :, None],
            self.columns[:, None, None],
        )

    def read(self, batch: Tensor) -> Tensor:
        """Return the windows, (N, C, side, side)."""
        return batch[self._index(batch)]

    def write(self, batch: Tensor, windows: Tensor) -> None:
        """Put windows into their places in the batch."""
        batch[self._index(batch)] = windows


def bumps(side: int, device: torch.device) -> Tensor:
    """Return a positive bump over a negative one, (side, side), L2 norm 1 (equation 2 of the paper, as AutoAttack's).

    A pixel at a distance r from a bump's centre, in the maximum norm, is the sum of 1 / (k + 1)^2 over the k from r to
    the largest half side.
    """
    halves = []
    for height, sign in ((side // 2, 1.0), (side - side // 2, -1.0)):
        down = (torch.arange(height, device=device) - height // 2).abs()[:, None]
        across = (torch.arange(side, device=device) - side // 2).abs()
        k = torch.arange(max(height // 2, side // 2) + 1, device=device)
        reached = k >= torch.maximum(down, across)[:, :, None]
        half = (reached / (k + 1.0).square()).sum(dim=2)
        halves.append(sign * half / half.square().sum().sqrt().clamp(min=1e-12))
    return _unit(torch.cat(halves), dim=(0, 1))


def _first(drawn: Tensor, length: int, side: int) -> Tensor:
    """Return the first row or column of a window, all that fit equally often, int64 (N,)."""
    return (drawn * (length - side + 1)).long()


def _inside(drawn: Tensor, length: int, side: int) -> Tensor:
    offset = torch.arange(length, device=drawn.device) - _first(drawn, length, side)[:, None]
    return (offset >= 0) & (offset < side)


def _signs(drawn: Tensor) -> Tensor:
    return torch.where(drawn < 0.5, -1.0, 1.0)


def _unit(values: Tensor, dim: tuple[int, ...]) -> Tensor:
    return values / values.square().sum(dim=dim, keepdim=True).sqrt().clamp(min=1e-12)
