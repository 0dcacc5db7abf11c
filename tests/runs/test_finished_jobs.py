"""What tests copy instead of doing it again is what a job would have written."""

import json

import robustbench_pix as rbp
from robustbench_pix.runs.store import Store
from tests import finished_jobs
from tests.workspaces import tiny_workspace


def files(workspace):
    """Return the files of all runs; spec.json without the clock, the place, and the seal, which is of both."""
    found = {path.relative_to(workspace): path.read_bytes() for path in (workspace / "runs").glob("*-*/*")}
    for path in found:
        if path.name == "spec.json":
            spec = json.loads(found[path].replace(str(workspace).encode(), b""))
            found[path] = {name: value for name, value in spec.items() if name not in ("seconds", "digest")}
    return found


def test_copied_runs_are_whole_and_those_that_are_done(tmp_path, monkeypatch):
    request = {"suite": "tiny", "on": "tiny", "recipes": ["thresholded"], "seeds": 1}
    done, copied, again = (tiny_workspace(tmp_path / name) for name in ("done", "copied", "again"))
    (tmp_path / "shelf").mkdir()
    with finished_jobs.kept(tmp_path / "shelf"):
        rbp.run(workspace=done, device="cpu", executor="inline", **request)
        with monkeypatch.context() as patch:
            patch.setattr(finished_jobs, "do", None)
            rbp.run(workspace=copied, device="cpu", executor="inline", **request)
    rbp.run(workspace=again, device="cpu", executor="inline", **request)
    assert files(done) == files(copied) == files(again)
    store = Store(copied / "runs")
    assert len(store.runs()) == 6
    assert not any(map(store.damage, store.runs()))
