"""Register a regularizer, state a recipe and a short task, train it beside the baseline, and print the difference.

python examples/add_regularizer.py
"""

from pathlib import Path

import torch

import robustbench_pix as rbp

WORKSPACE = Path("example-workspace")

TASK = """
summary = "Digits for ten epochs, to try a recipe quickly"
dataset = "digits"
network = "small"
network_parameters = { scale = 1.0, shift = 0.0 }
training = { epochs = 10, learning_rate = 0.05 }
"""

RECIPE = """
summary = "Pull the feature maps of pairs of images together"
regularizer = "smooth"
parameters = { alpha = 0.1, layer = 0 }
"""


@rbp.regularizer("smooth")
def smooth(step: rbp.Step, *, layer: int = 0) -> torch.Tensor:
    """Return the mean squared difference of both images' feature maps in one layer."""
    return torch.nn.functional.mse_loss(step.first[layer], step.second[layer])


def main() -> None:
    """Write the two files, train and attack, compare accuracies."""
    for name, text in (("tasks/quick", TASK), ("smooth", RECIPE)):
        file = WORKSPACE / "models" / f"{name}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    measurements = rbp.run(
        suite="smoke", on="quick:digits", recipes=["unregularized", "smooth"], seeds=1, workspace=WORKSPACE
    )
    single = measurements[measurements["attack"] != "worst-case"]  # its perturbation sizes are fractions
    accuracy = single.pivot(index=["attack", "strength"], columns="recipe", values="accuracy")
    print(accuracy.assign(difference=accuracy["smooth"] - accuracy["unregularized"]).round(3).to_string())
    print("One seed says nothing about a recipe: run six or more, and look at `rbp compare`.")


if __name__ == "__main__":
    main()
