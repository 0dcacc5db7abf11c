"""pictures.csv: what attacks have kept, published, replaced and verified."""

import numpy as np
import pandas as pd
import pytest

import robustbench_pix
from robustbench_pix.data.digits import CREDIT, digits
from robustbench_pix.evaluation.evaluate import KEPT_IMAGES
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.checks.consistency import false_pictures
from robustbench_pix.results.columns import PICTURES, typed
from robustbench_pix.results.merging import merge
from robustbench_pix.results.published.reading import read_beside, read_published
from robustbench_pix.results.published.schema import violations
from tests.leaderboard.conftest import Table, rbp, verify
from tests.tables import as_board, block, costs, tables
from tests.workspaces import TASK, tiny_workspace

LEVELS = """\
import torch
import robustbench_pix as rbp

def theirs(root, *, colour):
    images = torch.arange(300, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 8, 8)
    labels = torch.arange(300) % 2
    return rbp.ImageData(images[:200], labels[:200], test_images=images[200:], test_labels=labels[200:], classes=2)
"""


def entries(text):
    return np.array([int(text[place : place + 2], 16) for place in range(0, len(text), 2)])


def test_five_images_of_the_lowest_seed_under_every_attack(made):
    found = read_beside(made / "leaderboard", "pictures.csv")
    measured, _ = read_published(made / "leaderboard")
    assert set(found["attack"]) == {"gaussian", "transfer-fgsm", "boundary"}
    assert found.groupby(["recipe", "attack"]).size().tolist() == [KEPT_IMAGES] * 9
    assert found.loc[found["recipe"] != "net", "seed"].eq(0).all()
    assert found["index"].nunique() == KEPT_IMAGES, "the same images everywhere"
    assert set(found["credit"]) == {CREDIT}
    data = digits(None, colour="gray")
    for row in found.to_dict("records"):
        assert row["label"] == data.test_labels[row["index"]]
        np.testing.assert_array_equal(entries(row["original"]), data.test_images[row["index"]].flatten())
        kept = pd.read_parquet(made / f"runs/attack-{row['attack_id']}/pictures.parquet").set_index("index")
        assert kept.loc[row["index"], "picture"] == row["picture"]
        examples = pd.read_parquet(made / f"runs/attack-{row['attack_id']}/examples.parquet")
        alike = (examples["index"] == row["index"]) & (
            examples["strength"].isna() | (examples["strength"] == row["strength"])
        )
        (example,) = examples[alike].to_dict("records")
        assert example["prediction"] == row["prediction"]
        if np.isfinite(example["l2"]):
            assert row["l2"] == pytest.approx(example["l2"], rel=1e-6)
    assert (found["prediction"] != found["label"]).sum() > 10, "some attacks succeed, or nothing is told here"
    assert set(found["attack_id"]) < set(measured["attack_id"])


def test_images_of_other_data_sets_are_neither_kept_nor_published(tmp_path):
    folder = tiny_workspace(tmp_path)
    (folder / "models/tasks/theirs.py").write_text(LEVELS)
    task = TASK.replace('dataset = "digits"', 'dataset = "theirs.py:theirs"').replace(
        "regularization_images = 40\n", ""
    )
    (folder / "models/tasks/tiny.toml").write_text(task)
    robustbench_pix.run(
        suite="tiny", recipes="unregularized", on="tiny", seeds=1, workspace=folder, executor="inline", device="cpu"
    )
    attacks = list((folder / "runs").glob("attack-*"))
    assert len(attacks) == 3
    assert all(sorted(file.name for file in run.iterdir()) == ["examples.parquet", "spec.json"] for run in attacks)
    assert rbp("publish", "--workspace", folder).exit_code == 0
    assert not (folder / "leaderboard/pictures.csv").exists()
    assert "image/png" not in (folder / "leaderboard/index.html").read_text(encoding="utf-8")


def test_pictures_go_with_the_measurements_of_their_attack(tmp_path):
    measured, board = tables(recipes=("unregularized", "pixel"), attacks=("gaussian",))
    line = {"attack": "gaussian", "index": 3, "label": 1, "prediction": 1, "strength": 0.5, "l2": 0, "linf": 0}
    line |= {"height": 1, "width": 1, "original": "00", "picture": "00", "seed": 0}
    names = {"pixel": measured["attack_id"].iloc[0], "thresholded": "0" * 16}
    kept = [block() | line | {"recipe": name, "attack_id": attack_id} for name, attack_id in names.items()]
    new = typed(pd.DataFrame([kept[0] | {"suite_version": 2}]), PICTURES)
    kept = typed(pd.DataFrame(kept), PICTURES)
    assert merge(kept, new)[["recipe", "suite_version"]].to_numpy().tolist() == [["thresholded", 1], ["pixel", 2]]
    given = {"measured": measured, "leaderboard": board, "costs": costs()}
    publish(tmp_path, as_board(**given, pictures=kept))
    assert read_beside(tmp_path, "pictures.csv")["recipe"].tolist() == ["pixel"]
    publish(tmp_path, as_board(**given, pictures=kept.iloc[1:]))
    assert read_beside(tmp_path, "pictures.csv").empty


@pytest.fixture
def pictures(copy):
    return Table(copy / "pictures.csv")


def findings(copy):
    """Return what ``rbp verify`` finds in pictures.csv."""
    found, measured = read_beside(copy, "pictures.csv"), read_published(copy)[0]
    return violations("pictures.csv", found, PICTURES) or false_pictures(found, measured)


def only(copy, column):
    """Return what is found, all of it in a column of pictures.csv."""
    found = findings(copy)
    assert {(finding.file, finding.column) for finding in found} == {("pictures.csv", column)}, found
    return " ".join(map(str, found))


def wrong_and_held(pictures, attack):
    """Return the first row of an attack whose answer is wrong, though not without attack, and one that holds if any."""
    rows = pictures.rows[pictures.rows["attack"] == attack]
    wrong = rows["prediction"] != rows["label"]
    return rows.index[wrong & (rows["l2"] != "0")][0], next(iter(rows.index[~wrong]), None)


@pytest.mark.parametrize(
    ("values", "column", "words"),
    [
        ({"attack_id": "0123456789abcdef"}, "attack_id", "0123456789abcdef is not in measurements.csv as "),
        ({"seed": "1"}, "attack_id", "is not in measurements.csv"),
        ({"prediction": "-2"}, "prediction", "is below -1"),
        ({"index": ""}, "index", "where a number must be"),
        ({"index": "0"}, "index", "two pictures of the image 0"),
        ({"picture": "0g"}, "picture", "does not match"),
        ({"picture": "00ff"}, "picture", "not as large as 8 x 8 pixels in gray"),
        ({"width": "4"}, "original", "not as large as 8 x 4 pixels"),
        ({"label": "3"}, "label", "is another one above"),
        ({"original": "07" * 64}, "original", "is another one above"),
    ],
)
def test_a_row_is_of_an_image_and_an_attack(copy, pictures, values, column, words):
    last = pictures.rows.index[-2:] if "index" in values else pictures.rows.index[-1:]
    label = pictures.rows.loc[last[0], "label"]
    pictures.write(last, **(values | ({"label": str((int(label) + 1) % 10)} if "label" in values else {})))
    found = findings(copy)
    assert words in " ".join(str(finding) for finding in found if finding.column == column), found
    if values == {"picture": "0g"}:
        assert verify(copy) == found


def test_norms_are_those_of_the_picture_up_to_rounding(copy, pictures):
    wrong, _ = wrong_and_held(pictures, "gaussian")
    true = {name: pictures.number(wrong, name) for name in ("l2", "linf")}
    pictures.write([wrong], l2=true["l2"] + 0.008)
    assert findings(copy) == [], "less than eight roundings, of a half level each"
    pictures.write([wrong], l2=true["l2"] + 0.05)
    assert "is not that of the picture" in only(copy, "l2")
    assert verify(copy) == findings(copy)
    pictures.write([wrong], l2=true["l2"], linf=true["linf"] - 0.01)
    assert "is not that of the picture" in only(copy, "linf")
    pictures.write([wrong], linf=true["linf"], picture=pictures.rows.loc[wrong, "original"])
    found = {finding.column for finding in findings(copy)}
    assert found == {"l2", "linf"}, "another picture"
