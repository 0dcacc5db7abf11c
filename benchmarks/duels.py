"""Which attacks are compared, with parameters that make the engines ask about equally often."""

from functools import partial
from typing import Any, NamedTuple

from benchmarks.attack_ways import Outcome, Way, art_attack, foolbox_attack, ours
from benchmarks.victims import Victim

RADIUS = 0.05
"""Linf radius of the square attack."""

QUERIES_OF_AN_ITERATION = 40
"""Of the toolbox's boundary attack, about: 20 candidates around the image and up to 20 towards it."""

QUERIES_OF_A_SQUARE = 3
"""Of the toolbox's square attack."""


class Side(NamedTuple):
    """One side of a duel; ``one_by_one`` takes one image after the other, so it is given only a few."""

    attack: str
    way: str
    run: Way
    parameters: dict[str, Any]
    one_by_one: bool = False


def duels(steps: int, iterations: int) -> list[list[Side]]:
    """Return the sides of each duel, ours first; ``iterations`` are HopSkipJump's, ``steps`` those of the others."""
    walk, jumps = {"steps": steps}, {"steps": iterations}
    walk_of_toolbox = {"max_iter": max(1, steps // QUERIES_OF_AN_ITERATION), "targeted": False}
    many_steps = {"max_iter": steps, "targeted": False}
    squares_of_toolbox = {"max_iter": max(1, steps // QUERIES_OF_A_SQUARE), "eps": RADIUS}
    return [
        [
            Side("boundary", "ours", ours("boundary", "decisions", "l2", ()), walk),
            *_library("boundary", "foolbox", foolbox_attack, "BoundaryAttack", walk),
            *_library("boundary", "ART", art_attack, "BoundaryAttack", walk_of_toolbox)[1:],
            Side(
                "boundary",
                "ART, many steps",
                art_attack("BoundaryAttack", one_by_one=True),
                many_steps,
                one_by_one=True,
            ),
        ],
        [
            Side("HopSkipJump", "ours", ours("hop-skip-jump", "decisions", "l2", ()), jumps),
            *_library("HopSkipJump", "foolbox", foolbox_attack, "HopSkipJumpAttack", jumps),
            *_library("HopSkipJump", "ART", art_attack, "HopSkipJump", {"max_iter": iterations})[1:],
        ],
        [
            Side("square", "ours", ours("square", "scores", "linf", (0.0, RADIUS)), walk),
            *_library("square", "ART", partial(art_attack, needs_start=False), "SquareAttack", squares_of_toolbox),
        ],
    ]


def fight(sides: list[Side], victim: Victim, *, images: int, few: int, rounds: int) -> list[Outcome]:
    """Let the sides take turns, each on its images; return for each its least time and its last outcome."""
    outcomes: list[list[Outcome]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, so_far in zip(sides, outcomes, strict=True):
            so_far.append(side.run(victim.first(few if side.one_by_one else images), side.parameters))
    return [of[-1]._replace(seconds=min(outcome.seconds for outcome in of)) for of in outcomes]


def _library(attack: str, library: str, way: Any, name: str, parameters: dict[str, Any]) -> list[Side]:
    return [
        Side(attack, f"{library}, batched", way(name, one_by_one=False), parameters),
        Side(attack, f"{library}, one by one", way(name, one_by_one=True), parameters, one_by_one=True),
    ]
