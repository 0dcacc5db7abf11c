"""Files of weights: what is read, what is refused, and that nothing in them is run."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustbench_pix.errors import UserError
from robustbench_pix.networks.weights import fit_weights, read_weights


def network(seed=0):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


class Evil:
    """Unpickled, it writes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    ("file", "wrap"),
    [
        ("w.safetensors", lambda state: state),
        ("w.pt", lambda state: state),
        ("w.pth", lambda state: {"state_dict": state, "epoch": 7}),
        ("w.pt", lambda state: {"model": prefixed("module.", state)}),
        ("w.ckpt", lambda state: {"state_dict": prefixed("_orig_mod.module.", state)}),
        ("w.safetensors", lambda state: prefixed("module._orig_mod.", state)),
        ("w.pt", lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "loss": 0.1}),
        ("w.pt", lambda state: {"model_state": state, "epoch": 3}),
        ("w.pt", lambda state: {"model": state, "epoch": torch.tensor(3)}),
        ("w.pt", lambda state: {"net": prefixed("module.", state), "acc": 93.1}),
        ("w.pt", lambda state: {"model": {"state_dict": state, "epoch": 3}}),
        ("w.pt", lambda state: {"state_dict": {"model_state_dict": state}}),
        ("w.ckpt", lambda state: {"state_dict": prefixed("model.", state), "pytorch-lightning_version": "2.5"}),
        ("w.ckpt", lambda state: {"state_dict": prefixed("net._orig_mod.", state)}),
        ("w.ckpt", lambda state: prefixed("module.model.", state)),
        (
            "w.pt",
            lambda state: {"state_dict": state, "best": np.float64(0.93), "epoch": np.int64(3), "ok": np.bool_(1)},
        ),
        ("w.pt", lambda state: state | {"total_ops": torch.zeros(1), "0.total_params": torch.zeros(1)}),
        ("w.bin", lambda state: state),
    ],
)
def test_every_usual_file_gives_the_same_weights(tmp_path, file, wrap):
    wanted, other, path = network(1), network(2), tmp_path / file
    (save_file if file.endswith((".safetensors", ".bin")) else torch.save)(wrap(wanted.state_dict()), path)
    assert not torch.equal(wanted[0].weight, other[0].weight)
    fit_weights(other, read_weights(path), path)
    for name, value in wanted.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_numbers_as_numpy_1_wrote_them_are_read(tmp_path):
    content = io.BytesIO()
    kept = {"state_dict": network().state_dict(), "best": np.float64(0.93)}
    torch.save(kept, content, _use_new_zipfile_serialization=False)
    assert b"numpy._core.multiarray\n" in content.getvalue()
    (tmp_path / "w.pt").write_bytes(content.getvalue().replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n"))
    assert read_weights(tmp_path / "w.pt").keys() == network().state_dict().keys()


def test_buffers_of_the_network_named_as_a_profilers_are_loaded(tmp_path):
    networks = nn.Linear(2, 2), nn.Linear(2, 2)
    for number, each in enumerate(networks):
        each.register_buffer("total_ops", torch.tensor(float(number)))
    fit_weights(networks[0], networks[1].state_dict(), tmp_path)
    assert networks[0].total_ops == 1


def test_a_prefix_that_belongs_to_the_network_stays(tmp_path):
    wanted, other = nn.ModuleDict({"module": nn.Linear(2, 2)}), nn.ModuleDict({"module": nn.Linear(2, 2)})
    fit_weights(other, wanted.state_dict(), tmp_path)
    assert torch.equal(wanted["module"].weight, other["module"].weight)


def test_two_names_that_become_one_are_told(tmp_path):
    state = network().state_dict()
    with pytest.raises(UserError, match=r"unexpected module\.0\.weight\.$"):
        fit_weights(network(), state | {"module.0.weight": state["0.weight"]}, tmp_path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("save", [torch.save, lambda value, path, **how: path.write_bytes(pickle.dumps(value))])
def test_a_file_that_wants_to_run_code_runs_none(tmp_path, protocol, save):
    path, owned = tmp_path / "w.pt", tmp_path / "owned"
    save({"state_dict": network().state_dict(), "more": Evil(owned)}, path, pickle_protocol=protocol)
    with pytest.raises(UserError, match=r"run code|running code") as refusal:
        read_weights(path)
    assert str(path) in str(refusal.value)
    assert "weights_only" not in str(refusal.value)
    assert not owned.exists()
    if save is torch.save:
        torch.load(path, weights_only=False)
        assert owned.exists(), "the file is harmless, so this test would show nothing"


def test_a_saved_module_names_the_code_it_wants(tmp_path):
    torch.save(network(), tmp_path / "w.pt")
    with pytest.raises(
        UserError, match=r"to be read it would run code, torch\.nn\.modules\.container\.Sequential; save"
    ):
        read_weights(tmp_path / "w.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "w.pt")
    with pytest.raises(UserError, match="is a TorchScript archive, which holds code"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("w.pt", b"", "is no file of weights"),
        ("w.pt", b"hello world" * 30, "is no file of weights"),
        ("w.safetensors", b"hello world" * 30, "cannot be read as safetensors"),
        ("w.safetensors", b"", "cannot be read as safetensors"),
    ],
)
def test_what_is_no_file_of_weights(tmp_path, file, content, sentence):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_weights(tmp_path / file)


@pytest.mark.parametrize("value", [{"epoch": 3}, torch.zeros(3), {"state_dict": {}}])
def test_what_holds_no_state_dict(tmp_path, value):
    torch.save(value, tmp_path / "w.pt")
    with pytest.raises(UserError, match="holds no state dict"):
        read_weights(tmp_path / "w.pt")


def test_names_that_do_not_fit_are_named_three_of_each(tmp_path):
    state = network().state_dict()
    before = {name: value.clone() for name, value in state.items()}
    with pytest.raises(UserError) as refusal:
        fit_weights(network(), prefixed("x.", state) | {"0.weight": state["0.weight"], "epoch": 3}, tmp_path)
    text = str(refusal.value).removeprefix(f"{tmp_path} ")
    assert text == (
        "does not fit the model: missing 0.bias, 1.weight, 1.bias and 4 more; "
        "unexpected x.0.weight, x.0.bias, x.1.weight and 7 more."
    )
    with pytest.raises(UserError, match=r"of another shape 0\.weight \(1, 4\) instead of \(3, 4\)\.$"):
        fit_weights(network(), state | {"0.weight": torch.zeros(1, 4)}, tmp_path)
    assert all(torch.equal(before[name], value) for name, value in state.items())
