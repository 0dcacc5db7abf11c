"""What ``rbp verify --runs`` does beyond reading files; kept apart because it imports torch."""

from pathlib import Path

import rich_click as click
import torch

from robustbench_pix.devices import resolve_device
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import lent_to_others
from robustbench_pix.results.checks.repeating import attack_again, sample
from robustbench_pix.results.published.reading import read_published
from robustbench_pix.runs.store import Store


def repeat(folder: Path, store: Store, count: int, data_root: Path | None, device: str | None) -> list[str]:
    """Attack a sample of the published models again, say how each attack agrees, and return what does not.

    Raises:
        UserError: none of the published attacks is among the runs, or the device is not there.
    """
    measurements, _ = read_published(folder)
    chosen = sample(measurements, store, count)
    if not chosen:
        raise UserError(f"None of the attacks published in {folder} is among the runs in {store.root}.")
    where, wrong = resolve_device(device), []
    if where == "cpu":
        torch.set_num_threads(1)
    for attack_id in chosen:
        rows = measurements[measurements["attack_id"] == attack_id]
        try:
            with lent_to_others():
                agreement = attack_again(attack_id, rows, store, data_root=data_root, device=where)
        except UserError as error:
            wrong.append(str(error))
            click.echo(error)
        else:
            wrong += [] if agreement.holds else [str(agreement)]
            click.echo(agreement)
    click.echo(f"{len(chosen) - len(wrong)} of {len(chosen)} attacks made again agree with what is published.")
    return wrong
