import functools
import sys
from importlib.metadata import EntryPoint

import pytest

from robustbench_pix.catalogue import registries
from robustbench_pix.catalogue.registry import Registry
from robustbench_pix.errors import UserError


@pytest.fixture
def registry():
    return Registry("regularizer", "robustbench_pix.test", {"ordered": "collections:OrderedDict"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ours.py").write_text("def smooth(step):\n    return 1\n\nlimit = 3\n")
    return tmp_path


def penalty(step):
    return step


def test_a_decorator_registers_and_gives_back_what_it_decorates(registry):
    assert registry.register("mine")(penalty) is penalty
    assert registry.load("mine") is penalty
    assert registry.names() == ["mine", "ordered"]


def test_module_and_attribute(registry):
    assert registry.load("functools:partial") is functools.partial
    assert registry.load("ordered").__name__ == "OrderedDict"


def test_a_file_beside_the_toml_file(registry, folder):
    smooth = registry.load("ours.py:smooth", folder)
    assert smooth(None) == 1
    assert registry.load("ours.py:smooth", folder) is smooth


def test_a_file_leaves_no_bytecode_and_is_never_stale(registry, folder):
    assert registry.load("ours.py:smooth", folder)(None) == 1
    (folder / "ours.py").write_text("def smooth(step):\n    return 2\n\nlimit = 3\n")
    assert registry.load("ours.py:smooth", folder)(None) == 2
    assert [path.name for path in folder.iterdir()] == ["ours.py"]


def test_an_entry_point_of_another_package(registry, monkeypatch):
    offered = [EntryPoint("theirs", "functools:partial", "robustbench_pix.test")]
    monkeypatch.setattr(f"{Registry.__module__}.entry_points", lambda group: offered if group == registry.group else [])
    assert registry.names() == ["ordered", "theirs"]
    assert registry.load("theirs") is functools.partial
    assert registry.portable("theirs") == "theirs"


def test_every_shipped_name_loads():
    for name in ("regularizers", "attacks", "datasets", "networks"):
        registry = getattr(registries, name)
        assert all(callable(registry.load(shipped)) for shipped in registry.shipped)
        assert all(registry.source(shipped) is None for shipped in registry.shipped)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("orderd", r"There is no regularizer named 'orderd'\. Did you mean ordered\? \(There are: ordered\.\)"),
        ("xyzzy", r"There is no regularizer named 'xyzzy'\. \(There are: ordered\.\)"),
        ("functools:partail", r"no attribute .* named 'partail'\. Did you mean partial\?"),
        ("torch:imposible", r"named 'imposible'\..* \(There are \d{3,}\.\)"),
        ("no_such_package:thing", r"No module named 'no_such_package'; install it or correct the name\."),
        (":thing", r"':thing' could not be imported: ValueError"),
        (".relative:thing", r"could not be imported: TypeError"),
        ("ours.py:smoth", r"no attribute for the regularizer 'ours.py:smoth' named 'smoth'\. Did you mean smooth\?"),
        ("theirs.py:smooth", r"theirs\.py cannot be read \(No such file or directory\); it must lie beside the TOML"),
    ],
)
def test_references_to_nothing(registry, folder, reference, sentence):
    with pytest.raises(UserError, match=sentence):
        registry.load(reference, folder)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import no_such_package", r"ModuleNotFoundError: No module named 'no_such_package'\."),
        ("def smooth(", r"SyntaxError: '\(' was never closed \(ours\.py, line 1\)"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (b"text = '\xff'", "SyntaxError: .*"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_in_one_sentence(registry, folder, code, sentence):
    (folder / "ours.py").write_bytes(code if isinstance(code, bytes) else code.encode())
    sentence = rf"^The regularizer file .*ours\.py could not be imported: {sentence}[^\n]*$"
    with pytest.raises(UserError, match=sentence):
        registry.load("ours.py:smooth", folder)


def test_a_module_that_cannot_be_imported_is_told_in_one_sentence(registry, tmp_path, monkeypatch):
    (tmp_path / "a_broken_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="could not be imported: ZeroDivisionError: division by zero"):
        registry.load("a_broken_module:thing")


def test_a_name_is_taken_once(registry):
    registry.register("mine")(penalty)
    registry.register("mine")(penalty)
    with pytest.raises(UserError, match=r"The regularizer name 'mine' is taken; register .*lambda> under another name"):
        registry.register("mine")(lambda step: step)
    with pytest.raises(UserError, match="name 'ordered' is taken"):
        registry.register("ordered")(penalty)


def test_a_redefinition_replaces_the_earlier_one(registry):
    """As when a cell of a notebook is run again."""

    def define(value):
        def mine(step):
            return value

        return mine

    registry.register("mine")(define(1))
    registry.register("mine")(define(2))
    assert registry.load("mine")(None) == 2


def test_the_source_of_a_file_follows_its_content(registry, folder):
    first = registry.source("ours.py:smooth", folder)
    assert registry.source("ours.py:limit", folder) == first
    (folder / "ours.py").write_text("def smooth(step):\n    return 2\n\nlimit = 3\n")
    second = registry.source("ours.py:smooth", folder)
    assert len({first, second, None}) == 3
    (folder / "copy.py").write_text("def smooth(step):\n    return 2\n\nlimit = 3\n")
    assert registry.source("copy.py:smooth", folder) == second


def test_the_source_of_a_file_is_its_own_even_where_it_only_imports(registry, folder):
    (folder / "ours.py").write_text("from functools import partial\nsmooth = partial(print, 1)\n")
    first = registry.source("ours.py:smooth", folder)
    (folder / "ours.py").write_text("from functools import partial\nsmooth = partial(print, 2)\n")
    assert registry.source("ours.py:smooth", folder) != first


def test_the_source_of_a_module_and_of_the_package(registry):
    assert registry.source("functools:partial") is not None
    assert registry.source("robustbench_pix.errors:nearest") is None


def test_source_that_is_in_no_file(registry):
    namespace = {"__name__": "typed_in_a_prompt"}
    exec("def smooth(step): return step", namespace)
    sys.modules["typed_in_a_prompt"] = type(sys)("typed_in_a_prompt")
    registry.register("prompt")(namespace["smooth"])
    with pytest.raises(UserError, match=r"source of the regularizer 'prompt' is in no file; write it into one"):
        registry.source("prompt")
    del sys.modules["typed_in_a_prompt"]


def test_what_another_process_can_load_is_portable(registry, folder, monkeypatch):
    assert registry.portable("ordered") == "ordered"
    assert registry.portable("ours.py:smooth") == "ours.py:smooth"
    registry.register("mine")(penalty)
    assert registry.portable("mine") == f"{__name__}:penalty"
    assert registry.load(registry.portable("mine")) is penalty
    monkeypatch.setattr(penalty, "__module__", "__main__")
    assert registry.portable("mine") is None


def test_what_lives_in_this_process_only_is_not_portable(registry, folder):
    registry.register("local")(lambda step: step)
    registry.register("of a file")(registry.load("ours.py:smooth", folder))
    assert registry.portable("local") is None
    assert registry.portable("of a file") is None
