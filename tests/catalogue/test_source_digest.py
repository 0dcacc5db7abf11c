"""The digest of own code notices every edit: in helpers, their helpers, packages, and files that these read."""

import os
import sys

import pytest
import torch

from robustbench_pix.catalogue import imported
from robustbench_pix.catalogue.imported import is_own
from robustbench_pix.catalogue.registry import FILE_MODULE, Registry
from robustbench_pix.identity import digest

FILES = {
    "ours.py": """\
import json
import os
from pathlib import Path

import helper_of_tests
from package_of_tests import inner

def late():
    import lazy_of_tests
    return lazy_of_tests.VALUE

named = __import__("importlib").import_module("named_of_tests")
DATA = json.loads((Path(__file__).parent / "data.json").read_text())

def smooth(step):
    return helper_of_tests.VALUE, inner.VALUE, late(), named.VALUE, DATA
""",
    "helper_of_tests.py": "from second_of_tests import VALUE\nMORE = 1\n",
    "second_of_tests.py": "VALUE = 1\n",
    "lazy_of_tests.py": "VALUE = 1\n",
    "named_of_tests.py": "VALUE = 1\n",
    "package_of_tests/__init__.py": "MORE = 1\n",
    "package_of_tests/inner.py": "from .deep import VALUE\nfrom . import MORE\nOTHER = 1\n",
    "package_of_tests/deep.py": "VALUE = 1\n",
    "data.json": "1",
    "unrelated_of_tests.py": "VALUE = 1\n",
}
EDITED = [name for name in FILES if name not in ("ours.py", "unrelated_of_tests.py")]


def forget():
    own = ("ours", "alone")
    for name in [name for name in sys.modules if "_of_tests" in name or name in own or name.startswith(FILE_MODULE)]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forget()


@pytest.fixture
def registry():
    return Registry("regularizer", "robustbench_pix.test", {})


def edit(path):
    """Change one digit and nothing that a clock or a size could tell."""
    state = path.stat()
    path.write_text(path.read_text().replace("1", "2"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


@pytest.mark.parametrize("again", ["in the same process", "in another process"])
@pytest.mark.parametrize("edited", EDITED)
@pytest.mark.parametrize("reference", ["ours.py:smooth", "ours:smooth"])
def test_an_edit_in_what_is_imported_or_read_is_noticed_and_run(folder, registry, reference, edited, again):
    before = registry.source(reference, folder)
    assert registry.load(reference, folder)(None) == (1, 1, 1, 1, 1)
    assert registry.source(reference, folder) == before, "what was imported late is known beforehand"
    edit(folder / edited)
    if again == "in another process":
        forget()
    value = registry.load(reference, folder)(None)
    assert registry.source(reference, folder) != before
    if (folder / edited).read_text() in ("VALUE = 2\n", "2"):
        assert sorted(value) == [1, 1, 1, 1, 2], "the new content is what runs"


def test_the_digest_does_not_depend_on_what_was_imported_before(folder, registry):
    first = registry.source("ours.py:smooth", folder)
    forget()
    registry.load("helper_of_tests:VALUE")
    registry.load("package_of_tests.inner:VALUE")
    assert registry.source("ours.py:smooth", folder) == first


def test_what_is_not_imported_changes_nothing(folder, registry):
    before = registry.source("ours.py:smooth", folder)
    registry.load("unrelated_of_tests:VALUE")
    edit(folder / "unrelated_of_tests.py")
    assert registry.source("ours.py:smooth", folder) == before


def test_a_file_alone_has_the_digest_that_it_always_had(folder, registry):
    """Trainings of recipes that import nothing of their own keep their ids."""
    (folder / "alone.py").write_bytes(b"import numpy\nimport torch.nn\nfrom robustbench_pix import UserError\nx = 1\n")
    assert registry.source("alone.py:x", folder) == digest((folder / "alone.py").read_bytes().hex())
    assert registry.source("alone:x") == digest((folder / "alone.py").read_text())


def test_no_bytecode_is_read_or_written_for_own_modules(folder, registry):
    registry.load("ours.py:smooth", folder)
    assert not list(folder.rglob("__pycache__"))


def test_a_module_that_imports_itself_in_a_ring_ends(folder, registry):
    (folder / "second_of_tests.py").write_text("import helper_of_tests\nVALUE = 1\n")
    assert registry.source("helper_of_tests:VALUE") is not None


def test_what_a_library_reads_for_itself_when_it_is_imported_is_not_the_modules(folder, registry, monkeypatch):
    """Else the digest would depend on whether the library was imported before."""
    library = folder / "site-packages"
    library.mkdir()
    (library / "library_of_tests.py").write_text(f"CONTENT = open({str(folder / 'data.json')!r}).read()\n")
    monkeypatch.syspath_prepend(library)
    (folder / "uses.py").write_text("import library_of_tests\nx = 1\n")
    registry.load("uses.py:x", folder)
    assert imported.read[str(folder / "uses.py")] == {}


def test_own_files(tmp_path):
    assert is_own(str(tmp_path / "net.py"))
    assert not any(is_own(place) for place in (os.__file__, torch.__file__, imported.__file__, "/proc/cpuinfo"))
