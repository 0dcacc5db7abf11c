"""The plain way does the same work as ours, or a ratio would mean nothing; and every script runs to its end."""

import json

import pytest
import torch
from click.testing import CliRunner

from benchmarks import (
    attacks,
    board,
    estimates,
    first_gpu,
    machine,
    page,
    recipes,
    scale,
    startup,
    suites,
    training,
    verdicts,
)
from benchmarks.attack_ways import Counting
from benchmarks.ours import data_of
from benchmarks.plain import PlainRun, PlainTraining, flops_of_step
from benchmarks.report import shown
from benchmarks.workload import ALPHA, THRESHOLD, TINY, pictures
from robustbench_pix.training.loop import train
from robustbench_pix.training.plan import epoch_plan


def test_the_plain_way_takes_the_same_steps_as_the_engine():
    data, rate = data_of(TINY, "cpu"), 2**-6  # exact in float32 too, in which the engine keeps it
    spec = TINY.spec(1).model_copy(update={"augmentation": "none", "learning_rate": rate})
    ours, theirs = TINY.fresh_network(0).double(), TINY.fresh_network(0).double()
    regularizer = TINY.regularizer(TINY.fresh_network(0), data.regularization_images, 0).double()
    log = train(ours, regularizer, data, spec, seed=0, alpha=ALPHA, device="cpu").log
    plain = PlainTraining(
        theirs,
        data.regularization_images.double() / 255,
        alpha=ALPHA,
        threshold=THRESHOLD,
        learning_rate=rate,
    )
    plan = epoch_plan(
        spec, seed=0, epoch=0, images=len(data.images), pairs=TINY.pairs, regularization_images=20, allowed=None
    )
    parts = zip(plan.order.split(TINY.batch), plan.pairs.first, plan.pairs.second, strict=True)
    for numbers, first, second in parts:
        plain.step(data.images[numbers].double() / 255, data.labels[numbers], first, second)
    mean_loss = sum(plain.logged) / len(plain.logged)
    assert mean_loss == pytest.approx(log[0]["task_loss"] + ALPHA * log[0]["penalty"], rel=1e-6)
    # As many steps of SGD from the same weights: equal weights afterwards are equal gradients in every step.
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name)


def test_the_plain_loader_gives_the_pictures_that_ours_are_made_of():
    run = PlainRun(TINY, "cpu")
    loaded = torch.cat([images for images, _ in run.evaluation])
    labels = torch.cat([labels for _, labels in run.evaluation])
    data = data_of(TINY, "cpu")
    assert torch.equal((255 * loaded).round().byte(), data.images)
    assert torch.equal(labels, data.labels)


def test_the_operations_of_a_step_are_those_of_its_convolutions_and_its_linear_layer():
    network = TINY.fresh_network(0)
    multiplications = []

    def count(layer, inputs, output):
        each = layer.weight[0].numel()
        multiplications.append((each * output[0].numel(), isinstance(layer, torch.nn.Linear)))

    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    network(torch.zeros(1, 1, TINY.side, TINY.side))
    convolutions = sum(each for each, linear in multiplications if not linear)
    linear = sum(each for each, is_linear in multiplications if is_linear)
    stem = multiplications[0][0]
    expected = 2 * (TINY.images_a_step * (3 * convolutions - stem) + TINY.batch * 3 * linear)
    # The products of the layers' weights with their similarities are not among them; a softmax is no product.
    assert flops_of_step(TINY, "cpu") == pytest.approx(expected, rel=0.01)


def test_pictures_of_a_class_are_alike():
    images, labels = pictures(200, 8, seed=1)
    means = torch.stack([images[labels == label].double().mean(dim=0) for label in range(10)])
    nearest = (images[:, None].double() - means).flatten(2).norm(dim=2).argmin(dim=1)
    assert (nearest == labels).double().mean() > 0.9


def test_queries_are_images_not_calls():
    counting = Counting(torch.nn.Flatten())
    counting(torch.zeros(3, 1, 2, 2))
    counting(torch.zeros(2, 1, 2, 2))
    assert counting.asked == 5


def test_numbers_keep_three_digits():
    assert [shown(value) for value in (0.12345, 12.345, 1234.5, 12345, None, "ours")] == [
        "0.123", "12.3", "1,234", "12,345", "", "ours",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "arguments", "tables"),
    [(training, ["--device", "cpu"], 6), (attacks, ["--device", "cpu"], 3), (startup, [], 1), (suites, [], 1),
     (board, [], 2), (page, [], 1), (recipes, [], 1), (estimates, [], 1), (first_gpu, ["--device", "cpu"], 8)],
)  # fmt: skip
def test_a_script_runs_to_its_end_and_says_where_it_ran(script, arguments, tables, tmp_path):
    done = CliRunner().invoke(script.main, [*arguments, "--tiny", "--output", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    name = script.__name__.rpartition(".")[2]
    written = json.loads((tmp_path / f"{name}-cpu.json").read_text(encoding="utf-8"))
    assert len(written["tables"]) == tables
    assert all(table["rows"] for table in written["tables"])
    assert written["machine"]["torch"] == torch.__version__
    text = (tmp_path / f"{name}-cpu.json").read_text() + (tmp_path / f"{name}-cpu.md").read_text()
    assert str(machine.ROOT) not in text
    assert str(tmp_path) not in text


def test_the_script_of_scale_counts_every_job(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "in_a_fresh_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(scale, "find_spec", lambda name: None)
    done = CliRunner().invoke(scale.main, ["--tiny", "--output", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (table,) = json.loads((tmp_path / "scale-cpu.json").read_text(encoding="utf-8"))["tables"]
    jobs = {row["what"]: row["jobs"] for row in table["rows"]}
    assert jobs == {"planned": 16, "scheduled": 8, "resumed": 16, "told": 16}


def test_the_simulation_of_verdicts_runs_to_its_end(tmp_path):
    done = CliRunner().invoke(verdicts.main, ["--tiny", "--output", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    tables = json.loads((tmp_path / "verdicts.json").read_text())
    assert [len(table["rows"]) for table in tables] == [8, 7]
    assert "| 7 seeds, 64 images |" in (tmp_path / "verdicts.md").read_text()
