"""What a person asks for: recipes x combinations x seeds under a suite, checked before anything is loaded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from robustbench_pix.catalogue.specs import Colour, Precision, TaskSpec
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.errors import UserError, nearest

SOURCE_SEED = 1_000_000
"""Seed of the first source model of transfer attacks; from here on no seed may be evaluated."""

GIVEN_SEED = 2_000_000
"""Stands where a given model, which no seed made, would have its seed; it is paired with nothing."""

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
class GivenModel:
    """Somebody else's model, to be attacked beside the trained ones.

    Attributes:
        name: of its row.
        reference: ``package.module:function`` or ``file.py:function``.
        folder: where a file lies and modules are looked for first, absolute.
        weights: a file with its weights, or None where the function brings them.
    """

    name: str
    reference: str
    folder: Path
    weights: Path | None

    @property
    def label(self) -> str:
        """The reference for a table: a file without the folders above it."""
        return self.reference.replace("\\", "/").rpartition("/")[2]


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
    given: GivenModel | None = None
    check_gradients: bool | None = None
    """Whether models are checked for masked gradients; as the suite says where None."""

    def __post_init__(self) -> None:
        """Refuse what the command line refuses by itself, and a given model under the name of a recipe."""
        check_choice("precision", self.precision, get_args(Precision))
        if self.colour is not None:
            check_choice("colour", self.colour, get_args(Colour))
        if self.given is not None and self.given.name in self.workspace.names(FOLDERS["recipe"]):
            raise UserError(f"There is a recipe named {self.given.name!r}; give the model another --name.")

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


def request_of_given(
    reference: str,
    weights: str | Path | None,
    name: str | None,
    *,
    workspace: Workspace,
    suite: str,
    task: str,
    images: str | None,
    size: str,
    colour: Colour | None,
    data_root: Path,
    check_gradients: bool | None,
) -> Request:
    """Return the request that attacks a given model alone; see ``parse_given``.

    Raises:
        UserError: a name is unknown, a file is not there, or the reference is none.
    """
    request = Request(
        workspace=workspace,
        suite=workspace.suite(suite).name,
        recipes=(),
        combinations=(Combination(task, images or task),),
        seeds=(GIVEN_SEED,),
        size=size,
        colour=colour,
        precision="float32",
        data_root=data_root,
        given=parse_given(reference, weights, name),
        check_gradients=check_gradients,
    )
    request.task_at_size(task)
    return request


def parse_given(reference: str, weights: str | Path | None, name: str | None) -> GivenModel:
    """Return the model that a reference names, seen from the current folder; nothing of it is imported.

    Raises:
        UserError: the reference is none, a file is not there, or the name cannot stand in a table.

    >>> parse_given("torchvision.models:resnet18", None, None).name
    'resnet18'
    """
    place, _, attribute = reference.rpartition(":")
    if not place or not attribute.isidentifier():
        raise UserError(f"--model {reference!r} must be package.module:function or file.py:function.")
    folder = Path.cwd()
    files = [folder / place] if place.endswith(".py") else []
    files += [Path(weights).expanduser()] if weights is not None else []
    for file in files:
        if not file.is_file():
            raise UserError(f"There is no file {file}; it is looked for from the current folder.")
    name = attribute if name is None else name
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(f"--name {name!r} must be made of letters, digits, dots, hyphens and underscores.")
    return GivenModel(name, reference, folder, Path(weights).expanduser().absolute() if weights is not None else None)


def parse_combination(text: str) -> Combination:
    """Return the combination that a text states; ``mnist`` is ``mnist:mnist``.

    >>> str(parse_combination("mnist")), str(parse_combination("cifar10:natural"))
    ('mnist:mnist', 'cifar10:natural')
    """
    task, colon, images = text.partition(":")
    if not task or (colon and not images):
        raise UserError(f"--on {text!r} must be TASK or TASK:IMAGES, such as cifar10:natural.")
    return Combination(task, images or task)
