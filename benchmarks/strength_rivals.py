"""Which attacks are compared, at equal budgets: ours first, then those of the libraries that do the same."""

from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from benchmarks.strength_ways import Way, harness, library


class Side(NamedTuple):
    """One attack as one library has it."""

    attack: str
    way: str
    run: Way


SCORE_QUERIES, ASCENTS, OURS_OF_L2 = 1_000, 40, 0.2
"""Queries of score attacks, steps of projected gradient ascent, and the length of ours in l2 (that of our entry)."""

JUMPS = 20
"""Of HopSkipJump: more than 5,000 queries allow. The libraries' go on asking when their budget is spent."""


def in_a_ball(norm: str, *, tiny: bool) -> list[Side]:
    """Return attacks at a given radius, in the order of the table; tiny: without those that take long."""
    score_based = partial(harness, access="scores", norm=norm, budget=SCORE_QUERIES)
    white = partial(harness, access="gradients", norm=norm, budget=None)
    sides = [
        Side("one gradient step", "ours", white("fast-gradient-sign")),
        Side("one gradient step", "foolbox", white("foolbox:LinfFastGradientAttack")),
        Side("one gradient step", "torchattacks", library(norm, _torchattacks("FGSM"))),
    ] if norm == "linf" else []  # fmt: skip
    own = {} if norm == "linf" else {"step_share": OURS_OF_L2}
    sides += [
        Side(f"PGD, {ASCENTS} steps", "ours", white("projected-gradient", steps=ASCENTS, **own)),
        Side(f"PGD, {ASCENTS} steps", "foolbox", white(f"foolbox:{norm.capitalize()}PGD", steps=ASCENTS)),
        Side(f"PGD, {ASCENTS} steps", "torchattacks", library(norm, _torchattacks_pgd(norm))),
        Side("Square", "ours", score_based("square", steps=SCORE_QUERIES)),
        Side("Square", "pyautoattack", library(norm, partial(_square, norm=norm, stretched=False))),
        Side("Square", "pyautoattack, stretched", library(norm, partial(_square, norm=norm, stretched=True))),
        Side("Square", "torchattacks", library(norm, _torchattacks("Square", norm=norm.capitalize(), n_queries=1_000))),
        Side("Square", "ART", score_based("art:SquareAttack", max_iter=SCORE_QUERIES)),
        Side("natural evolution", "ours", score_based("natural-evolution", steps=32)),
        Side("natural evolution", "foolbox", library(norm, partial(_estimated, norm=norm))),
    ]
    if not tiny:
        sides += [
            Side("AutoAttack", "ours", white("auto-attack")),
            Side("AutoAttack", "pyautoattack", library(norm, partial(_auto_attack, norm=norm))),
        ]
    if norm == "l2":
        sides += [
            Side("SimBA", "ours", score_based("simba", steps=SCORE_QUERIES)),
            Side("SimBA", "ours, cosines", score_based("simba", steps=SCORE_QUERIES, basis="dct")),
            Side("SimBA", "ART", score_based("art:SimBA", max_iter=SCORE_QUERIES, attack="px", epsilon=0.2)),
        ]
    return sides


def ensemble(budget: int) -> Side:
    """Return our decision ensemble with a budget of queries an image."""
    run = harness("decision-ensemble", "decisions", "l2", budget, queries=budget)
    return Side("decision ensemble", "ours", run)


def from_decisions(budget: int) -> list[Side]:
    """Return searches of the smallest l2 distance that see decisions only."""
    decisions = partial(harness, access="decisions", norm="l2", budget=budget)
    return [
        ensemble(budget),
        Side("boundary", "ours", decisions("boundary", steps=25_000)),
        Side("boundary", "foolbox", decisions("foolbox:BoundaryAttack", steps=25_000)),
        Side("HopSkipJump", "ours", decisions("hop-skip-jump", steps=JUMPS)),
        Side("HopSkipJump", "foolbox", decisions("foolbox:HopSkipJumpAttack", steps=JUMPS)),
        Side("HopSkipJump", "ART", decisions("art:HopSkipJump", max_iter=JUMPS)),
        Side("GeoDA", "ours", decisions("geoda", directions=round(0.96 * budget))),
    ]


def _torchattacks(name: str, **parameters: Any) -> Any:
    def make(model: nn.Module, radius: float) -> Any:
        import torchattacks

        return getattr(torchattacks, name)(model, eps=radius, **parameters)

    return make


def _torchattacks_pgd(norm: str) -> Any:
    def make(model: nn.Module, radius: float) -> Any:
        import torchattacks

        kind = torchattacks.PGD if norm == "linf" else torchattacks.PGDL2
        # The ratios of its defaults: 2/255 of 8/255, and 0.2 of 1.
        return kind(model, eps=radius, alpha=radius * (0.25 if norm == "linf" else 0.2), steps=ASCENTS)

    return make


def _auto_attack(model: nn.Module, radius: float, *, norm: str) -> Any:
    from pyautoattack import AutoAttack

    attack = AutoAttack(model, eps=radius, norm=norm.capitalize(), seed=0)
    return lambda images, labels: attack.run_standard_evaluation(images, labels, batch_size=len(images))[0]


def _square(model: nn.Module, radius: float, *, norm: str, stretched: bool) -> Any:
    from pyautoattack.square import SquareAttack

    attack = SquareAttack(
        model, norm=norm.capitalize(), n_queries=SCORE_QUERIES, eps=radius, resc_schedule=stretched, device="cpu"
    )
    return attack.perturb


def _estimated(model: nn.Module, radius: float, *, norm: str) -> Any:
    """Return foolbox's projected gradient with the gradient estimated from 15 pairs of scores, for as many steps."""
    import foolbox
    from foolbox.gradient_estimators import es_gradient_estimator

    kind = {"linf": foolbox.attacks.LinfProjectedGradientDescentAttack, "l2": foolbox.attacks.L2PGD}[norm]
    estimated = es_gradient_estimator(kind, samples=30, sigma=0.001, bounds=(0, 1), clip=True)
    attack = estimated(steps=SCORE_QUERIES // 31, rel_stepsize=0.1)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")

    def run(images: Tensor, labels: Tensor) -> Tensor:
        made: Tensor = attack(wrapped, images, foolbox.criteria.Misclassification(labels), epsilons=radius)[1]
        return made

    return run
