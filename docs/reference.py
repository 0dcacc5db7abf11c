"""Write the reference: commands from click, catalogue files from pydantic, columns from their declaration.

``pages`` returns the pages; ``site_hooks.py`` adds them when the site is built, and nothing of them is committed.
"""

import inspect
import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, get_args

import click

from robustbench_pix.catalogue import recipe_spec, specs
from robustbench_pix.cli import main
from robustbench_pix.results import columns, derived_columns
from robustbench_pix.runs.cluster import cluster_file

CLUSTER = "any that --cluster names"
SPECS = {
    "Recipes": ("models/*.toml", recipe_spec.RecipeSpec),
    "Tasks": ("models/tasks/*.toml", specs.TaskSpec),
    "`[training]` of a task": ("", specs.TrainingSpec),
    "Attacks": ("attacks/*.toml", specs.AttackSpec),
    "`[evaluation]` of an attack": ("", specs.EvaluationSpec),
    "`sources` of an attack": ("", specs.SourceSpec),
    "Suites": ("attacks/suites/*.toml", specs.SuiteSpec),
    "Clusters: workers on this machine": (CLUSTER, cluster_file.LocalSpec),
    "Clusters: hosts reached by ssh": (CLUSTER, cluster_file.SshSpec),
    "Clusters: a scheduler that runs": (CLUSTER, cluster_file.AddressSpec),
    "Clusters: Slurm and other queues": (CLUSTER, cluster_file.QueueSpec),
    "Clusters: Kubernetes": (CLUSTER, cluster_file.KubernetesSpec),
}
MEANINGS = {
    "summary": "One line for lists and tables",
    "reference": "The paper or data set that the idea comes from",
    "regularizer": "Also written `recipe`: a registered name, `file.py:Class` or `package.module:Class`, or a function "
    "of that kind; absent: nothing is added",
    "parameters": "Of the algorithm; those of a recipe include `alpha`, the weight of the penalty",
    "search": "By parameter: the values that `rbp tune` searches; absent in a control: those of what it controls",
    "tuned": "Parameters for one combination, size and network: `task`, `images` (the regularization data; absent: "
    "any), `size` (absent: `full`; `*`: any, and no tuning), `network` and `network_parameters` (absent: the "
    "task's own), `source` (where they come from), what differs",
    "controls": "Of a control: the recipe that it controls, whose parameters and tuning it shares",
    "dataset": "A registered data set",
    "network": "A registered network",
    "network_parameters": "Arguments of the network",
    "colour": "Of the images",
    "training": "The training protocol",
    "sizes": "By name, such as `reduced`: what differs from `full`",
    "epochs": "Passes over the training images",
    "batch_size": "Images of a batch; of an attack: images handed to an attack library at once",
    "minimum_batch": "A last batch with fewer images is left out",
    "learning_rate": "Of SGD, at the start",
    "momentum": "Of SGD",
    "weight_decay": "Of SGD",
    "decay": "Factor of the learning rate after every `decay_every` epochs",
    "decay_every": "In epochs",
    "restart_every": "Epochs after which the learning rate starts anew",
    "validation_fraction": "Of the training images, held out to choose the epoch",
    "augmentation": "Of the training images",
    "regularization_images": "How many images of the regularization data are used at most",
    "train_images": "How many training images are used; all where absent",
    "test_images": "How many test images are used; all where absent",
    "attack": "A registered name, `file.py:Class`, `foolbox:Class` or `art:Class`",
    "access": "The threat model",
    "sources": "Of a transfer attack: the source models; one unregularized model of the task's network where absent",
    "strength": "The unit of the perturbation size: `l2`, `linf`, `sigma` or another",
    "strengths": "By task, or `default`: a list from 0, or `{ from = 0.2, to = 0.8, count = 8 }`; fractions such "
    "as `8/255` are texts; absent: only a distance is reported",
    "evaluation": "How the harness applies the attack",
    "images": "How many test images are attacked, always the same ones; all where absent",
    "repetitions": "How often each image is attacked anew",
    "seed": "Of the random streams of the attack; of a source model: its number from 0",
    "start_directions": "Uniform noises tried for a starting point before a test image of another class is taken",
    "budget": "Query budget per image; no limit where absent",
    "recipe": "What the source model is trained with",
    "version": "Rises when an attack, its parameters or its perturbation sizes change",
    "protocol": "`strict`: clamp to [0, 1], true labels; `paper`: as Attias et al. 2024",
    "check_gradients": "Whether each model is checked for gradient masking, unless a run says otherwise",
    "attacks": "Names of attacks, in the order of the tables",
    "kind": "Which cluster: `local`, `ssh`, `address`, `kubernetes`, or a queue such as `slurm`",
    "shared_disk": "Whether all workers see the workspace under the same path; else run folders travel",
    "data_root": "Folder of the data sets on the workers; absent: that of the command on a shared disk, else that of "
    "each worker",
    "gpus": "GPUs of this machine, of a host or of a job of the queue, with one worker each; 0: workers on CPUs",
    "workers": "Workers in all",
    "least": "Workers that stay without work, in place of `workers`; others come and go",
    "most": "The largest number of workers, beside `least`",
    "address": "Of the scheduler, such as `tcp://ada:8786`",
    "resources": "What a worker must have declared to be given a job",
    "hosts": "Names for ssh; the first one also runs the scheduler",
    "slots": "Workers that one host or one job of the queue gives, of one thread each; absent: one",
    "options": "Of the class of Dask, dask-jobqueue or dask-kubernetes, by name; of a queue at least `memory`",
}
"""What the keys of catalogue files mean."""

COMMANDS = """# Commands

`rbp` and `python -m robustbench_pix` are the same. Exit codes: 0: all went well. 1: something failed or differs, and
a sentence says what. 2: the command line could not be read.
"""

OF_THE_FILE = ("name", "path")
"""Fields that no file states: its name and place are these."""


def pages() -> dict[str, str]:
    """Return the pages by their place below docs/."""
    return {
        "reference/commands.md": commands(),
        "reference/catalogue-files.md": catalogue_files(),
        "reference/columns.md": tables(),
    }


def commands() -> str:
    """Return a section for each command, with its arguments, options and examples."""
    parts = [COMMANDS]
    parent = click.Context(main, info_name="rbp", **main.context_settings)
    for name, command in main.commands.items():
        context = click.Context(command, info_name=name, parent=parent)
        parts.append(
            f"## rbp {name}\n\n```text\n{' '.join(command.get_usage(context).split()).removeprefix('Usage: ')}\n```\n"
        )
        parts.append(_help(command.help or ""))
        options = [_option(option, context) for option in command.params if isinstance(option, click.Option)]
        parts.append(_table(("option", "meaning", "default"), [row for row in options if row]))
    return "\n".join(parts)


def catalogue_files() -> str:
    """Return a section for each kind of file, with its keys."""
    parts = [
        "# Catalogue files\n\nEvery file is TOML. Its name is the name of what it states. An unknown key is an error.\n"
    ]
    for title, (place, spec) in SPECS.items():
        parts.append(f"## {title}\n")
        if place:
            parts.append(f"Files: `{place}`\n")
        parts.append(_prose((inspect.getdoc(spec) or "").partition("\n\n")[0]))
        fields = [(key, field) for key, field in spec.model_fields.items() if key not in OF_THE_FILE]
        rows = [
            (f"`{key}`", _cell(MEANINGS[key]), _type(field.annotation, field.metadata), _default(field))
            for key, field in fields
        ]
        parts.append(_table(("key", "meaning", "type", "default"), rows))
    return "\n".join(parts)


def tables() -> str:
    """Return a section for each published table, with its columns; those that name a row stand once."""
    declared = dict(_declared())
    shared = tuple(
        one for one, other in zip(declared["MEASUREMENTS"], declared["LEADERBOARD"], strict=False) if one == other
    )
    parts = ["# Columns\n\nThe tables of a published folder. An empty field means that there is no such number.\n"]
    parts.append(f"## Columns that name a row\n\n{_columns(shared)}")
    for name, table in declared.items():
        begins = table[: len(shared)] == shared
        parts.append(f"## {name.lower().replace('_', '-')}\n")
        parts.append("The [columns that name a row](#columns-that-name-a-row), then:\n" if begins else "")
        parts.append(_columns(table[len(shared) :] if begins else table))
    return "\n".join(parts)


def _declared() -> Iterator[tuple[str, tuple[Any, ...]]]:
    for name, value in {**vars(columns), **vars(derived_columns)}.items():
        if name[0].isupper() and isinstance(value, tuple) and value and isinstance(value[0], columns.Column):
            yield name, value


def _columns(table: tuple[Any, ...]) -> str:
    """Return the rows of a table; neighbours whose names differ in a number alone are one row."""
    rows = []
    for _, group in groupby(table, key=lambda column: (re.sub(r"\d+$", "", column.name), column.kind, column.meaning)):
        first, *_, last = [*group] * 2
        name = f"`{first.name}`" if first.name == last.name else f"`{first.name}` to `{last.name}`"
        rows.append((name, first.kind, _cell(first.meaning)))
    return _table(("column", "type", "meaning"), rows)


def _help(text: str) -> str:
    """Return a help text of click: what follows ``\\b`` keeps its lines, and lines with ``$`` are commands."""
    prose, _, examples = inspect.cleandoc(text).partition("\b\n")
    lines = [line.removeprefix("$ ") for line in examples.splitlines() if line.startswith("$ ")]
    shown = f"\n\n```bash\n{chr(10).join(lines)}\n```" if lines else ""
    return f"{prose.strip()}{shown}\n"


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str] | None:
    if option.hidden:
        return None
    names = "<br>".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names, _cell(option.help or ""), _cell(_shown_default(option, context))


def _shown_default(option: click.Option, context: click.Context) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    default = option.get_default(context, call=False)
    if option.required:
        return "required"
    if not option.show_default or default is None or callable(default):
        return ""
    return ", ".join(map(str, default)) if isinstance(default, (tuple, list)) else str(default)


def _type(annotation: Any, metadata: list[Any]) -> str:
    """Return a type for a reader of TOML."""
    limits = ", ".join(_limit(item) for item in metadata if _limit(item))
    return _cell(" ".join(filter(None, [_type_name(annotation), limits])))


def _type_name(annotation: Any) -> str:
    arguments = [part for part in get_args(annotation) if part not in (type(None), Ellipsis)]
    origin = getattr(annotation, "__origin__", None)
    if hasattr(annotation, "__metadata__"):
        return _type_name(origin)
    if isinstance(annotation, type) and origin is None:
        names = {str: "text", bool: "true or false", int: "whole number", float: "number"}
        return names.get(
            annotation, "table" if issubclass(annotation, specs.BaseModel) else annotation.__name__.lower()
        )
    if arguments and all(isinstance(part, str) for part in arguments):
        return " or ".join(f"`{part}`" for part in arguments)
    if origin is dict:
        return "table"
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}s"
    return " or ".join(dict.fromkeys(map(_type_name, arguments))) or "any"


def _limit(item: Any) -> str:
    bounds = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return ", ".join(f"{sign} {getattr(item, name)}" for name, sign in bounds.items() if hasattr(item, name))


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, specs.BaseModel):
        return "as below"
    return "" if default in (None, "", (), {}) else f"`{json.dumps(default)}`"


def _prose(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) if rows else ""
