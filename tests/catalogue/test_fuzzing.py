"""Catalogue files that anybody may have written: a specification, or one sentence of bounded length.

RBP_FUZZING_FILES says how many files of each kind are tried, 100 where it is not set; 2500 make 10,000.
"""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from robustbench_pix.catalogue.specs import CatalogueSpec
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.errors import UserError
from tests.workspaces import BOUNDARY, FGSM, GAUSSIAN, SUITE, TASK, THRESHOLDED

FILES = int(os.environ.get("RBP_FUZZING_FILES", "100"))
LONGEST_SENTENCE = 500
SEEDS = {"recipe": [THRESHOLDED], "task": [TASK], "attack": [GAUSSIAN, FGSM, BOUNDARY], "suite": [SUITE]}
FIELDS = [
    *("summary", "reference", "regularizer", "controls", "alpha", "threshold", "tuned", "parameters", "target"),
    *("dataset", "network", "network_parameters", "training", "epochs", "sizes", "colour", "train_images"),
    *("attack", "access", "strength", "evaluation", "sources", "budget", "images", "batch_size"),
    *("strengths", "count", "to", "from", "version", "protocol", "attacks", "name", "path"),
    *("small", "full", "a-b", '"\\u202e"', '"="'),
]

integers = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(300, 9000).map(lambda digits: "9" * digits),
    st.integers(300, 5000).map(lambda digits: "0x" + "f" * digits),
)
floats = st.sampled_from(["1e308", "-0.0", "nan", "inf", "1e-320", "0.1", "1e400"])
texts = st.one_of(
    st.text(max_size=20).map(lambda text: "'" + text.replace("'", "") + "'"),
    st.integers(1, 20000).map(lambda count: '"' + "x" * count + '"'),
    st.sampled_from(
        ['"\\u001b]52;c;eA==\\u0007"', '"similarity"', '"none"', '"transfer"', '"../../x.py:y"', '"\\ud800"']
    ),
)
others = st.sampled_from(["true", "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "[]", "{}", "", "[" * 5000])
flat = st.one_of(integers, floats, texts, others)
values = st.recursive(
    flat,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=6,
)
deep = st.integers(1, 3000).map(lambda depth: "[" * depth + "]" * depth)
lines = st.tuples(st.sampled_from(FIELDS), st.one_of(values, deep)).map(" = ".join)


@st.composite
def files(draw, kind):
    """Give the bytes of a file: a good one of which lines were changed, or lines of any kind."""
    chosen = draw(st.sampled_from(SEEDS[kind])).splitlines() if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(chosen)))
        if draw(st.booleans()) and place < len(chosen) and "=" in chosen[place]:
            chosen[place] = f"{chosen[place].partition('=')[0]}= {draw(values)}"
        else:
            chosen.insert(place, draw(lines))
    content = "\n".join(chosen).encode("utf-8", "surrogatepass")
    return content + draw(st.sampled_from([b"", b"\xff", b"\x00", b"\n# \xc3\x28", b"\n[sizes.reduced]\nepochs = 3\n"]))


@pytest.fixture(scope="module")
def workspace():
    with tempfile.TemporaryDirectory() as folder:
        for place in FOLDERS.values():
            (Path(folder) / place).mkdir(parents=True, exist_ok=True)
        yield Workspace(Path(folder))


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_file_is_a_specification_or_one_sentence(workspace, kind):
    @settings(max_examples=FILES, deadline=5000, database=None, suppress_health_check=list(HealthCheck))
    @given(files(kind))
    @example(b'summary = "x"\nepochs = ' + b"9" * 5000)
    @example(b"x = " + b"[" * 30000 + b"]" * 30000)
    @example(b".".join([b"a"] * 15000) + b" = 1")
    @example(b"\xff\xfe")
    @example(b"x = 1\n" * 60000)
    def reads(content):
        (workspace.root / FOLDERS[kind] / "it.toml").write_bytes(content)
        try:
            spec = getattr(workspace, kind)("it")
        except UserError as error:
            said = str(error)
        else:
            said = ""
            assert isinstance(spec, CatalogueSpec)
        assert len(said) <= LONGEST_SENTENCE, said
        assert said == "" or said.isprintable()

    reads()


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 4000, "1" + "0" * 400, "-" + "9" * 30])
@pytest.mark.parametrize(
    ("kind", "text", "field"),
    [
        ("recipe", THRESHOLDED, "alpha = 0.5"),
        ("task", TASK, "epochs = 2"),
        ("attack", GAUSSIAN, "default = [0.0, 0.2, 0.4]"),
        ("suite", SUITE, "version = 1"),
    ],
)
def test_an_integer_beyond_64_bits_is_refused_wherever_it_stands(workspace, kind, text, field, number):
    if number.startswith("-0x"):
        pytest.skip("TOML has no such integers")
    name = field.partition(" ")[0]
    (workspace.root / FOLDERS[kind] / "it.toml").write_text(text.replace(field, f"{name} = {number}"))
    with pytest.raises(UserError, match=r"at most 64 bits|not valid TOML") as refused:
        getattr(workspace, kind)("it")
    assert len(str(refused.value)) <= LONGEST_SENTENCE


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("attack", name) for name in ("gradient-check", "worst-case", "smallest-distance", "score")],
        *[
            ("recipe", name)
            for name in ("source model", "=cmd", "+1", "-x", "@a", ".hidden", " x", "a\x1b[31m", "a\nb")
        ],
        *[("suite", name) for name in ("a\\b", "a,b", "a:b", "a~b", "x" * 200, "a\u202eb", "a\udcffb", "all")],
        ("task", "default"),
    ],
)
def test_names_that_would_poison_a_workspace_are_refused(workspace, kind, name):
    text = SEEDS[kind][0]
    path = workspace.root / FOLDERS[kind] / f"{name}.toml"
    path.write_text(text)
    try:
        with pytest.raises(UserError) as refused:
            getattr(workspace, kind)(name)
    finally:
        path.unlink()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) <= LONGEST_SENTENCE


@pytest.mark.parametrize("name", ["../outside", "nowhere/../it", "/etc/passwd", ""])
def test_a_name_is_no_path(workspace, name):
    (workspace.root / "outside.toml").write_text(THRESHOLDED)
    (workspace.root / "models/it.toml").write_text(THRESHOLDED)
    with pytest.raises(UserError, match="There is no recipe named"):
        workspace.recipe(name)
