"""Run configurations: recipes x combinations x seeds under a suite, checked before anything is loaded."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from robustbench_pix.catalogue.specs import Colour, Precision, TaskSpec
from robustbench_pix.catalogue.workspace import FOLDERS, RESERVED, Workspace, wrong_name
from robustbench_pix.errors import UserError, nearest

SOURCE_SEED = 1_000_000
"""Seed of the first source model of transfer attacks; from here on no seed may be evaluated."""

EXTERNAL_SEED = 2_000_000
"""Stands in tables where an external model, which no seed made, would have its seed; it is paired with nothing."""

TUNING_SEED = 3_000_000
"""First seed of tuning: no table evaluates it, and no source model has it."""

DEFAULT_RECIPES = ("unregularized", "pixel", "thresholded", "neural")
DEFAULT_COMBINATIONS = ("digits",)
DEFAULT_SEEDS = "3"

EXECUTORS = ("processes", "inline", "dask")


@dataclass(frozen=True)
class Combination:
    """A task and its regularization data, written ``task:data``."""

    task: str
    regularization_data: str

    def __str__(self) -> str:
        return f"{self.task}:{self.regularization_data}"


@dataclass(frozen=True)
class ExternalModel:
    """A model that was not trained here, to be attacked beside the trained ones.

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


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run configuration whose names exist; the command line and the Python side take their defaults from here.

    Attributes:
        suite: the attacks; None where a caller brings them itself.
        external: a model to attack; there are no recipes then.
        check_gradients: whether models are checked for gradient masking; as the suite says where None.
        data_root: the folder of data sets; RBP_DATA, else the user's cache folder where None.
        replace: whether an external model may take the row of another one of its name.
    """

    workspace: Workspace
    suite: str | None = "blackbox"
    recipes: tuple[str, ...]
    combinations: tuple[Combination, ...]
    seeds: tuple[int, ...]
    size: str = "full"
    colour: Colour | None = None
    precision: Precision = "float32"
    check_gradients: bool | None = None
    data_root: Path | None = None
    external: ExternalModel | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown names and choices, and an external model under the name of a recipe."""
        check_choice("precision", self.precision, get_args(Precision))
        if self.colour is not None:
            check_choice("colour", self.colour, get_args(Colour))
        if self.suite is not None:
            self.workspace.suite(self.suite)
        for recipe in self.recipes:
            self.workspace.recipe(recipe)
        for combination in self.combinations:
            self.task_at_size(combination.task)
        if self.external is not None and self.external.name in self.workspace.names(FOLDERS["recipe"]):
            raise UserError(f"There is a recipe named {self.external.name!r}; give the model another --name.")

    @classmethod
    def parse(
        cls,
        *,
        workspace: Workspace,
        recipes: Iterable[str],
        on: Iterable[str],
        seeds: str,
        data_root: Path | None = None,
        **stated: Any,
    ) -> "RunConfig":
        """Return the configuration that texts state; ``stated`` are other fields as they are.

        Raises:
            UserError: a name is unknown, or a text is none of its kind.
        """
        return cls(
            workspace=workspace,
            recipes=tuple(workspace.recipe_names(recipes)),
            combinations=tuple(dict.fromkeys(map(parse_combination, on))),
            seeds=parse_seeds(seeds),
            data_root=data_root.expanduser() if data_root else None,
            **stated,
        )

    @classmethod
    def for_external(
        cls,
        *,
        model: str,
        weights: str | Path | None,
        name: str | None,
        task: str,
        regularization_data: str | None,
        data_root: Path | None = None,
        **stated: Any,
    ) -> "RunConfig":
        """Return the configuration that attacks an external model alone; see ``parse_external``.

        Raises:
            UserError: a name is unknown, a file is not there, or the reference is none.
        """
        return cls(
            recipes=(),
            combinations=(Combination(task, regularization_data or task),),
            seeds=(EXTERNAL_SEED,),
            data_root=data_root.expanduser() if data_root else None,
            external=parse_external(model, weights, name),
            **stated,
        )

    @property
    def data_folder(self) -> Path:
        """Where data sets lie."""
        from robustbench_pix.data.base import default_root

        return self.data_root or default_root()

    def task_at_size(self, name: str) -> TaskSpec:
        """Return a task at the size of the configuration.

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


@dataclass(frozen=True)
class Resources:
    """What a run is carried out with; none of it changes a number. ``cluster`` is a file that describes one."""

    device: str | None = None
    executor: str = EXECUTORS[0]
    workers: int | None = None
    cluster: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what the command line refuses by itself, and what the file of a cluster states."""
        check_choice("executor", self.executor, EXECUTORS)
        if self.cluster is not None:
            if self.executor == "inline":
                raise UserError("--cluster and --executor inline exclude each other; leave one of them out.")
            if self.workers is not None or self.device is not None:
                stated = "--workers" if self.workers is not None else "--device"
                raise UserError(f"The file of --cluster states what {stated} says; leave {stated} out.")

    @property
    def on_cluster(self) -> bool:
        """Whether jobs go to workers of Dask."""
        return self.cluster is not None or self.executor == "dask"


def check_choice(what: str, stated: str, offered: Sequence[str]) -> None:
    """Refuse what is not offered.

    Raises:
        UserError: names what is offered and the nearest.
    """
    if stated not in offered:
        raise UserError(f"The {what} must be {' or '.join(offered)}, not {stated!r}.{nearest(str(stated), offered)}")


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


def parse_external(reference: str, weights: str | Path | None, name: str | None) -> ExternalModel:
    """Return the model that a reference names, seen from the current folder; nothing of it is imported.

    Raises:
        UserError: the reference is none, a file is not there, or the name cannot stand in a table.

    >>> parse_external("torchvision.models:resnet18", None, None).name
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
    if name in RESERVED["recipe"]:
        raise UserError(f"--name {name!r} is reserved in the tables; give the model another --name.")
    if wrong := wrong_name(name):
        raise UserError(f"--name {name!r} {wrong}; give the model another --name.")
    return ExternalModel(
        name, reference, folder, Path(weights).expanduser().absolute() if weights is not None else None
    )


def parse_combination(text: str) -> Combination:
    """Return the combination that a text states; ``mnist`` is ``mnist:mnist``.

    >>> str(parse_combination("mnist")), str(parse_combination("cifar10:natural"))
    ('mnist:mnist', 'cifar10:natural')
    """
    task, colon, data = text.partition(":")
    if not task or (colon and not data):
        raise UserError(f"--on {text!r} must be TASK or TASK:DATA, such as cifar10:natural.")
    return Combination(task, data or task)
