"""Bad recipes and recordings from the command line: one sentence, exit code 1, and what others trained is kept."""

import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner

from robustbench_pix.cli import main
from tests.recipes.test_run import few_pictures
from tests.workspaces import TASK, tiny_workspace

OWN = """
import numpy as np
import torch
import robustbench_pix as rbp
from robustbench_pix.data.base import ImageData
from robustbench_pix.data.recording import Recording, Session


class Changed(torch.nn.Module):
    def __init__(self, network, maps=lambda maps: maps, logits=lambda logits: logits):
        super().__init__()
        self.network, self.maps, self.logits = network, maps, logits

    def features(self, images):
        return self.maps(self.network.features(images))

    def forward(self, images):
        return self.logits(self.network(images))


def networks(**changes):
    class Own(rbp.Recipe):
        @classmethod
        def network(cls, network, *, channels, classes):
            return Changed(network, **changes)

    return Own


Flat = networks(maps=lambda maps: [one.flatten(1) for one in maps])
OneTensor = networks(maps=lambda maps: maps[0])
NoMaps = networks(maps=lambda maps: None)
FewLogits = networks(logits=lambda logits: logits[:, :5])


class RaisingNetwork(rbp.Recipe):
    @classmethod
    def network(cls, network, *, channels, classes):
        raise ValueError("no idea")


class Twice(rbp.Recipe):
    def batch(self, batch, tools):
        return batch._replace(images=torch.cat([batch.images, batch.images]))


class FloatTargets(rbp.Recipe):
    def batch(self, batch, tools):
        return batch._replace(targets=batch.targets.float())


class Pairs(rbp.Recipe):
    def penalty(self, step):
        return step.first[-1].mean()


class Derivative(rbp.Recipe):
    def penalty(self, step):
        return torch.autograd.grad(step.logits.sum(), step.images, create_graph=True)[0].square().sum()


class Labelled(rbp.Recipe):
    singles = 4

    def __init__(self, context):
        super().__init__(context)
        self.register_buffer("wanted", context.labels.float())


class Checking(rbp.Recipe):
    @classmethod
    def check(cls, parameters, folder, images):
        return str(np.load(folder / "nowhere.npy"))


class Reporting(rbp.Recipe):
    def report(self):
        return {"share": 1 / 0}


def recorded(root, *, colour):
    images = torch.zeros(40, 1, 8, 8, dtype=torch.uint8)
    return ImageData(images, recording=Recording({"a": Session("a", responses=np.ones((37, 2)))}))
"""

RESPONSES = np.random.default_rng(0).normal(size=(40, 6, 3))
SQUARE = np.ones((40, 40))


def silent():
    """Return responses of which the first neuron's are alike over repeats, but for rounding."""
    responses = RESPONSES.copy()
    responses[:, 0] = responses[:, 0, :1]
    return responses


def without_image(number):
    responses = RESPONSES.copy()
    responses[number] = np.nan
    return responses


@pytest.fixture
def folder(tmp_path):
    folder = tiny_workspace(tmp_path / "here")
    (folder / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    for place in ("models", "models/tasks"):
        (folder / place / "own.py").write_text(OWN)
    return folder


def told(folder, *recipes, on="tiny"):
    """Return the exit code and what stands on standard error after the run of these recipes."""
    arguments = ["run", "--on", on, "--seeds", "1", "--suite", "noise", "--executor", "inline", "--device", "cpu"]
    arguments += [
        "--workspace",
        folder,
        "--data-root",
        folder / "data",
        *(part for name in recipes for part in ("--recipe", name)),
    ]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("Flat", "must return a list of maps of shape (N, C, H, W) (got (2, 512), (2, 512), (2, 256), (2, 128))."),
        ("OneTensor", "must return a list of maps of shape (N, C, H, W) (got (2, 8, 8, 8))."),
        ("NoMaps", "must return a list of maps of shape (N, C, H, W) (got NoneType)."),
        ("FewLogits", "must return logits of shape (N, 10) (got (2, 5) for 2 images)."),
        ("RaisingNetwork", "The network of the recipe 'own.py:RaisingNetwork' raised ValueError: no idea."),
        ("Twice", "images (128, 1, 8, 8) and 64 targets; 1 views of 64 images (1, 8, 8) are expected"),
        ("FloatTargets", "targets (64,) of type float32; labels int64 (64,) or probabilities float (64, classes)"),
        ("Pairs", "the recipe reads step.first without declaring pairs"),
        ("Derivative", "the recipe's penalty derives without declaring double_backward"),
        ("Reporting", "the recipe's report raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_slot_that_does_not_keep_to_the_contract_fails_alone(folder, recipe, sentence):
    (folder / "models/own.toml").write_text(f'summary = "x"\nrecipe = "own.py:{recipe}"\n')
    code, errors = told(folder, "unregularized", "own")
    assert code == 1
    assert "train own on tiny, seed 0: failed, " in errors
    assert sentence in errors
    kept = [json.loads(path.read_text())["context"] for path in folder.glob("runs/train-*/spec.json")]
    assert [context["recipe"] for context in kept] == ["unregularized"]


def test_labels_that_images_lack_are_told(folder):
    few_pictures(folder / "data")
    (folder / "models/own.toml").write_text('summary = "x"\nrecipe = "own.py:Labelled"\n')
    code, errors = told(folder, "own", on="tiny:natural")
    assert code == 1
    assert "has no attribute 'float' (its images have no labels and no recording)." in errors
    (folder / "models/labels.toml").write_text(
        'summary = "x"\nrecipe = "similarity"\nparameters = { target = "labels", alpha = 1.0 }\n'
    )
    assert told(folder, "labels", on="tiny:natural") == (0, "Nothing to do: no recipe can run; the table says why.\n")


@pytest.mark.parametrize(
    ("field", "write", "parameters", "sentence"),
    [
        ("responses", lambda path: np.save(path, RESPONSES[:37]), "", "has 37 rows, but the prepared regularization"),
        ("responses", lambda path: np.save(path, RESPONSES[:, :, 0]), 'weights = "corrected"', "needs repeats of"),
        ("responses", lambda path: np.save(path, without_image(5)), "", "image 5 has no response at all; leave it out"),
        ("responses", lambda path: np.save(path, silent()), "", "neuron 0 responds to all repeats alike"),
        ("responses", lambda path: np.save(path, np.array([{}])), "", "holds Python objects; save arrays of plain"),
        ("responses", lambda path: path.write_bytes(pickle.dumps(1)), "", "or a pickle, which runs code"),
        ("similarity", lambda path: np.save(path, np.triu(SQUARE)), "", "the similarity matrix is not symmetric"),
        ("similarity", lambda path: path.unlink(missing_ok=True), "", "does not exist; paths are relative to"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_recording_is_refused_before_anything_is_trained(
    folder, field, write, parameters, sentence
):
    write(folder / "models/file.npy")
    (folder / "models/own.toml").write_text(
        'summary = "x"\nrecipe = "similarity"\n[parameters]\ntarget = "neural"\nalpha = 1.0\norder = "prepared"\n'
        f'{field} = "file.npy"\n{parameters}\n'
    )
    code, errors = told(folder, "unregularized", "own")
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert errors.startswith(f"Error: {folder / 'models/own.toml'}: ")
    assert sentence in errors
    assert not list(folder.glob("runs/train-*"))


def test_an_rdm_that_is_none_is_refused(folder):
    np.savez(folder / "models/file.npz", rdm=SQUARE)
    (folder / "models/own.toml").write_text(
        'summary = "x"\nrecipe = "similarity"\n[parameters]\ntarget = "neural"\nalpha = 1.0\norder = "prepared"\n'
        'similarity = "file.npz"\n'
    )
    code, errors = told(folder, "own")
    assert code == 1
    assert "the RDM is not 0 on its diagonal, so it holds no dissimilarities of images.\n" in errors


def test_a_recording_of_another_number_of_images_is_refused(folder):
    (folder / "models/tasks/recorded.toml").write_text(TASK.replace('"digits"', '"own.py:recorded"'))
    code, errors = told(folder, "thresholded", on="tiny:recorded")
    assert (code, errors) == (
        1,
        "Error: There are 40 images and responses to 37; row k of the recording must belong to image k.\n",
    )


def test_a_check_that_raises_names_its_recipe(folder):
    (folder / "models/own.toml").write_text('summary = "x"\nrecipe = "own.py:Checking"\n')
    code, errors = told(folder, "own")
    assert code == 1
    assert f"Error: {folder / 'models/own.toml'}: the check of own.py:Checking raised FileNotFoundError: " in errors


@pytest.mark.parametrize(("recipe", "eps"), [("adversarial", 1.5), ("fast-adversarial", -0.1), ("trades", '"8/255"')])
def test_eps_beyond_its_range_is_refused(folder, recipe, eps):
    (folder / "models/own.toml").write_text(f'summary = "x"\nrecipe = "{recipe}"\nparameters = {{ eps = {eps} }}\n')
    code, errors = told(folder, "own")
    assert code == 1
    assert (
        f"own.toml: eps must be a number of at least 0 and at most 1 (got {str(eps).replace(chr(34), chr(39))}).\n"
        in errors
    )


@pytest.mark.parametrize("target", ["high", "thresholded"])
def test_a_threshold_that_selects_no_pair_says_which_quantiles_would(folder, target):
    (folder / "models/own.toml").write_text(
        f'summary = "x"\nrecipe = "similarity"\nparameters = {{ target = "{target}", threshold = 0.999999 }}\n'
    )
    code, errors = told(folder, "own")
    assert code == 1
    assert "of these images' pairs 0.44 selects 10.0%, 0.759 selects 1.0%, 0.826 selects 0.1% by size." in errors
