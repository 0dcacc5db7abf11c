import robustbench_pix as rbp
from robustbench_pix.attacks.gradient import projected_gradient
from robustbench_pix.runs.attack_job import SOURCES_IN_CACHE, _source_cache
from tests.workspaces import tiny_workspace


def test_sources_keep_their_memory_until_others_come():
    first, *others = [_source_cache(sources) for sources in (("train-1",), ("train-2",), ("train-1", "train-2"))]
    assert _source_cache(("train-1",)) is first
    assert all(other is not first for other in others)
    for name in range(SOURCES_IN_CACHE):
        _source_cache((f"train-{name}-of-others",))
    assert _source_cache(("train-1",)) is not first, "only the last few are kept"


def test_a_run_takes_the_sources_gradient_once(tmp_path, monkeypatch):
    def counted(*arguments):
        taken.append(arguments)
        return directions(*arguments)

    taken, directions = [], projected_gradient._directions
    monkeypatch.setattr(projected_gradient, "_directions", counted)
    _source_cache.cache_clear()
    request = {"suite": "tiny", "on": ["tiny"], "recipes": ["unregularized", "statistics"], "seeds": "0,"}
    measurements = rbp.run(workspace=tiny_workspace(tmp_path), device="cpu", executor="inline", **request)
    fooled = measurements[measurements["attack"] == "transfer-fgsm"]
    assert fooled["model_id"].nunique() == 2
    assert len(taken) == 1
    strongest = fooled[fooled["strength"] == 0.3]
    assert (strongest["median_linf"] > 0.29).all()
