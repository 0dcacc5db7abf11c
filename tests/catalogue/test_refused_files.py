"""Every way to get a catalogue file wrong: each wrong field is named, with its file, at once."""

import pytest

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.errors import UserError
from tests.workspaces import TASK, tiny_workspace

RECIPE = """\
summary = "A recipe"
regularizer = "similarity"

[parameters]
target = "thresholded"
alpha = 2.0
"""
FOREIGN = """\
summary = "A regularizer of somebody else"
regularizer = "ours.py:smooth"

[parameters]
alpha = 2.0
"""
SIZED = TASK + "\n[sizes.reduced]\nepochs = 1\n"
ATTACK = """\
summary = "Noise"
attack = "gaussian-noise"
access = "none"
strength = "sigma"
strengths = { default = [0, 0.1] }
"""
SUITE = 'version = 1\nsummary = "One"\nattacks = ["gaussian"]\n'


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tiny_workspace(tmp_path))


def read(workspace, kind, text):
    (workspace.root / "models").mkdir(exist_ok=True)
    (workspace.root / FOLDERS[kind] / "it.toml").write_text(text)
    return getattr(workspace, kind)("it")


# Each case: what is changed in a file that reads, and all that must be said of it.
REFUSED = {
    "recipe": [
        (
            RECIPE,
            "summary",
            "sumary",
            ["summary: Field required", "sumary: there is no such field (did you mean summary?)"],
        ),
        (
            RECIPE,
            "alpha = 2.0",
            "alpha = -1",
            ["parameters.alpha: Input should be greater than or equal to 0 (got -1)"],
        ),
        (
            RECIPE,
            "alpha = 2.0",
            "alpha = nan",
            ["parameters: alpha must be made of texts and finite numbers (got nan)"],
        ),
        (RECIPE, "alpha = 2.0", "threshold = 1.0", ["parameters.threshold: Input should be less than 1 (got 1.0)"]),
        (RECIPE, "alpha = 2.0", "threshold = 0", ["parameters.threshold: Input should be greater than 0 (got 0)"]),
        (RECIPE, "alpha = 2.0", "alpa = 1", ["parameters.alpa: there is no such field (did you mean alpha?)"]),
        (
            RECIPE,
            '"thresholded"',
            '"thrsholded"',
            ["parameters.target: Input should be 'pixel', ", "(got 'thrsholded')"],
        ),
        (RECIPE, "alpha = 2.0", "second_threshold = 0.1", ['second_threshold belongs to target = "double"']),
        (RECIPE, '"thresholded"', '"double"\nsecond_threshold = 0.9', ["second_threshold must be below threshold"]),
        (RECIPE, '"thresholded"', '"neural"\nsimilarity = "a.npy"', ["state the order of the images"]),
        (RECIPE, "alpha = 2.0", 'similarity = "a.npy"', ['belong to target = "neural"']),
        (RECIPE, 'regularizer = "similarity"', "", ["parameters: there is no regularizer to take them"]),
        (
            RECIPE,
            "alpha = 2.0",
            'alpha = 1\n[[tuned]]\ntask = "a"\nimages = "b"\nalpha = -2\n'
            '[[tuned]]\ntask = "c"\nimages = "d"\nthreshold = 7\npears = 3\n',
            [
                "tuned.a:b.alpha: Input should be greater than or equal to 0 (got -2)",
                "tuned.c:d.threshold: Input should be less than 1 (got 7)",
                "tuned.c:d.pears: there is no such field (did you mean pairs?)",
            ],
        ),
        (RECIPE, "alpha = 2.0", '[[tuned]]\nimages = "b"', ["tuned.0.task: Field required"]),
        (
            RECIPE,
            'summary = "A recipe"\n',
            'reference = 3\nmode = "x"\ncontrols = 4\n',
            [
                "summary: Field",
                "reference: Input should be a valid string (got 3)",
                "controls: Input",
                "mode: there is no",
            ],
        ),
        (RECIPE + "alpa = 1", "summary", "sumary", ["summary: Field", "parameters.alpa: there", "sumary: there"]),
        (FOREIGN, "alpha = 2.0", "alpha = -1", ["parameters.alpha: must be a number of at least 0 (got -1)"]),
        (FOREIGN, "alpha = 2.0", "alpha = true", ["parameters.alpha: must be a number of at least 0 (got True)"]),
        (FOREIGN, "alpha = 2.0", 'alpha = "1"', ["parameters.alpha: must be a number of at least 0 (got '1')"]),
        (FOREIGN, "alpha = 2.0", "when = 2024-01-01", ["parameters: when must be made of texts and finite numbers"]),
        (FOREIGN, "alpha = 2.0", "x = [1, inf]", ["parameters: x must be made of texts and finite numbers"]),
        (
            FOREIGN,
            "alpha = 2.0",
            '[[tuned]]\ntask = "a"\nimages = "b"\nx = nan',
            ["tuned.a:b: x must be made of texts"],
        ),
        (RECIPE, "summary =", 'name = "other"\nsummary =', ["name: there is no such field; the name of the file is"]),
        (RECIPE, "summary =", 'path = "/"\nsummary =', ["path: there is no such field; the name of the file is"]),
        (RECIPE, '"A recipe"', '"A recipe', ["is not valid TOML: Illegal character '\\n' (at line 1, column "]),
    ],
    "task": [
        (
            TASK,
            "epochs = 2",
            "epoch = 2",
            ["training.epochs: Field", "training.epoch: there", "(did you mean epochs?)"],
        ),
        (TASK, "epochs = 2", "epochs = 0", ["training.epochs: Input should be greater than 0 (got 0)"]),
        (TASK, "epochs = 2", "epochs = 2\nminimum_batch = 99", ["minimum_batch is larger than batch_size"]),
        (
            TASK,
            "width = 8",
            "width = inf",
            ["network_parameters: width must be made of texts and finite numbers (got inf)"],
        ),
        (SIZED, "epochs = 1", "epoks = 1", ["sizes.reduced.epoks: there is no such field (did you mean epochs?)"]),
        (SIZED, "epochs = 1", "epochs = 0", ["sizes.reduced.epochs: Input should be greater than 0 (got 0)"]),
        (
            SIZED,
            "epochs = 1",
            "network_parameters = 3",
            ["sizes.reduced.network_parameters: Input should be a valid dict"],
        ),
        (SIZED, "sizes.reduced", "sizes.full", ["sizes: full is the size without overrides"]),
        (
            SIZED,
            "\n[sizes.reduced]\nepochs = 1\n",
            "\n[sizes]\nreduced = 3\n",
            ["sizes.reduced: Input should be a valid dict"],
        ),
        (SIZED, "epochs = 1", "epochs = 0\n[sizes.big]\nepochs = -1", ["sizes.reduced.epochs", "sizes.big.epochs"]),
        (
            TASK,
            'network = "small"',
            'colour = "grey"',
            ["network: Field required", "colour: Input should be 'gray' or 'rgb'"],
        ),
    ],
    "attack": [
        (ATTACK, "[0, 0.1]", "[]", ["strengths.default: is empty; give at least 0 and one strength above it"]),
        (ATTACK, "[0, 0.1]", "[0]", ["strengths.default: holds only 0"]),
        (ATTACK, "[0, 0.1]", "[0, 0.2, 0.1]", ["strengths.default: must ascend"]),
        (ATTACK, "[0, 0.1]", "[0.1, 0.2]", ["strengths.default: must start at 0"]),
        (ATTACK, "[0, 0.1]", "[0, nan]", ["strengths.default: must be a list of finite numbers or"]),
        (ATTACK, "[0, 0.1]", "[0, inf]", ["strengths.default: must be a list of finite numbers or"]),
        (ATTACK, "[0, 0.1]", "[0, true]", ["strengths.default: must be a list of finite numbers or"]),
        (ATTACK, "[0, 0.1]", '[0, "0.1"]', ["strengths.default: must be a list of finite numbers or"]),
        (ATTACK, "[0, 0.1]", "0.1", ["strengths.default: must be a list of finite numbers or"]),
        (ATTACK, "[0, 0.1]", '[0, "8 of 255"]', ["strengths.default: must be", 'as in "8/255"']),
        (ATTACK, "[0, 0.1]", '[0, "8/0"]', ["strengths.default: must be", 'as in "8/255"']),
        (ATTACK, "[0, 0.1]", '[0, "-8/255"]', ["strengths.default: must be", 'as in "8/255"']),
        (ATTACK, "[0, 0.1]", f"[0, 1{'0' * 400}]", ["strengths: integers have at most 64 bits"]),
        (ATTACK, "[0, 0.1]", f"{{ to = 1{'0' * 400}, count = 3 }}", ["strengths: integers have at most 64 bits"]),
        (ATTACK, "[0, 0.1]", f"{list(range(1001))}", ["strengths.default: holds 1001 strengths; 1000 are the most"]),
        (ATTACK, "[0, 0.1]", "{ to = 1 }", ["strengths.default: as a table takes to = NUMBER"]),
        (ATTACK, "[0, 0.1]", "{ to = 1, count = 3, upto = 2 }", ["strengths.default: as a table takes to = NUMBER"]),
        (ATTACK, "[0, 0.1]", "{ to = 1, count = true }", ["strengths.default: as a table takes to = NUMBER"]),
        (ATTACK, "[0, 0.1]", "{ to = inf, count = 3 }", ["strengths.default: must be a list of finite numbers or"]),
        (ATTACK, "[0, 0.1]", "{ to = 1, count = 1.5 }", ["strengths.default: as a table takes to = NUMBER"]),
        (ATTACK, "[0, 0.1]", "{ to = 0, count = 3 }", ["strengths.default: needs to > 0"]),
        (ATTACK, "[0, 0.1]", "{ to = 1, count = 1 }", ["strengths.default: needs a count from 2 to 1000"]),
        (ATTACK, "[0, 0.1]", "{ to = 1, count = 1000000000000 }", ["strengths.default: needs a count from 2 to 1000"]),
        (ATTACK, "[0, 0.1]", "{ from = 1, to = 1, count = 3 }", ["strengths.default: needs 0 <= from < to"]),
        (ATTACK, "[0, 0.1]", "{ from = -1, to = 1, count = 3 }", ["strengths.default: needs 0 <= from < to"]),
        (ATTACK, "[0, 0.1]", "{ to = 1e-11, count = 3 }", ["strengths.default: states steps so small"]),
        (
            ATTACK.replace('"sigma"', '"linf"'),
            "default = [0, 0.1]",
            "default = [0, 8], digits = [0, 1, 16]",
            [
                "strengths.default: reaches 8, but pixels lie in [0, 1]",
                "strengths.digits: reaches 16, but",
                'a radius of 8 of 255 gray levels is written "8/255"',
            ],
        ),
        (ATTACK.replace('"sigma"', '"half-width"'), "[0, 0.1]", "[0, 2]", ["strengths.default: reaches 2, but pixels"]),
        (
            ATTACK,
            "{ default = [0, 0.1] }",
            "[0, 0.1]",
            ["strengths: Input should be a valid dictionary (got [0, 0.1])"],
        ),
        (ATTACK, '"none"', '"nothing"', ["access: Input should be 'none', 'transfer',", "(got 'nothing')"]),
        (ATTACK, '"sigma"', '"L2 norm"', ["strength: String should match pattern"]),
        (ATTACK, "strengths", "strenghts", ["strenghts: there is no such field (did you mean strengths?)"]),
        (
            ATTACK + "[evaluation]\nimage = 1\n",
            "",
            "",
            ["evaluation.image: there is no such field (did you mean images?)"],
        ),
        (
            ATTACK + "[evaluation]\nseed = -1\nimages = 0\n",
            "",
            "",
            ["evaluation.images: Input", "evaluation.seed: Input"],
        ),
        (
            ATTACK + "[evaluation]\nbudget = 100\n",
            "",
            "",
            ['evaluation.budget is of queries, and access = "none" makes no queries'],
        ),
        (
            ATTACK + "[sizes.reduced]\nimags = 1\n",
            "",
            "",
            ["sizes.reduced.imags: there is no such field (did you mean images?)"],
        ),
        (
            ATTACK,
            "strength =",
            "sources = [{}]\nstrength =",
            ['sources: belong to access = "transfer", and to no other'],
        ),
        *(
            (ATTACK.replace('"none"', '"transfer"'), "strength =", f"sources = {stated}\nstrength =", [said])
            for stated, said in (
                ("[{ netwrk = 1 }]", "sources.0.netwrk: there is no such field (did you mean network?)"),
                ("[{ seed = 1 }, { seed = -1 }]", "sources.1.seed: Input should be greater than or equal to 0"),
                ("[{ seed = 1000000 }]", "sources.0.seed: Input should be less than 1000000 (got 1000000)"),
                ("[{ seed = 0 }, {}]", "sources: names a model twice"),
                ("3", "sources: Input should be a valid tuple (got 3)"),
            )
        ),
        (
            ATTACK + "[parameters]\nsteps = nan\n",
            "",
            "",
            ["parameters: steps must be made of texts and finite numbers"],
        ),
    ],
    "suite": [
        (SUITE, "gaussian", "gausian", ["attacks: There is no attack named 'gausian'. Did you mean gaussian?"]),
        (SUITE, '["gaussian"]', "[]", ["attacks: Tuple should have at least 1 item"]),
        (SUITE, '"gaussian"', '"gaussian", "gaussian"', ["attacks: names an attack twice"]),
        (SUITE, '"gaussian"', '"gaussian", "worst-case"', ["attacks: names worst-case, which stands for all"]),
        (SUITE, "version = 1", "version = 0", ["version: Input should be greater than 0 (got 0)"]),
        (
            SUITE,
            "version = 1",
            'protocol = "loose"',
            ["version: Field required", "protocol: Input should be 'strict' or"],
        ),
    ],
}
CASES = [(kind, *case) for kind, cases in REFUSED.items() for case in cases]


@pytest.mark.parametrize(("kind", "text", "old", "new", "said"), CASES, ids=[f"{c[0]}-{c[3][:24]!r}" for c in CASES])
def test_every_wrong_field_is_named_with_its_file(workspace, kind, text, old, new, said):
    assert old in text
    with pytest.raises(UserError) as caught:
        read(workspace, kind, text.replace(old, new, 1))
    refused = str(caught.value)
    assert refused.startswith(str(workspace.root / FOLDERS[kind] / "it.toml"))
    assert all(words in refused for words in said), refused
    assert "\n" not in refused
    assert refused.endswith((".", ")"))
    assert "Value error" not in refused


def test_the_file_of_each_case_reads_before_it_is_changed(workspace):
    texts = [("recipe", RECIPE), ("recipe", FOREIGN), ("task", TASK), ("task", SIZED), ("attack", ATTACK)]
    for kind, text in [*texts, ("suite", SUITE)]:
        assert read(workspace, kind, text).name == "it"


def test_bytes_that_are_no_text(workspace):
    (workspace.root / "models" / "it.toml").write_bytes(b"summary = '\xff'")
    with pytest.raises(UserError, match=r"it\.toml is not valid TOML: 'utf-8' codec can't decode byte 0xff"):
        workspace.recipe("it")
