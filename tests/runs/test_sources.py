"""Source models of transfer attacks in a run: which are trained, under which identity, and what they do."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

import robustbench_pix as rbp
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.digits import digits
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.request import SOURCE_SEED, RunConfig, parse_combination, parse_seeds
from tests.workspaces import FGSM, tiny_workspace


def workspace_of(folder, stated):
    """Return a tiny workspace whose suite ``tiny`` is an attack ``fgsm`` with these sources, a line of TOML."""
    tiny_workspace(folder)
    (folder / "attacks/fgsm.toml").write_text(FGSM.replace('strength = "linf"', f'{stated}\nstrength = "linf"'))
    (folder / "attacks/suites/tiny.toml").write_text('version = 1\nsummary = "One"\nattacks = ["fgsm"]\n')
    return folder


def planned(folder, stated="", recipes=("unregularized",), on="tiny", seeds="1"):
    """Return the victims' trainings, the sources' and the attacks, in the order of the plan."""
    config = RunConfig(
        workspace=Workspace(workspace_of(folder, stated)),
        suite="tiny",
        recipes=recipes,
        combinations=(parse_combination(on),),
        seeds=parse_seeds(seeds),
        size="full",
        colour=None,
        precision="float32",
        data_root=folder,
    )
    plan = make_plan(config, "cpu")
    jobs = list(plan.jobs.values())
    trained = [job for job in jobs if job.kind == "train"]
    of = [[job for job in trained if (job.identity.seed >= SOURCE_SEED) == source] for source in (False, True)]
    return (*of, [job for job in jobs if job.kind == "attack"], plan.rows[0].facts)


def test_without_sources_there_is_one_unregularized_model_and_identities_are_as_ever(tmp_path):
    [victim], [source], [attack], facts = planned(tmp_path)
    assert source.identity == victim.identity.model_copy(update={"seed": 1_000_000})
    assert attack.identity.source == source.id
    assert attack.needs == (victim.name, source.name)
    fields = {"attack", "source", "engine_version", "access", "strength", "strengths", "parameters", "evaluation"}
    assert set(attack.manifest["identity"]["attack"]) == fields
    [_], [same], [again], stated = planned(tmp_path, "sources = [{ seed = 0 }]")
    assert (same.id, again.id, stated["suite_hash"]) == (source.id, attack.id, facts["suite_hash"])


def test_an_ensemble_is_trained_once_for_all_victims(tmp_path):
    stated = 'sources = [{ seed = 1 }, { seed = 0 }, { network = "plain" }]'
    victims, sources, attacks, facts = planned(tmp_path, stated, recipes=("unregularized", "thresholded"), seeds="2")
    assert (len(victims), len(sources), len(attacks)) == (4, 3, 4)
    assert [source.identity.seed - SOURCE_SEED for source in sources] == [1, 0, 0]
    assert all(attack.needs[1:] == tuple(source.name for source in sources) for attack in attacks)
    assert all(attack.identity.attack.sources == tuple(source.id for source in sources) for attack in attacks)
    assert len({attack.id for attack in attacks}) == 4
    other = planned(tmp_path, stated.replace("seed = 1", "seed = 2"))[3]
    assert other["suite_hash"] != facts["suite_hash"], "rows from other sources must not be joined with these"


def test_another_network_keeps_what_it_takes_of_the_tasks_parameters(tmp_path):
    [victim], [source], _, _ = planned(
        tmp_path, 'sources = [{ network = "plain", network_parameters = { scale = 3.0 } }]'
    )
    task = victim.identity.task
    assert task.network_parameters == {"width": 8}
    changed = {"network": "plain", "network_source": None, "network_parameters": {"width": 8, "scale": 3.0}}
    assert source.identity.task == task.model_copy(update=changed)
    (tmp_path / "attacks/net.py").write_text("def net(*, channels, classes, depth=1):\n    pass\n")
    [_], [own], _, _ = planned(tmp_path, 'sources = [{ network = "net.py:net" }]')
    assert own.identity.task.network_parameters == {}
    assert own.identity.task.network_source is not None
    assert own.context.task_folder == tmp_path / "attacks"


def test_another_recipe_is_trained_on_the_victims_combination(tmp_path):
    stated = 'sources = [{ recipe = "thresholded" }]'
    [victim], [source], [attack, *_], _ = planned(tmp_path, stated, recipes=("thresholded",), on="tiny:digits")
    assert source.identity == victim.identity.model_copy(update={"seed": SOURCE_SEED})
    assert source.identity.regularization.parameters["threshold"] == 0.2
    assert source.title == "train thresholded on tiny:digits, seed 1000000"
    assert attack.identity.source == source.id


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ('network = "plane"', r"There is no network named 'plane'\. Did you mean plain\?"),
        ('recipe = "pixl"', r"There is no recipe named 'pixl'\. Did you mean pixel\?"),
        ('recipe = "neural"', r"The recipe neural cannot run: it needs neural responses or similarities.*\.$"),
    ],
)
def test_a_source_that_cannot_be(tmp_path, stated, said):
    with pytest.raises(rbp.UserError, match=f"^Cannot build a source model for fgsm: {said}"):
        planned(tmp_path, f"sources = [{{ {stated} }}]")


def test_a_victim_that_does_not_run_trains_no_source(tmp_path):
    assert planned(tmp_path, recipes=("neural",))[:3] == ([], [], [])


def test_every_seed_that_may_be_evaluated_is_no_sources():
    assert parse_seeds("0,999999") == (0, 999_999)
    for seed in (1_000_000, 1_000_001, 1_999_999, 5_000_000):
        with pytest.raises(rbp.UserError, match=f"Seed {seed} belongs to the source models"):
            parse_seeds(f"0,{seed}")


def test_a_run_with_two_sources_attacks_with_the_sign_of_their_mean_logits_gradient(tmp_path):
    """Made again by hand: both sources loaded, the gradient of their mean logits, the victim's decisions."""
    stated = 'sources = [{ seed = 3 }, { recipe = "thresholded", network = "plain" }]'
    workspace = workspace_of(tmp_path, stated)
    alone = (workspace / "attacks/fgsm.toml").read_text().replace(stated, "sources = [{ seed = 3 }]")
    (workspace / "attacks/alone.toml").write_text(alone)
    suite = 'version = 1\nsummary = "What the first keeps is not for the second"\nattacks = ["alone", "fgsm"]\n'
    (workspace / "attacks/suites/tiny.toml").write_text(suite)
    arguments = {"suite": "tiny", "on": "tiny", "recipes": "unregularized", "executor": "inline", "device": "cpu"}
    measurements = rbp.run(workspace=workspace, seeds=1, **arguments)
    assert (measurements.loc[measurements["attack"] != "worst-case", "mean_queries"] == 0).all()
    name = f"attack-{measurements.loc[measurements['attack'] == 'fgsm', 'attack_id'].iloc[0]}"
    spec = json.loads((workspace / "runs" / name / "spec.json").read_text())
    victim, *sources = [rbp.load_model(workspace / "runs" / need) for need in spec["needs"]]
    assert [type(source).__name__ for source in sources] == ["ResNet", "Plain"]
    data = digits(workspace, colour="gray")
    images, labels = (data.test_images[:60].float() / 255).requires_grad_(), data.test_labels[:60]
    mean = (sources[0](images) + sources[1](images)) / 2
    sign = torch.autograd.grad(functional.cross_entropy(mean, labels, reduction="sum"), images)[0].sign()
    examples = pd.read_parquet(workspace / "runs" / name / "examples.parquet")
    for strength in (0.1, 0.3):
        found = examples[examples["strength"] == strength].reset_index(drop=True)
        with torch.no_grad():
            moved = (images + strength * sign).clamp(0, 1)
            decisions = victim(moved).argmax(dim=1)
            # Digits have many pixels of 0, which no negative sign moves, so that lengths tell signs apart.
            lengths = (moved - images).flatten(1).norm(dim=1)
        alike = np.isclose(found["l2"], lengths, rtol=1e-5) & (found["prediction"] == decisions.numpy())
        assert alike.sum() >= 57, "rounding may turn a sign where the gradient is next to nothing"
