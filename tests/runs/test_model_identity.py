"""What tells one external model from another, whatever its state dict leaves out, and what is refused or told of it."""

import json

import pytest
import torch

import robustbench_pix as rbp
from robustbench_pix.runs import model_fingerprint
from robustbench_pix.runs.model_fingerprint import agree, answers, fixed_queries, hidden_module
from tests.workspaces import tiny_workspace

CODE = """\
import json
import os
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent

def linear(seed=0):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = linear()

class Plain(Base):
    def forward(self, images):
        return self.net(images)

class Scaled(Base):
    def __init__(self):
        super().__init__()
        self.keep()

    def forward(self, images):
        return self.net(images - self.shift)

class Attribute(Scaled):
    def keep(self):
        self.shift = torch.tensor(json.loads((HERE / "setting.json").read_text()))

class Unsaved(Scaled):
    def keep(self):
        self.register_buffer("shift", torch.tensor(json.loads((HERE / "setting.json").read_text())), persistent=False)

class Number(Scaled):
    def keep(self):
        self.shift = json.loads((HERE / "setting.json").read_text())

class Environment(Scaled):
    def keep(self):
        self.shift = float(os.environ.get("SHIFT_OF_TESTS", "0"))

class Everywhere(Base):
    def forward(self, images):
        return self.net(images - json.loads((HERE / "setting.json").read_text()))

class Closure(nn.Module):
    def __init__(self):
        super().__init__()
        net = linear(int(10 * json.loads((HERE / "setting.json").read_text())))
        self.ask = lambda images: net(images)

    def forward(self, images):
        with torch.no_grad():
            return self.ask(images)

class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.members = [linear(1), nn.Sequential(linear(2), nn.Dropout(0.5))]

    def forward(self, images):
        return sum(member(images) for member in self.members)

class Mapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential()
        self.inner.parts = {"a": (linear(),)}

    def forward(self, images):
        return self.inner.parts["a"][0](images)

class Method(nn.Module):
    def __init__(self):
        super().__init__()
        self.ask = linear().forward

    def forward(self, images):
        return self.ask(images)

class Parent(Base):
    def __init__(self):
        super().__init__()
        self.also = [self.net, self]

    def forward(self, images):
        return self.also[0](images)

class Generator(Base):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, images):
        return self.net(images + 0.3 * torch.rand(images.shape, generator=self.generator))

class Unseeded(nn.Module):
    def forward(self, images):
        return torch.tensor([[x / 255 for x in os.urandom(10)] for _ in images])

class Stateful(Plain):
    def get_extra_state(self):
        return "text"

    def set_extra_state(self, state):
        pass

class Sparse(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("sparse", torch.eye(3).to_sparse())

def quantized():
    return torch.ao.quantization.quantize_dynamic(linear().eval(), {nn.Linear}, dtype=torch.qint8)

def meta():
    with torch.device("meta"):
        return Plain()

class NoEval(Plain):
    def train(self, mode=True):
        raise NotImplementedError("Calling eval() is not supported yet.")

class NoMove(Plain):
    def _apply(self, function, recurse=True):
        raise RuntimeError("it cannot be moved")

class NoState(Plain):
    def state_dict(self, *arguments, **options):
        raise RuntimeError("it has no state")

class Mild(Plain):
    def forward(self, images):
        return super().forward(images).softmax(dim=1)

class LogMild(Plain):
    def forward(self, images):
        return super().forward(images).log_softmax(dim=1)

class Coloured(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(3, 2, 3), nn.Linear(72, 10)

    def forward(self, images):
        return self.linear(self.convolution(images).flatten(1))
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    tiny_workspace(tmp_path)
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "setting.json").write_text("0.1")
    (tmp_path / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(model, **changes):
    options = {"task": "tiny", "suite": "noise", "executor": "inline", "device": "cpu", **changes}
    return rbp.evaluate(f"net.py:{model}", **options)


def identity(workspace, measurements):
    folder = workspace / f"runs/given-{measurements['model_id'].iloc[0]}"
    return json.loads((folder / "spec.json").read_text())["identity"], folder


def remark(workspace):
    (plan,) = (workspace / "runs/plans").glob("*.json")
    return json.loads(plan.read_text())["rows"][0]["facts"]["remark"]


@pytest.mark.parametrize("model", ["Attribute", "Unsaved", "Number", "Environment", "Everywhere", "Closure"])
def test_what_changes_the_answers_makes_another_model(workspace, monkeypatch, capsys, model):
    first = evaluate(model)
    capsys.readouterr()
    assert evaluate(model)["model_id"].iloc[0] == first["model_id"].iloc[0]
    assert "Nothing to do" in capsys.readouterr().err
    (workspace / "setting.json").write_text("0.4")
    monkeypatch.setenv("SHIFT_OF_TESTS", "0.4")
    second = evaluate(model, name="second")
    ids = [identity(workspace, measured) for measured in (first, second)]
    assert ids[0][0]["weights"] == ids[1][0]["weights"], "the answers are what tells them apart"
    assert ids[0][0]["answers"] != ids[1][0]["answers"]
    assert first["correct"].tolist() != second["correct"].tolist()
    rbp.load_model(ids[1][1])
    with pytest.raises(rbp.UserError, match=r"does not answer as it did when .* was made.*run rbp evaluate again\."):
        rbp.load_model(ids[0][1])


def test_another_model_is_never_attacked_under_the_name_of_the_first(workspace, monkeypatch):
    """A setting that changes between the question and the attack, as in a worker that has another environment."""
    from robustbench_pix.runs import runner

    kept = runner.keep

    def keep_and_change(*arguments):
        kept(*arguments)
        (workspace / "setting.json").write_text("0.4")

    monkeypatch.setattr(runner, "keep", keep_and_change)
    assert evaluate("Number").empty
    (plan,) = (workspace / "runs/plans").glob("*.json")
    (reason,) = json.loads(plan.read_text())["rows"][0]["failed"].values()
    assert "does not answer as it did" in reason


@pytest.mark.parametrize(
    ("model", "place"),
    [("Listed", r"members\[0\]"), ("Mapped", r"inner\.parts\['a'\]\[0\]"), ("Method", "ask")],
)
def test_modules_where_eval_does_not_reach_are_refused(workspace, model, place):
    with pytest.raises(rbp.UserError, match=rf"net\.py:{model} keeps a module in {place}, where eval\(\).*ModuleList"):
        evaluate(model)
    assert not (workspace / "runs").exists()


def test_a_module_that_is_also_known_to_torch_may_stand_in_a_list(workspace):
    assert len(evaluate("Parent")) == 3


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Closure", "no weights in its state"),
        ("Stateful", "weights that cannot be kept"),
        ("Sparse", "weights that cannot be kept"),
        ("NoState", "weights that cannot be kept"),
        ("quantized", "weights that cannot be kept"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_without_weights_to_keep_the_answers_tell_which_model_it_is(workspace, model, said):
    measured = evaluate(model)
    assert len(measured) == 3
    found, folder = identity(workspace, measured)
    assert found["weights"] is None
    assert len(found["answers"]) == 16
    assert said in remark(workspace)
    assert "e3b0c442" not in json.dumps(found)
    assert rbp.load_model(folder)(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_a_generator_of_its_own_gives_the_same_answers_each_time_it_is_built(workspace, capsys):
    first = evaluate("Generator")
    assert identity(workspace, first)[0]["answers"] is not None
    capsys.readouterr()
    assert evaluate("Generator")["model_id"].iloc[0] == first["model_id"].iloc[0]
    assert "Nothing to do" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("Unseeded", r"net\.py:Unseeded has no weights in its state and answers otherwise each time it is built, so"),
        ("meta", r"net\.py:meta has no values for net\.1\.weight, which is on device meta; load its weights first\."),
        ("NoEval", r"net\.py:NoEval cannot be put into eval mode.*: NotImplementedError: Calling eval\(\) is not"),
        ("NoMove", r"net\.py:NoMove cannot be put on cpu: RuntimeError: it cannot be moved\."),
        ("Coloured", r"refused images of shape \(8, 1, 8, 8\).*; it takes images of 3 channels: give --colour rgb\."),
    ],
)
def test_what_goes_wrong_outside_a_forward_is_one_sentence(workspace, model, sentence):
    with pytest.raises(rbp.UserError, match=sentence) as refusal:
        evaluate(model)
    assert "\n" not in str(refusal.value)
    assert not (workspace / "runs").exists()


def test_a_module_of_torch_export_is_one_sentence(workspace):
    (workspace / "exported.py").write_text(
        "import torch\nfrom net import linear\n\ndef exported():\n"
        "    return torch.export.export(linear().eval(), (torch.rand(8, 1, 8, 8),)).module()\n"
    )
    with pytest.raises(rbp.UserError, match=r"exported\.py:exported cannot be put into eval mode, in which models are"):
        rbp.evaluate("exported.py:exported", task="tiny", suite="noise", executor="inline", device="cpu")


@pytest.mark.parametrize(("model", "told"), [("Mild", True), ("LogMild", False), ("Plain", False)])
def test_probabilities_are_told(workspace, model, told):
    evaluate(model)
    assert ("probabilities, not logits" in remark(workspace)) is told


def test_a_file_of_a_package_says_how_to_name_it(workspace):
    (workspace / "pk").mkdir()
    (workspace / "pk/__init__.py").write_text("")
    (workspace / "pk/net.py").write_text("from .layers import net\n")
    (workspace / "pk/layers.py").write_text(
        "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    options = {"task": "tiny", "suite": "noise", "executor": "inline", "device": "cpu"}
    with pytest.raises(rbp.UserError, match=r"name it as a module, pk\.net:net, from the folder above the package\."):
        rbp.evaluate("pk/net.py:net", **options)
    assert len(rbp.evaluate("pk.net:net", **options)) == 3


def test_answers_do_not_depend_on_threads_or_on_the_state_of_generators(workspace):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10), torch.nn.Dropout()
    )
    asked = fixed_queries(torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8))
    assert asked.shape == (16, 1, 8, 8)
    before = torch.get_num_threads()
    found = answers(net, asked)
    torch.set_num_threads(2)
    torch.rand(7)
    assert torch.equal(answers(net, asked), found)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_answers_of_another_machine_may_differ_by_rounding_and_no_more():
    kept = torch.tensor([[1.0, -4.0], [float("nan"), 2.0]])
    assert agree(kept.clone(), kept, to_the_bit=True)
    near, far = kept + 1e-6, kept + 0.1
    assert agree(near, kept, to_the_bit=False)
    assert not agree(near, kept, to_the_bit=True)
    assert not agree(far, kept, to_the_bit=False)
    assert not agree(kept[:1], kept, to_the_bit=False)
    assert model_fingerprint.ROUNDING < 0.1 / 4


def test_hidden_modules_are_found_wherever_they_are_kept():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert hidden_module(net) is None
    net[0].rest = {"x": [(torch.nn.Linear(1, 1),)]}
    assert hidden_module(net) == "0.rest['x'][0][0]"
    del net[0].rest
    ring = []
    ring.append(ring)
    net.ring = ring
    assert hidden_module(net) is None
