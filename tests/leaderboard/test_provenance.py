import hashlib
import json
import re
import shlex
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli import run as running
from robustbench_pix.results.board import published_board
from robustbench_pix.results.checks.provenance_checks import false_commands
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.provenance import command_of, empty, merged
from robustbench_pix.results.published.reading import read_beside, read_published
from robustbench_pix.results.published.verification import verify
from robustbench_pix.runs import manifest as origin
from robustbench_pix.runs.plan_store import saved_rows
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.store import Store
from tests.leaderboard.conftest import rbp
from tests.tables import block

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def provenance(made):
    return json.loads((made / "leaderboard/provenance.json").read_text())


def rows(provenance):
    return {row["recipe"]: row for row in provenance["rows"]}


def test_the_same_runs_give_the_same_bytes(made):
    files = {file: file.read_bytes() for file in (made / "leaderboard").iterdir()}
    assert rbp("publish", "--workspace", made).exit_code == 0
    assert {file: file.read_bytes() for file in (made / "leaderboard").iterdir()} == files
    assert {"provenance.json", "schema.json", "pictures.csv", "examples.parquet"} <= {file.name for file in files}


def test_it_holds_no_path_and_no_time(made, provenance):
    text = (made / "leaderboard/provenance.json").read_text()
    assert str(made) not in text
    assert str(Path.home()) not in text
    assert "seconds" not in text
    assert "written" not in text
    assert rows(provenance).keys() == {"unregularized", "thresholded", "net"}


def test_hashes_are_those_of_sha256_on_sorted_json(provenance):
    def sixteen(value):
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    assert all(sixteen(entry) == name for name, entry in provenance["attacks"].items())
    assert all(sixteen(entry) == name for name, entry in provenance["recipes"].items())
    row = rows(provenance)["thresholded"]
    assert provenance["recipes"][row["recipe_hash"]]["parameters"]["threshold"] == 0.2
    assert provenance["recipes"][rows(provenance)["unregularized"]["recipe_hash"]] is None
    task = provenance["tasks"][row["task_hash"]]["task"]
    assert (task["training"]["epochs"], task["dataset"]) == (6, row["data"]["task"])
    assert row["data"]["regularization_data"] == provenance["recipes"][row["recipe_hash"]]["images"]
    suite = provenance["suites"][row["suite_hash"]]
    named = [provenance["attacks"][name]["attack"] for name in suite["attacks"]]
    assert named == ["gaussian-noise", "fast-gradient-sign", "foolbox:BoundaryAttack"]


def test_what_made_a_row_is_told(provenance):
    import foolbox
    import numpy
    import torch

    (made_with,) = rows(provenance)["thresholded"]["made_with"]
    assert made_with["torch"] == torch.__version__
    assert made_with["libraries"]["numpy"] == numpy.__version__
    assert made_with["libraries"]["foolbox"] == foolbox.__version__
    assert made_with["device"] == "cpu"
    assert made_with["processor"]


def test_the_commit_is_that_of_the_checkout_and_absent_outside_one(tmp_path, monkeypatch):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    expected = head.stdout.strip() if head.returncode == 0 else None
    origin.commit.cache_clear()
    found = origin.commit()
    assert found == expected or found == f"{expected} with changes"
    monkeypatch.setattr(origin, "PACKAGE", tmp_path)
    origin.commit.cache_clear()
    assert origin.commit() is None
    origin.commit.cache_clear()


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("unregularized", "rbp run --suite tiny --on tiny --recipe unregularized --seeds 0,1"),
        ("thresholded", "rbp run --suite tiny --on tiny --recipe unregularized --recipe thresholded --seeds 0,1"),
        ("net", "rbp evaluate --model net.py:net --task tiny --suite tiny --name net"),
    ],
)
def test_the_command_of_a_row_makes_its_runs_again_and_those_that_its_gain_needs(
    made, provenance, recipe, expected, monkeypatch
):
    command = rows(provenance)[recipe]["command"]
    assert command == expected
    asked = []
    monkeypatch.setattr(running, "run_and_show", lambda config, *_: asked.append(config) or True)
    monkeypatch.chdir(made)
    assert rbp(*command.split()[1:], "--workspace", made).exit_code == 0
    planned = {row.recipe: {run.run for run in row.runs} for row in make_plan(asked[0], "cpu").rows}
    kept = {row.recipe: {run.run for run in row.runs} for row in saved_rows(Store(made / "runs"))}
    needed = {recipe} if recipe == "net" else {"unregularized", recipe}
    assert planned == {name: kept[name] for name in needed}


def test_the_page_states_the_commands_of_the_provenance(made, provenance):
    text = unescape((made / "leaderboard/index.html").read_text())
    told = re.findall(r'<code class="command">(.*?)</code>', text)
    assert sorted(told) == sorted(row["command"] for row in provenance["rows"])
    for name, row in rows(provenance).items():
        unfolded = text[text.index(f"How {name} was measured") :]
        assert f'<code class="command">{row["command"]}</code>' in unfolded[: unfolded.index("</details>")]
    assert "boundary ended at" in text
    assert "times the smallest known distance on average" in text
    unmeasured = text[text.index("How neural was measured") :]
    assert "makes it again" not in unmeasured[: unmeasured.index("</details>")]


def test_commands_state_what_is_not_done_anyway(tmp_path):
    catalogue, facts = Workspace(tmp_path), {**block("mnist", "natural"), "recipe": "pixel"}

    def command(checked=True, given=None, seeds=(4,), others=(), **changed):
        told = {"checked": checked, "given": given, "catalogue": catalogue, "others": others}
        return command_of({**facts, **changed}, list(seeds), **told)

    both = "--recipe unregularized --recipe pixel"
    assert command() == f"rbp run --suite blackbox --on mnist:natural {both} --seeds 4,"
    assert " --recipe pixel --recipe blur --seeds 4," in command(others=("pixel", "blur"))
    assert command(checked=False).endswith(" --no-check-gradients")
    assert command(suite="noise").endswith("--seeds 4, --check-gradients")
    assert command(checked=False, suite="noise").endswith("--seeds 4,")
    changed = command(size="reduced", colour="rgb", precision="tf32", seeds=(0, 1))
    assert changed.endswith(" --seeds 0,1 --size reduced --colour rgb --precision tf32")
    assert " --on other --recipe " in command(task="other", regularization_data="other")
    assert command(task="other", regularization_data="other").endswith(" --colour gray"), (
        "it is not known what that task does"
    )
    net = {"reference": "theirs/net.py:net", "weights": "small.safetensors"}
    given = command(given=net, regularization_data="mnist", recipe="theirs")
    start = "rbp evaluate --model net.py:net --weights small.safetensors --task mnist --suite blackbox"
    assert given == f"{start} --name theirs"
    assert " --regularization-data natural " in command(given=net)
    assert "--weights" not in command(given=net | {"weights": None})
    assert " --weights FILE " in command(given={"reference": "net.py:net"})


@pytest.mark.parametrize("recipe", ["my recipe", "it's", "$(id)", "a;b"])
def test_a_name_that_a_shell_would_not_leave_whole_is_quoted_and_is_that_of_its_row(provenance, tmp_path, recipe):
    row = rows(provenance)["thresholded"] | {"recipe": recipe}
    options = {"checked": False, "given": None, "catalogue": Workspace(tmp_path)}
    row["command"] = command_of(row, row["seeds"], **options)
    assert recipe in shlex.split(row["command"])
    assert false_commands({**provenance, "rows": [row]}) == []
    row["command"] += " ; id"
    assert len(false_commands({**provenance, "rows": [row]})) == 1


def test_rows_of_others_stay_with_what_they_name_and_nothing_else_does(provenance):
    ours = {**provenance, "rows": [rows(provenance)["net"]]}
    theirs = {**provenance, "rows": [rows(provenance)["thresholded"], rows(provenance)["net"] | {"seeds": [9]}]}
    both = merged(theirs, ours)
    assert [row["recipe"] for row in both["rows"]] == ["net", "thresholded"]
    assert both["rows"][0] == rows(provenance)["net"]
    assert set(both["recipes"]) == {rows(provenance)["thresholded"]["recipe_hash"]}
    newer = {**ours, "rows": [rows(provenance)["net"] | {"suite_version": 2}]}
    assert [row["suite_version"] for row in merged(theirs, newer)["rows"]] == [1, 2]
    gone = {**theirs, "rows": [{**theirs["rows"][0], "attacks": {}}]}
    assert merged(gone, empty())["attacks"] == provenance["attacks"], "those that the suite names"
    assert merged(empty(), empty()) == empty()
    assert merged(provenance, empty()) == provenance


def test_published_beside_others_nothing_is_lost_and_all_is_in_order(made, tmp_path):
    """Two laboratories measure one recipe each; the second publishes into what the first has published."""
    from robustbench_pix import run
    from tests.workspaces import LEARNT, tiny_workspace

    other = tiny_workspace(tmp_path)
    (other / "models/tasks/tiny.toml").write_text(LEARNT)
    (other / "runs").mkdir()
    for name in ("train", "attack"):
        for folder in (made / "runs").glob(f"{name}-*"):
            (other / "runs" / folder.name).symlink_to(folder)
    ours = {"on": "tiny", "suite": "tiny", "workspace": other, "executor": "inline", "device": "cpu"}
    run(recipes="unregularized", seeds=2, **ours)
    rbp("publish", "--examples", "--workspace", other)
    examples = pd.read_parquet(other / "leaderboard/examples.parquet")
    for plan in (other / "runs/plans").iterdir():
        plan.unlink()
    run(recipes="thresholded", seeds=2, **ours)
    assert rbp("publish", "--workspace", other).exit_code == 0
    published = published_board(other / "leaderboard")
    measured, board = published.measurements, published.leaderboard
    assert set(board["recipe"]) == set(measured["recipe"]) == {"unregularized", "thresholded"}
    assert board["gain"].notna().sum() == 1
    assert set(read_beside(other / "leaderboard", "pictures.csv")["recipe"]) == {"unregularized", "thresholded"}
    assert verify(other / "leaderboard") == []
    both = pd.read_parquet(other / "leaderboard/examples.parquet")
    assert len(both) == 2 * len(examples)
    assert set(examples["attack_id"]) < set(both["attack_id"])
    (other / "models/tasks/tiny.toml").write_text(LEARNT.replace("epochs = 6", "epochs = 1"))
    for plan in (other / "runs/plans").iterdir():
        plan.unlink()
    run(recipes="thresholded", seeds=1, **ours)
    before = {file: file.read_bytes() for file in (other / "leaderboard").iterdir()}
    said = rbp("publish", "--workspace", other)
    assert said.exit_code == 1
    assert "(unregularized) that were measured with another protocol of the task" in said.output
    assert {file: file.read_bytes() for file in (other / "leaderboard").iterdir()} == before


def test_examples_are_the_outcomes_of_the_runs(made):
    published = pd.read_parquet(made / "leaderboard/examples.parquet")
    by = ["model_id", "attack_id", "strength", "repetition", "index"]
    pd.testing.assert_frame_equal(published, published.sort_values(by, ignore_index=True))
    measured = read_published(made / "leaderboard")[0]
    assert set(published["attack_id"]) == set(measured.loc[measured["attack"] != WORST_CASE, "attack_id"])
    for attack_id, found in published.groupby("attack_id"):
        kept = pd.read_parquet(made / f"runs/attack-{attack_id}/examples.parquet")
        kept = kept.sort_values(["strength", "repetition", "index"], ignore_index=True)
        for name in ("index", "correct", "prediction", "l2", "linf", "queries"):
            np.testing.assert_array_equal(found[name].to_numpy(float), kept[name].to_numpy(float))


def test_the_schema_accepts_the_tables_and_refuses_spoilt_ones(made):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((made / "leaderboard/schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    tables = {}
    for file in filter(lambda file: (made / "leaderboard" / file).exists(), schema["properties"]):
        table = pd.read_csv(made / "leaderboard" / file)
        kinds = {name: field["type"] for name, field in schema["properties"][file]["items"]["properties"].items()}
        tables[file] = [
            {name: _field(value, kinds[name]) for name, value in row.items()} for row in table.to_dict("records")
        ]
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(tables)) == []
    assert {"measurements.csv", "leaderboard.csv", "costs.csv"} <= {file for file in tables if tables[file]}
    for name, value in {"n": None, "correct": -1, "accuracy": 1.5, "model_id": "x", "seed": "0", "more": 1}.items():
        spoilt = {**tables, "measurements.csv": [tables["measurements.csv"][0] | {name: value}]}
        assert not validator.is_valid(spoilt), name
    spoilt = [{name: value for name, value in row.items() if name != "mean_auc"} for row in tables["leaderboard.csv"]]
    assert not validator.is_valid({**tables, "leaderboard.csv": spoilt})


def _field(value, kind):
    if kind == "string":
        return "" if pd.isna(value) else str(value)
    return None if pd.isna(value) else int(value) if "integer" in kind else float(value)
