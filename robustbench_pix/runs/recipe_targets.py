"""The targets of recipes on a combination, as a training would build them, without a training."""

import torch
from torch import nn

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.errors import UserError
from robustbench_pix.networks.building import build_network
from robustbench_pix.regularizers.neural import neural_recording
from robustbench_pix.regularizers.pairs import pair_count
from robustbench_pix.regularizers.target_comparison import NamedTarget
from robustbench_pix.regularizers.targets import build_target
from robustbench_pix.runs.locations import load_regularization_data
from robustbench_pix.runs.request import Combination, RunConfig
from robustbench_pix.runs.training_planner import TrainingPlanner


def recipe_targets(config: RunConfig, combination: Combination) -> list[NamedTarget]:
    """Return the target of each recipe of a run configuration, shuffled ones as for its first seed.

    Raises:
        UserError: a recipe has no target of similarities, or cannot run on these images.
    """
    task = config.task_at_size(combination.task)
    planner = TrainingPlanner(config, task, combination)
    data = load_regularization_data(planner.images_location)

    def untrained(seed: int) -> nn.Module:
        channels, classes = planner.data.train_images.shape[1], planner.data.classes
        return build_network(*planner.own, channels=channels, classes=classes, seed=seed)

    found = []
    for name in config.recipes:
        recipe = config.workspace.recipe(name)
        penalty = recipe.penalty(planner.scope(planner.own))
        if recipe.regularizer != "similarity" or penalty is None or penalty.parameters["target"] == "none":
            raise UserError(f"The recipe {name} has no target of similarities.")
        _, reason = planner.regularization(recipe, penalty)
        if reason:
            raise UserError(f"The recipe {name} has no target on {combination}: it {reason}.")
        parameters = SimilarityParameters(**penalty.parameters)
        target = build_target(data, parameters, seed=config.seeds[0], folder=recipe.folder, untrained=untrained)
        ranks = torch.arange(pair_count(len(data.images))) if target.allowed is None else target.allowed
        if target.held_out is not None:
            ranks = torch.cat([ranks, target.held_out]).sort().values
        neural = parameters.target == "neural"
        recording = neural_recording(parameters, recipe.folder, data.recording) if neural else None
        found.append(NamedTarget(name, parameters, target.values, ranks, recording))
    return found
