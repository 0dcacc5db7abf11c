"""Search a recipe's parameters for a task on its validation images; test images are never looked at.

    python studies/tune.py --on digits --recipe thresholded | tee studies/digits-thresholded.txt

For every point of the grid and every tuning seed a model is trained and attacked with Gaussian noise on the
validation images. The search keeps points whose clean accuracy is at least --keep of the unregularized one, and among
them takes the largest robustness to noise (area under the accuracy up to --sigma, divided by it). The tuning seeds lie
outside of those that tables use.
"""

import argparse
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

GRIDS = {
    "thresholded": {"alpha": [0.03, 0.1, 0.3, 1.0, 4.0, 10.0], "threshold": [0.2, 0.4, 0.6, 0.8]},
    "pixel": {"alpha": [0.03, 0.1, 0.3, 1.0, 4.0, 10.0]},
}


def measure(
    on: str, recipe: str, parameters: dict[str, float], seed: int, sigma: float, root: str, size: str
) -> dict[str, float]:
    """Train one model and return its clean accuracy and its robustness to noise on the validation images."""
    import torch

    from robustbench_pix.attacks.noise import GaussianNoise
    from robustbench_pix.catalogue.specs import EvaluationSpec
    from robustbench_pix.catalogue.workspace import Workspace
    from robustbench_pix.data.base import load_dataset
    from robustbench_pix.data.preparation import regularization_data, split
    from robustbench_pix.evaluation.batch import AttackSetting
    from robustbench_pix.evaluation.evaluate import evaluate
    from robustbench_pix.networks.building import build_network
    from robustbench_pix.recipes.contract import RecipeContext
    from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
    from robustbench_pix.runs.request import parse_combination
    from robustbench_pix.runs.training_job import feature_shapes
    from robustbench_pix.training.batches import TrainingData
    from robustbench_pix.training.loop import train

    torch.set_num_threads(1)
    combination = parse_combination(on)
    workspace = Workspace(Path.cwd())
    task = workspace.task(combination.task).at_size(size)
    data = load_dataset(task.dataset, task.folder, root=Path(root), colour=task.colour)
    training = task.training
    parts = split(data, seed=seed, fraction=training.validation_fraction, limit=training.train_images)
    channels = data.train_images.shape[1]
    network = build_network(
        task.network, task.folder, task.network_parameters, channels=channels, classes=data.classes, seed=seed
    )
    regularizer, images = None, data.train_images[:0]
    resolved = dict(workspace.recipe(recipe).parameters) | parameters
    if parameters:
        of = (
            data
            if combination.regularization_data == combination.task
            else load_dataset(combination.regularization_data, None, root=Path(root), colour=task.colour)
        )
        images = regularization_data(of, count=training.regularization_images, colour=task.colour).images
        setting = RecipeContext(images, feature_shapes(network, images, "cpu"), seed)
        regularizer = SimilarityRegularizer(setting, **{k: v for k, v in resolved.items() if k != "alpha"})
    trained = train(
        network,
        regularizer,
        TrainingData(*parts, images),
        training,
        seed=seed,
        alpha=parameters.get("alpha", 0.0),
        device="cpu",
    )
    network.load_state_dict(trained.state)
    strengths = tuple(sigma * step / 9 for step in range(10))
    case = AttackSetting(
        task=f"{task.name}-validation",
        protocol="strict",
        access="none",
        strength_kind="sigma",
        strengths=strengths,
        evaluation=EvaluationSpec(),
        classes=data.classes,
    )
    images, labels = parts.validation_images.float() / 255, parts.validation_labels
    outcome = evaluate(network, None, GaussianNoise(), images, labels, case, device="cpu")
    accuracy = outcome.groupby("strength")["correct"].mean().to_numpy()
    area = float(((accuracy[1:] + accuracy[:-1]) / 2).mean())
    return {**parameters, "seed": seed, "clean": float(accuracy[0]), "auc": area}


def main() -> None:
    """Search, print every point, and the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="digits")
    parser.add_argument("--recipe", default="thresholded", choices=sorted(GRIDS))
    parser.add_argument("--seeds", default="100,101")
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--keep", type=float, default=0.99)
    parser.add_argument("--size", default="full")
    parser.add_argument("--data-root", default=".data")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    grid = GRIDS[chosen.recipe]
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    seeds = [int(seed) for seed in chosen.seeds.split(",")]
    cases = [(point, seed) for point in [{}, *points] for seed in seeds]
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(measure, chosen.on, chosen.recipe, point, seed, chosen.sigma, chosen.data_root, chosen.size)
            for point, seed in cases
        ]
        results = [future.result() for future in futures]
    table = []
    for number, point in enumerate([{}, *points]):
        mine = results[number * len(seeds) : (number + 1) * len(seeds)]
        means = {key: round(sum(result[key] for result in mine) / len(mine), 4) for key in ("clean", "auc")}
        table.append({**point, **means})
        print(json.dumps(table[-1]), flush=True)
    kept = [row for row in table[1:] if row["clean"] >= chosen.keep * table[0]["clean"]]
    best = max(kept, key=lambda row: row["auc"]) if kept else None
    print("chosen:", json.dumps(best))


if __name__ == "__main__":
    main()
