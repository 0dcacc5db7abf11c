"""Catalogue files: what ships, what a workspace adds, and what a control inherits."""

import pytest

from robustbench_pix.catalogue.strengths import parse_strengths
from robustbench_pix.catalogue.tuned import TuningScope
from robustbench_pix.catalogue.workspace import FOLDERS, SHIPPED, Workspace
from robustbench_pix.errors import UserError
from tests.workspaces import GAUSSIAN, TASK, tiny_workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tiny_workspace(tmp_path))


def write(workspace, name, text):
    path = workspace.root / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(workspace, kind, text, name="it"):
    """Write a file of a kind, read it, and return the specification."""
    write(workspace, f"{FOLDERS[kind]}/{name}", text)
    return getattr(workspace, kind)(name)


CONTROL = """\
summary = "A control"
regularizer = "similarity"
controls = "{}"
parameters = {{ target = "zero" }}

"""
THRESHOLDED = """\
summary = "The paper's values"
regularizer = "similarity"
parameters = { target = "thresholded", alpha = 10.0, threshold = 0.8 }

[[tuned]]
task = "mnist"
images = "mnist"
alpha = 4.0
threshold = 0.2
"""


@pytest.fixture
def tuned(workspace):
    """Give a workspace whose ``thresholded`` is tuned for mnist:mnist, whatever is shipped."""
    read(workspace, "recipe", THRESHOLDED, "thresholded")
    return workspace


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, path.stem) for kind, folder in FOLDERS.items() for path in sorted((SHIPPED / folder).glob("*.toml"))],
)
def test_every_shipped_file_reads(kind, name, tmp_path):
    spec = getattr(Workspace(tmp_path), kind)(name)
    assert spec.name == name
    assert spec.path.is_file()
    assert 10 < len(spec.summary) < 120
    assert not spec.summary.endswith(".")


def test_attacks_override_at_sizes_that_a_task_has(tmp_path):
    """A size of any other name would be passed over without a word."""
    shipped = Workspace(tmp_path)
    known = {size for name in shipped.names(FOLDERS["task"]) for size in shipped.task(name).sizes}
    stated = {size for name in shipped.names(FOLDERS["attack"]) for size in shipped.attack(name).sizes}
    assert stated
    assert stated <= known


def test_shipped_files_are_listed_without_a_workspace(tmp_path):
    assert {"pixel", "thresholded", "unregularized"} <= set(Workspace(tmp_path / "nowhere").names("models"))
    assert "tasks" not in Workspace(tmp_path).names("models")


def test_what_is_no_catalogue_file_is_not_listed(workspace):
    before = workspace.names("attacks")
    (workspace.root / "attacks/folder.toml").mkdir()
    (workspace.root / "attacks/.#gaussian.toml").symlink_to("nobody@nowhere")
    (workspace.root / "attacks/._gaussian.toml").write_bytes(b"\x00\x05\x16\x07")
    assert workspace.names("attacks") == before


def test_a_byte_order_mark_and_windows_line_ends(workspace):
    text = "\ufeff" + THRESHOLDED.replace("\n", "\r\n")
    (workspace.root / "models/it.toml").write_bytes(text.encode())
    assert workspace.recipe("it").penalty(TuningScope("mnist", "mnist")).alpha == 4.0


def test_the_workspace_wins(workspace):
    assert workspace.task("digits").path.is_relative_to(SHIPPED)
    assert workspace.attack("gaussian").summary == "Gaussian noise at two strengths"
    assert workspace.attack("gaussian").strengths_for("anything") == (0.0, 0.2, 0.4)
    assert workspace.names("attacks").count("gaussian") == 1
    assert read(workspace, "recipe", THRESHOLDED, "pixel").summary == "The paper's values"


def test_tuning_holds_for_its_combination(tuned):
    recipe = tuned.recipe("thresholded")
    tuned, general = recipe.penalty(TuningScope("mnist", "mnist")), recipe.penalty(TuningScope("cifar10", "natural"))
    assert (tuned.alpha, tuned.parameters["threshold"]) == (4.0, 0.2)
    assert (general.alpha, general.parameters["threshold"]) == (10.0, 0.8)
    assert tuned.parameters["pairs"] == 16


def test_tuning_without_images_holds_for_its_task_and_the_last_entry_wins(workspace):
    text = (
        THRESHOLDED.replace('images = "mnist"\n', "") + '[[tuned]]\ntask = "mnist"\nimages = "natural"\nalpha = 7.0\n'
    )
    recipe = read(workspace, "recipe", text)
    alphas = [
        recipe.penalty(TuningScope(*of)).alpha
        for of in (("mnist", "mnist"), ("mnist", "natural"), ("digits", "natural"))
    ]
    assert alphas == [4.0, 7.0, 10.0]


@pytest.mark.parametrize("name", ["shuffled", "decorrelated", "statistics"])
def test_controls_inherit_parameters_and_tuning(tuned, name):
    own = {"shuffled": "thresholded", "decorrelated": "zero", "statistics": "none"}[name]
    control, controlled = tuned.recipe(name), tuned.recipe("thresholded")
    for combination in (("mnist", "mnist"), ("cifar10", "natural")):
        inherited = controlled.penalty(TuningScope(*combination)).stated
        parameters = control.penalty(TuningScope(*combination)).stated
        assert parameters == {**inherited, "target": own, "shuffled": name == "shuffled"}
    assert control.penalty(TuningScope("mnist", "mnist")).alpha == 4.0
    assert control.penalty(TuningScope("mnist", "mnist")).parameters["threshold"] == 0.2


def test_a_control_may_tune_for_itself(workspace):
    text = CONTROL.format("thresholded") + '[[tuned]]\ntask = "mnist"\nimages = "mnist"\nalpha = 7.0\n'
    penalty = read(workspace, "recipe", text).penalty(TuningScope("mnist", "mnist"))
    assert (penalty.alpha, penalty.parameters["target"]) == (7.0, "zero")


def test_parameters_of_somebody_else_pass(workspace):
    text = (
        'summary = "Theirs"\nregularizer = "ours.py:smooth"\nparameters = { alpha = 2, layers = [0, 1], mode = "a" }\n'
    )
    penalty = read(workspace, "recipe", text).penalty(TuningScope("mnist", "mnist"))
    assert penalty == (2.0, {"layers": [0, 1], "mode": "a"})


def test_sizes(workspace):
    task = read(workspace, "task", TASK + "[sizes.reduced]\nepochs = 1\nnetwork_parameters = { width = 1 }\n")
    assert task.at_size("full") == task
    assert task.at_size("reduced").training == task.training.model_copy(update={"epochs": 1})
    assert task.at_size("reduced").network_parameters == {"width": 1}
    attack = read(workspace, "attack", GAUSSIAN + "[sizes.reduced]\nimages = 5\n")
    assert (attack.at_size("full").evaluation.images, attack.at_size("reduced").evaluation.images) == (None, 5)


def test_a_shipped_control_finds_the_files_of_the_recipe_that_it_controls(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/neural.toml").write_text(
        'summary = "x"\nregularizer = "similarity"\n[parameters]\n'
        'target = "neural"\nsimilarity = "mine.npy"\norder = "prepared"\n'
    )
    control = Workspace(tmp_path).recipe("shuffled-neural")
    assert (control.folder, control.parameters["similarity"]) == (tmp_path / "models", "mine.npy")
    assert control.parameters["shuffled"]
    assert Workspace(tmp_path).recipe("shuffled").folder == Workspace(tmp_path).recipe("thresholded").folder


def test_a_control_of_another_class_inherits_unless_it_states_parameters(workspace):
    of = ("digits", "digits")
    assert workspace.recipe("lowpass-data").penalty(TuningScope(*of)) == workspace.recipe("blur").penalty(
        TuningScope(*of)
    )
    assert workspace.recipe("random-signs").penalty(TuningScope(*of)).parameters["eps"] == 0.1
    own = read(
        workspace, "recipe", 'summary = "x"\nrecipe = "lowpass-data"\ncontrols = "blur"\nparameters = { sigma = 3.0 }\n'
    )
    assert own.penalty(TuningScope(*of)).parameters == {"sigma": 3.0}


def test_controls_of_what_cannot_be_controlled(workspace):
    with pytest.raises(UserError, match=r"it\.toml: controls = 'shuffled' is itself a control; name the recipe it con"):
        read(workspace, "recipe", CONTROL.format("shuffled"))
    with pytest.raises(UserError, match=r"it\.toml: controls: There is no recipe named 'pixle'\. Did you mean pixel\?"):
        read(workspace, "recipe", CONTROL.format("pixle"))


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("recipe", "thresold", "'thresold'. Did you mean thresholded? (rbp recipes lists all "),
        ("task", "mnits", "'mnits'. Did you mean mnist? (rbp tasks lists all "),
        ("attack", "bondary", "'bondary'. Did you mean boundary? (rbp attacks lists all "),
        ("suite", "blakbox", "'blakbox'. Did you mean blackbox? (rbp suites lists all "),
        ("suite", "", "''. (rbp suites lists all "),
    ],
)
def test_names_of_nothing(workspace, kind, name, said):
    with pytest.raises(UserError) as caught:
        getattr(workspace, kind)(name)
    assert str(caught.value) == f"There is no {kind} named {said}{len(workspace.names(FOLDERS[kind]))}.)"


def test_strengths():
    assert parse_strengths({"to": 1, "count": 3}) == ((0.0, 0.5, 1.0), 0.0)
    assert parse_strengths([0, 0.1 + 0.2]) == ((0.0, 0.3), 0.0)
    assert parse_strengths((0, 1)) == ((0.0, 1.0), 0.0)


def test_a_range_has_equal_steps_from_its_begin_to_its_end_after_0():
    assert parse_strengths({"from": 0.2, "to": 0.8, "count": 4}) == ((0.0, 0.2, 0.4, 0.6, 0.8), 0.2)
    assert parse_strengths({"from": 0, "to": 0.5, "count": 2}) == parse_strengths({"to": 0.5, "count": 2})
    values, start = parse_strengths({"from": "1/18", "to": "4/9", "count": 8})
    assert start == values[1] == round(1 / 18, 10)
    assert values[1:] == tuple(round(step / 18, 10) for step in range(1, 9))


def test_fractions_are_numbers():
    assert parse_strengths([0, "4/255", " 8 / 255 "]) == ((0.0, round(4 / 255, 10), round(8 / 255, 10)), 0.0)


def test_a_task_without_strengths_of_its_own_has_the_default_range(workspace):
    path = workspace.root / "attacks/gaussian.toml"
    stated = "default = { from = 0.1, to = 0.3, count = 3 }\ntiny = [0, 1]"
    path.write_text(path.read_text().replace("default = [0.0, 0.2, 0.4]", stated))
    spec = workspace.attack("gaussian")
    assert (spec.strengths_for("anything"), spec.range_from("anything")) == ((0.0, 0.1, 0.2, 0.3), 0.1)
    assert (spec.strengths_for("tiny"), spec.range_from("tiny")) == ((0.0, 1.0), 0.0)
    assert (workspace.attack("boundary").strengths_for("other"), workspace.attack("boundary").range_from("other")) == (
        (),
        0.0,
    )
