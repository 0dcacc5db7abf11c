"""A workspace in which a whole run takes a second: a tiny task, two cheap attacks, a suite of them."""

from pathlib import Path

TASK = """\
summary = "A tiny task for tests"
dataset = "digits"
network = "small"

[network_parameters]
width = 8

[training]
epochs = 2
learning_rate = 0.05
train_images = 192
test_images = 60
regularization_images = 40
decay_every = 1
restart_every = 2
"""

LEARNT = TASK.replace("epochs = 2", "epochs = 6").replace("train_images = 192", "train_images = 800")
"""A task after which a model is right about most images, so that attacks take something away."""

THRESHOLDED = """\
summary = "The thresholded target, gentle enough for a tiny network"
regularizer = "similarity"

[parameters]
target = "thresholded"
alpha = 0.5
threshold = 0.2
"""

GAUSSIAN = """\
summary = "Gaussian noise at two strengths"
attack = "gaussian-noise"
access = "none"
strength = "sigma"

[strengths]
default = [0.0, 0.2, 0.4]
"""

FGSM = """\
summary = "Transferred gradient sign"
attack = "fast-gradient-sign"
access = "transfer"
strength = "linf"

[strengths]
default = [0.0, 0.1, 0.3]
"""

BOUNDARY = """\
summary = "A short boundary attack"
attack = "foolbox:BoundaryAttack"
access = "decisions"
strength = "l2"

[strengths]
tiny = [0.0, 1.0, 2.0]

[parameters]
steps = 30

[evaluation]
images = 8
"""

SUITE = """\
version = 1
summary = "Three cheap attacks"
attacks = ["gaussian", "transfer-fgsm", "boundary"]
"""


def tiny_workspace(folder: Path) -> Path:
    """Write the files of a tiny workspace into a folder and return it."""
    files = {
        "models/tasks/tiny.toml": TASK,
        "models/thresholded.toml": THRESHOLDED,
        "attacks/gaussian.toml": GAUSSIAN,
        "attacks/transfer-fgsm.toml": FGSM,
        "attacks/boundary.toml": BOUNDARY,
        "attacks/suites/tiny.toml": SUITE,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
