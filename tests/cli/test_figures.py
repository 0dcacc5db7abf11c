"""``rbp figures``: what is drawn, where it goes, and what is said."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustbench_pix.data import base, natural
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.paper import figures


@pytest.fixture
def one_format(monkeypatch):
    """Draw in one format alone, where what is drawn is not what is tested."""
    monkeypatch.setattr(figures, "FORMATS", {"svg": figures.FORMATS["svg"]})


def test_figures_of_runs_go_into_the_workspace(workspace, run, rbp):
    run(recipes=["unregularized", "pixel"], suite="noise")
    said = rbp("figures")
    assert said.code == 0
    files = {path.relative_to(workspace).as_posix() for path in (workspace / "figures").rglob("*") if path.is_file()}
    pictures = {f"figures/noise/figure-2-gaussian.{kind}" for kind in ("svg", "pdf", "png")}
    similarity = {
        f"figures/figure-1-similarity-tiny-tiny-full-gray-small-float32.{kind}" for kind in ("svg", "pdf", "png")
    }
    texts = ("figures", "leaderboard", "comparisons", "recipe-costs")  # nothing is known that aucs.tex would hold
    tables = {f"figures/noise/{name}.tex" for name in texts}
    assert files == pictures | similarity | tables | {"figures/figures.tex", "figures/similarity.csv"}
    lines = said.out.splitlines()
    assert lines[0].startswith("From the runs in ")
    assert {line.removeprefix("wrote ") for line in lines if line.startswith("wrote ")} == files
    assert lines[-1].startswith("Of Figure 3 nothing was measured")


def test_another_folder_and_one_suite(workspace, run, rbp):
    run(suite="noise")
    run(suite="tiny")
    assert rbp("figures", "--suite", "tiny", "--output", "paper").code == 0
    assert {path.name for path in (workspace / "paper").iterdir() if path.is_dir()} == {"tiny"}
    assert not (workspace / "figures").exists()
    assert (workspace / "paper/tiny/boundary.pdf").read_bytes().startswith(b"%PDF")
    assert "tin" in rbp("figures", "--suite", "tin").refusal


SUITE = """\
version = 1
summary = "Three corruptions, and one that asks queries"
attacks = ["corruption-brightness", "corruption-pixelate", "corruption-contrast", "boundary"]
"""


def test_tables_of_corruptions_and_queries_are_the_same_of_runs_and_as_published(workspace, run, rbp):
    (workspace / "attacks/suites/both.toml").write_text(SUITE)
    run(recipes=["unregularized", "pixel"], suite="both", seeds="2")
    assert rbp("publish").code == 0
    assert rbp("figures", "--output", "of-runs").code == 0
    assert rbp("figures", "--published", "--output", "of-files").code == 0
    texts, published = (
        {path.name: path.read_text() for path in (workspace / folder / "both").glob("*.tex")}
        for folder in ("of-runs", "of-files")
    )
    assert {"queries.tex", "recipe-costs.tex", "corruptions.tex", "comparisons.tex", "aucs.tex"} < set(texts)
    del texts["figures.tex"], published["figures.tex"]  # in which figures stand in the order of the measurements
    for name, text in texts.items():
        assert text == published[name], name
    mean = float(next(csv.DictReader(io.StringIO(rbp("corruptions", "--format", "csv").out)))["mean"])
    (row,) = [line for line in texts["corruptions.tex"].splitlines() if line.startswith("unregularized & ")]
    assert f"{mean:.3f}".removeprefix("0") in row


def test_corruptions_without_their_images_have_no_table_and_it_is_told(workspace, run, rbp, monkeypatch):
    def absent(*_):
        raise UserError("mnist is not in .data.")

    (workspace / "attacks/suites/both.toml").write_text(SUITE)
    run(suite="both")
    monkeypatch.setattr("robustbench_pix.results.corruptions.groupings", absent)
    said = rbp("figures")
    assert said.code == 0
    assert said.out.splitlines()[-1] == (
        "No table of corruptions, whose frequencies need the images: mnist is not in .data."
    )
    assert not (workspace / "figures/both/corruptions.tex").exists()


def test_figure_1_says_why_it_is_not_drawn_and_how_to_get_it(workspace, run, rbp, one_format):
    run(recipes=["unregularized", "pixel"], seeds="2")
    assert rbp("publish").code == 0
    (workspace / "runs").rename(workspace / "elsewhere")
    said = rbp("figures")
    assert said.code == 0
    wanted = "rbp run --suite noise --on tiny --recipe unregularized --recipe pixel --seeds 0,1 trains them."
    start = "Figure 1 of tiny:tiny (small network, gray) is not drawn. None of its trained models is in "
    (sentence,) = [line for line in said.out.splitlines() if line.startswith("Figure 1")]
    assert sentence == f"{start}{Path('runs')}; {wanted}"
    assert not list((workspace / "figures").glob("figure-1*"))
    assert (workspace / "figures/noise/figure-2-gaussian.svg").exists()


def test_figure_1_of_a_published_board_is_drawn_from_its_models(workspace, run, rbp, one_format):
    run(recipes=["unregularized", "pixel"])
    rbp("figures", "--output", "of-runs")
    rbp("publish")
    assert rbp("figures", "--published", "--output", "of-published").code == 0
    for path in sorted((workspace / "of-runs").glob("*.*")):
        assert path.read_bytes() == (workspace / "of-published" / path.name).read_bytes()
    assert (workspace / "of-published/similarity.csv").exists()


def test_models_that_are_damaged_are_left_out_and_counted(workspace, run, rbp, one_format):
    run(recipes=["unregularized", "pixel"], seeds="2")
    whole = rbp("figures").out
    (workspace / "runs" / sorted(path.name for path in (workspace / "runs").glob("train-*"))[0] / "log.csv").write_text(
        ""
    )
    lines = [line for line in rbp("figures").out.splitlines() if line not in whole.splitlines()]
    assert len(lines) == 1
    assert "lacks 1 of 4 models" in lines[0]


def test_images_that_have_changed_are_told_and_the_rest_is_drawn(workspace, run, rbp, one_format):
    run(recipes=["unregularized", "pixel"])
    task = workspace / "models/tasks/tiny.toml"
    task.write_text(task.read_text().replace("regularization_images = 40", "regularization_images = 39"))
    said = rbp("figures")
    assert said.code == 0
    assert "is not drawn. The images tiny are not those that its models were trained with." in said.out


def test_images_that_have_moved_are_found_by_the_data_root(workspace, run, rbp, one_format, monkeypatch):
    monkeypatch.setattr(natural, "cache_folder", lambda: workspace / "cache")
    (workspace / "data/natural").mkdir(parents=True)
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(workspace / f"data/natural/{number}.png")
    assert run("--on", "tiny:natural", recipes=["pixel"]).code == 0
    (workspace / "data").rename(workspace / "moved")
    base._loaded.cache_clear()  # as if the command were done later
    name = "Figure 1 of tiny:natural (small network, gray) is not drawn. There is no folder "
    chosen = ("figures", "--on", "tiny:natural")
    assert name in rbp(*chosen).out
    assert name not in rbp(*chosen, "--data-root", "moved").out
    assert (workspace / "figures/figure-1-similarity-tiny-natural-full-gray-small-float32.svg").exists()
