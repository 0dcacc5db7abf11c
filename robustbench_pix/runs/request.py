"""What a person asks for: recipes x combinations x seeds under a suite, checked before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from robustbench_pix.catalogue.specs import Colour, Precision, TaskSpec
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError, nearest

SOURCE_SEED = 1_000_000
"""Seed of the first source model of transfer attacks; from here on no seed may be evaluated."""

DEFAULT_RECIPES = ("unregularized", "pixel", "thresholded", "neural")
DEFAULT_COMBINATIONS = ("digits",)
DEFAULT_SEEDS = "3"
DEFAULT_SUITE = "blackbox"


@dataclass(frozen=True)
class Combination:
    """A task and the images that regularize it, written ``task:images``."""

    task: str
    images: str

    def __str__(self) -> str:
        return f"{self.task}:{self.images}"


@dataclass(frozen=True)
class Request:
    """A checked request."""

    workspace: Workspace
    suite: str
    recipes: tuple[str, ...]
    combinations: tuple[Combination, ...]
    seeds: tuple[int, ...]
    size: str
    colour: Colour | None
    precision: Precision
    data_root: Path

    def __post_init__(self) -> None:
        """Refuse what the command line refuses by itself."""
        check_choice("precision", self.precision, get_args(Precision))
        if self.colour is not None:
            check_choice("colour", self.colour, get_args(Colour))

    def task_at_size(self, name: str) -> TaskSpec:
        """Return a task at the size asked for.

        Raises:
            UserError: the task has no such size.
        """
        task = self.workspace.task(name)
        if self.size != "full" and self.size not in task.sizes:
            sizes = ", ".join(["full", *task.sizes])
            raise UserError(
                f"The task {name} has no size {self.size!r}; it has: {sizes}.{nearest(self.size, task.sizes)}"
            )
        return task.at_size(self.size)


def check_choice(what: str, given: str, offered: Sequence[str]) -> None:
    """Refuse what is not offered.

    Raises:
        UserError: names what is offered and the nearest.
    """
    if given not in offered:
        raise UserError(f"The {what} must be {' or '.join(offered)}, not {given!r}.{nearest(given, offered)}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that a text states: ``3`` means 0, 1, 2; ``4,5`` means those.

    Raises:
        UserError: it is neither, names a seed twice, or names one of the source models.

    >>> parse_seeds("3"), parse_seeds("5,4"), parse_seeds("4,")
    ((0, 1, 2), (4, 5), (4,))
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise UserError(f"--seeds {text!r} is neither a count such as 3 nor a list such as 0,1,2 (or 4, for one seed).")
    numbers = sorted(int(part) for part in parts)
    if numbers[-1] >= SOURCE_SEED:
        raise UserError(
            f"Seed {numbers[-1]} belongs to the source models of transfer attacks, as all from {SOURCE_SEED} on, and "
            "cannot be evaluated; give smaller seeds."
        )
    seeds = tuple(numbers) if "," in text else tuple(range(numbers[0]))
    if not seeds or len(set(seeds)) != len(seeds):
        raise UserError(f"--seeds {text!r} must name at least one seed, and none twice.")
    return seeds


def parse_combination(text: str) -> Combination:
    """Return the combination that a text states; ``mnist`` is ``mnist:mnist``.

    >>> str(parse_combination("mnist")), str(parse_combination("cifar10:natural"))
    ('mnist:mnist', 'cifar10:natural')
    """
    task, colon, images = text.partition(":")
    if not task or (colon and not images):
        raise UserError(f"--on {text!r} must be TASK or TASK:IMAGES, such as cifar10:natural.")
    return Combination(task, images or task)
