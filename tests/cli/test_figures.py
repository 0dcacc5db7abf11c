"""``rbp figures``: what is drawn, where it goes, and what is said."""

import csv
import io

from robustbench_pix.errors import UserError


def test_figures_of_runs_go_into_the_workspace(workspace, run, rbp):
    run(recipes=["unregularized", "pixel"], suite="noise")
    said = rbp("figures")
    assert said.code == 0
    files = {path.relative_to(workspace).as_posix() for path in (workspace / "figures").rglob("*") if path.is_file()}
    pictures = {f"figures/noise/figure-2-gaussian.{kind}" for kind in ("svg", "pdf", "png")}
    texts = ("figures", "leaderboard", "comparisons", "robustness", "recipe-costs")
    assert files == pictures | {f"figures/noise/{name}.tex" for name in texts}
    lines = said.out.splitlines()
    assert lines[0].startswith("From the runs in ")
    assert {line.removeprefix("wrote ") for line in lines if line.startswith("wrote ")} == files
    assert lines[-1].startswith("Of Figure 3 nothing was measured")


def test_another_folder_and_one_suite(workspace, run, rbp):
    run(suite="noise")
    run(suite="tiny")
    assert rbp("figures", "--suite", "tiny", "--output", "paper").code == 0
    assert {path.name for path in (workspace / "paper").iterdir()} == {"tiny"}
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
    assert {"queries.tex", "recipe-costs.tex", "corruptions.tex", "comparisons.tex", "robustness.tex"} < set(texts)
    del texts["figures.tex"], published["figures.tex"]  # in which figures stand in the order of the measurements
    assert texts == published
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
