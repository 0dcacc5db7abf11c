"""Whatever a user gets wrong is told in one sentence with the mend and the nearest name; nothing is trained."""

import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from robustbench_pix.catalogue.workspace import SHIPPED

FOOLBOX = 'summary = "x"\nattack = "{}"\naccess = "decisions"\nstrength = "l2"\nstrengths = {{ default = [0, 1] }}\n'
IMAGES = 40


@pytest.fixture(autouse=True)
def _nothing_is_trained(workspace):
    yield
    assert not list(workspace.glob("runs/*-*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "run --recipe thresold",
            "There is no recipe named 'thresold'. Did you mean thresholded? (rbp recipes lists all ",
        ),
        ("run --suite nose", "There is no suite named 'nose'. Did you mean noise? (rbp suites lists all "),
        ("run --on tinny", "There is no task named 'tinny'. Did you mean tiny? (rbp tasks lists all "),
        ("run --suite noise --on tiny:digit", " named 'digit'. Did you mean digits? ("),
        ("run --on :digits", "--on ':digits' must be TASK or TASK:DATA"),
        ("run --on tiny:", "--on 'tiny:' must be TASK or TASK:DATA"),
        (
            "run --on mnist --size reducd",
            "The task mnist has no size 'reducd'; it has: full, reduced, medium. Did you mean reduced?",
        ),
        ("run --on tiny --size reduced", "The task tiny has no size 'reduced'; it has: full."),
        ("run --device gpu", "There is no device 'gpu'; give cpu, cuda, cuda:0 or mps."),
        ("run --device meta", "--device meta is not supported; give cpu, cuda, cuda:0 or mps."),
        ("run --seeds many", "--seeds 'many' is neither a count such as 3 nor a list such as 0,1,2"),
        ("run --seeds 1.5", "--seeds '1.5' is neither a count"),
        ("run --seeds -1", "--seeds '-1' is neither a count"),
        ("run --seeds ,", "--seeds ',' is neither a count"),
        ("run --seeds 0", "--seeds '0' must name at least one seed"),
        ("run --seeds 4,4", "--seeds '4,4' must name at least one seed, and none twice"),
        ("run --seeds 1000000,", "Seed 1000000 belongs to the source models of transfer attacks"),
        ("run --seeds 3,1000007", "Seed 1000007 belongs to the source models of transfer attacks, as all from 1000000"),
        ("run --seeds 99999999999999999999", "Seed 99999999999999999999 belongs to the source models"),
        ("transfer --attack gaussian", 'access is "none"; only an attack with access "transfer" has sources.'),
        ("transfer --on tiny --source-recipe pixl", "no recipe named 'pixl'. Did you mean pixel?"),
        ("transfer --on tiny --source-recipe neural", "The recipe neural cannot run: it needs neural responses"),
        ("transfer --on tiny --source-network smal", "no network named 'smal'. Did you mean small?"),
        (
            "show thresold",
            "named 'thresold'. Did you mean thresholded? (rbp recipes, attacks, suites and tasks list them.)",
        ),
        (
            "show train-0123456789abcdef",
            "There is no recipe, task, attack, suite, data set or run named 'train-01",
        ),
        ("publish", "There are no runs in runs to publish; begin with rbp run."),
    ],
)
def test_one_sentence(rbp, arguments, sentence):
    assert sentence in rbp(*arguments.split()).refusal


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("mdels", "There is no command 'mdels'. Did you mean models?"),
        ("run --recipes pixel", "No such option '--recipes'"),
        ("run --recipes pixel", "--recipe"),
        ("run --workers 0", "'--workers': 0 is not in the range x>=1"),
        ("run --precision half", "'--precision': 'half' is not one of 'float32', 'tf32', 'bfloat16'"),
        ("models --format xml", "'--format': 'xml' is not one of 'table', 'csv', 'json', 'markdown'"),
        ("show", "Missing argument 'NAME'"),
        ("models --workspace attacks/gaussian.toml", "'--workspace': Directory 'attacks/gaussian.toml' is a file"),
    ],
)
def test_usage_errors_exit_with_2(rbp, arguments, words):
    said = rbp(*arguments.split())
    assert said.code == 2
    assert words in " ".join(said.err.replace("│", " ").split())
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("run --suite nose", 1, "Did you mean noise?"),
        ("run --recipe [red]x[/]", 1, "There is no recipe named '[red]x[/]'."),
        ("rum", 2, "Did you mean run?"),
    ],
)
def test_the_real_program(workspace, arguments, code, words):
    program = [sys.executable, "-c", "from robustbench_pix.cli import main; main()", *arguments.split()]
    done = subprocess.run(program, cwd=workspace, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_cuda_where_there_is_none(rbp, more):
    said = rbp("run", "--on", "tiny", "--suite", "noise", "--device", "cuda", *more).refusal
    assert said.startswith("--device cuda needs CUDA, and torch ")
    assert said.endswith("finds none here; leave it out or give cpu.")


def test_an_attack_of_a_suite(workspace, run):
    (workspace / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gausian"]\n')
    assert "noise.toml: attacks: There is no attack named 'gausian'. Did you mean gaussian?" in run().refusal


def test_data_that_is_absent(workspace, rbp, monkeypatch):
    def unreachable(*arguments, **options):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr("robustbench_pix.data.torchvision_sets.opened", unreachable)
    began = time.monotonic()
    said = rbp(
        "run", "--on", "mnist", "--data-root", workspace / "empty", "--suite", "noise", "--device", "cpu"
    ).refusal
    assert time.monotonic() - began < 20
    assert f"MNIST is not in {workspace / 'empty' / 'MNIST' / 'raw'} (expected there: train-images-idx3-ubyte," in said
    assert "put the files there, or name another folder with --data-root or RBP_DATA." in said


def lopsided():
    matrix = np.eye(IMAGES)
    matrix[0, 1] = 0.5
    return matrix


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.eye(IMAGES)[:, :-1], "a similarity matrix must be square, (images, images), not (40, 39)."),
        (np.eye(IMAGES - 1), "has 39 rows, but the prepared regularization data have 40 images."),
        (lopsided(), "the similarity matrix is not symmetric"),
        (np.where(np.eye(IMAGES), 1, np.nan), "the similarity matrix holds NaN or infinity"),
        (2 * np.eye(IMAGES), "similarities must lie in [-1, 1], but one is 2 in size."),
        (np.full((IMAGES, IMAGES), "1"), "similarity must hold real numbers, not 1600 of type <U1."),
        (np.zeros((0, 0)), "similarity must hold real numbers, not 0 of type float64."),
        (None, "similarities.npy does not exist; paths are relative to the recipe's file."),
    ],
)
def test_a_similarity_matrix(workspace, run, matrix, words):
    neural = (SHIPPED / "models/neural.toml").read_text()
    (workspace / "models/neural.toml").write_text(neural + 'similarity = "similarities.npy"\norder = "prepared"\n')
    if matrix is not None:
        np.save(workspace / "models/similarities.npy", matrix)
    said = run(recipes=["neural"]).refusal
    assert "models/similarities.npy" in said
    assert words in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reliability": np.full(3, np.nan)}, "reliability must have one finite value a neuron, (3,)."),
        ({"reliability": np.ones(4)}, "reliability must have one finite value a neuron, (3,)."),
        ({"responses": np.full((IMAGES, 3), np.inf)}, "responses must be finite numbers of shape (images, neurons)"),
        ({"responses": np.ones(IMAGES)}, "responses must be finite numbers of shape (images, neurons), not (40,)."),
        ({"responses": None}, "holds no tensor 'responses', only reliability."),
    ],
)
def test_neural_responses(workspace, run, changes, words):
    neural = (SHIPPED / "models/neural.toml").read_text()
    (workspace / "models/neural.toml").write_text(neural + 'responses = "all.safetensors"\norder = "prepared"\n')
    tensors = {"responses": np.ones((IMAGES, 3)), "reliability": np.ones(3)} | changes
    save_file({name: values for name, values in tensors.items() if values is not None}, "models/all.safetensors")
    assert words in run(recipes=["neural"]).refusal


def test_an_order_that_is_no_array(workspace, run):
    neural = (SHIPPED / "models/neural.toml").read_text()
    (workspace / "models/neural.toml").write_text(neural + 'similarity = "all.npy"\norder = "rows.npy"\n')
    np.save(workspace / "models/all.npy", np.eye(IMAGES))
    (workspace / "models/rows.npy").write_bytes(b"no array")
    assert "models/rows.npy could not be read as .npy or .safetensors" in run(recipes=["neural"]).refusal


def test_strengths_that_lack_the_task(workspace, run):
    text = (workspace / "attacks/gaussian.toml").read_text().replace("default", "mnist")
    (workspace / "attacks/gaussian.toml").write_text(text)
    assert "attacks/gaussian.toml: strengths has neither tiny nor default; state the strengths to use." in run().refusal


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("foolbox:BoundryAttack", "There is no attack of foolbox named 'BoundryAttack'. Did you mean BoundaryAttack?"),
        (
            "art:SquarAttack",
            "There is no evasion attack of the toolbox named 'SquarAttack'. Did you mean SquareAttack?",
        ),
        (
            "gaussian-nois",
            "There is no attack named 'gaussian-nois'. Did you mean gaussian-noise? (There are: auto-attack,",
        ),
        (
            "mine.py:attack",
            "attacks/mine.py cannot be read (No such file or directory); it must lie beside the TOML file",
        ),
    ],
)
def test_code_of_an_attack_that_does_not_exist(workspace, run, attack, words):
    (workspace / "attacks/gaussian.toml").write_text(FOOLBOX.format(attack))
    assert words in run().refusal


def test_code_of_a_recipe_that_does_not_exist(workspace, run):
    (workspace / "models/mine.toml").write_text('summary = "x"\nregularizer = "simlarity"\n')
    said = run(recipes=["mine"]).refusal
    assert said.startswith("There is no regularizer named 'simlarity'. Did you mean similarity? (There are: ")
    (workspace / "models/mine.toml").write_text('summary = "x"\nregularizer = "mine.py:penalty"\n')
    (workspace / "models/mine.py").write_text("import no_such_package\n")
    assert "models/mine.py could not be imported: ModuleNotFoundError" in run(recipes=["mine"]).refusal


def test_init_where_nothing_can_be_written(workspace, rbp):
    assert (
        "Could not write to attacks/gaussian.toml/new: Not a directory"
        in rbp("init", "attacks/gaussian.toml/new").refusal
    )
    assert rbp("init").code == 0
    assert "models/ours.py, models/ours.toml exists already; nothing was written." in rbp("init").refusal
