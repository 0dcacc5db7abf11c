"""Train a small network outside the harness, attack it, and print its accuracy under each attack.

python examples/evaluate_own_model.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import robustbench_pix as rbp
from robustbench_pix.data.digits import digits

WORKSPACE = Path("example-workspace")


def perceptron() -> nn.Module:
    """Return an untrained network: images (N, 1, 8, 8) in [0, 1] in, logits (N, 10) out."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train(network: nn.Module, epochs: int = 30) -> None:
    """Train on the training images of digits; the harness attacks the test images."""
    data = digits(Path(), colour="gray")
    images, labels = data.train_images.float() / 255, data.train_labels
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def main() -> None:
    """Train, save the weights, evaluate."""
    torch.manual_seed(0)
    network = perceptron()
    train(network)
    WORKSPACE.mkdir(exist_ok=True)
    weights = WORKSPACE / "perceptron.safetensors"
    save_file(network.state_dict(), weights)
    measurements = rbp.evaluate(
        f"{__file__}:perceptron",
        weights=weights,
        task="digits",
        suite="smoke",
        workspace=WORKSPACE,
        replace=True,
    )
    for attack, rows in measurements.groupby("attack", sort=False):
        print(f"{attack}: accuracy by perturbation size")
        print(rows[["strength", "accuracy"]].round(3).to_string(index=False, header=False))


if __name__ == "__main__":  # The harness imports this file in processes of its own.
    main()
