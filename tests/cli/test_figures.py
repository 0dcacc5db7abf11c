"""``rbp figures``: what is drawn, where it goes, and what is said."""


def test_figures_of_runs_go_into_the_workspace(workspace, run, rbp):
    run(recipes=["unregularized", "pixel"], suite="noise")
    said = rbp("figures")
    assert said.code == 0
    files = {path.relative_to(workspace).as_posix() for path in (workspace / "figures").rglob("*") if path.is_file()}
    pictures = {f"figures/noise/figure-2-gaussian.{kind}" for kind in ("svg", "pdf", "png")}
    assert files == pictures | {"figures/noise/figures.tex", "figures/noise/leaderboard.tex"}
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
