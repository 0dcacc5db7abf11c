import builtins
import os
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.paper.figures import not_drawn, shown, write_figures
from robustbench_pix.leaderboard.paper.panels import curve_figure, distance_figure, lines, seeds_name, settings
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings as results_of
from tests.tables import CONTROLS, DISTANCE_ONLY, block, measurements, rows

RECIPES = ("unregularized", "thresholded", "decorrelated")
MNIST = block("mnist", "mnist", network="resnet18", suite="paper", protocol="paper")
CIFAR10 = block("cifar10", "cifar10", network="resnet18", suite="paper", protocol="paper")


def tables(*blocks, attacks=("gaussian", DISTANCE_ONLY), seeds=(0, 1, 2)):
    options = {"recipes": RECIPES, "attacks": attacks, "seeds": seeds}
    measured = pd.concat([measurements(of, key=key, **options) for key, of in enumerate(blocks)], ignore_index=True)
    return build_leaderboard(results_of(measured, pd.concat([rows(of, **options) for of in blocks]))), measured


def drawn(draw, attack, *blocks, **options):
    """Return the figure of one attack and its panels."""
    board, measured = tables(*blocks, **options)
    one = next(one for one in shown(board, measured, "paper") if one.attack == attack)
    with settings():
        figure = draw(attack, one.panels, lines(dict(zip(board["recipe"], board["controls"], strict=True))))
        figure.draw_without_rendering()
    return figure, measured[measured["attack"] == attack]


def named(place):
    return {line.get_label(): line for line in place.get_lines()}


def test_curves_are_the_means_and_bands_the_standard_errors():
    figure, measured = drawn(curve_figure, "gaussian", MNIST, CIFAR10)
    for place, task in zip(figure.axes, ("mnist", "cifar10"), strict=True):
        for number, recipe in enumerate(RECIPES):
            chosen = measured[(measured["recipe"] == recipe) & (measured["task"] == task)]
            table = chosen.pivot(index="strength", columns="seed", values="accuracy")
            x, y = named(place)[recipe].get_data()
            assert np.array_equal(x, table.index)
            assert np.allclose(y, table.mean(axis=1))
            corners = place.collections[number].get_paths()[0].vertices
            half = table.std(axis=1, ddof=1) / np.sqrt(3)
            assert corners[:, 1].max() == pytest.approx((table.mean(axis=1) + half).max())
            assert corners[:, 1].min() == pytest.approx((table.mean(axis=1) - half).min())


def test_published_curves_are_dashed_in_the_colour_of_their_recipe_and_named():
    figure, _ = drawn(curve_figure, "gaussian", MNIST, block("digits", "digits", suite="paper", protocol="paper"))
    found = named(figure.axes[0])
    published = found["thresholded, Attias et al. 2024, Fig. 2a"]
    assert list(published.get_ydata())[-2:] == [0.655, 0.579]
    assert published.get_linestyle() == "--"
    assert published.get_color() == found["thresholded"].get_color()
    assert {line.get_linestyle() for name, line in found.items() if name in RECIPES} == {"-", "-."}
    assert set(named(figure.axes[1])) == set(RECIPES)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == [*RECIPES, "standard error", "Attias et al. 2024, Fig. 2a"]


def test_distances_stand_at_the_means_with_the_published_ones_hollow():
    figure, measured = drawn(distance_figure, DISTANCE_ONLY, CIFAR10)
    (place,) = figure.axes
    heights = {
        text.get_text(): height for height, text in zip(place.get_yticks(), place.get_yticklabels(), strict=True)
    }
    assert list(heights) == list(RECIPES)[::-1]
    for container in place.containers:
        recipe = container.get_label()
        values = measured.loc[measured["recipe"] == recipe, "median_squared_l2_per_pixel"]
        x, y = container[0].get_data()
        assert (x[0], y[0]) == (pytest.approx(values.mean()), heights[recipe])
        ((start, _), (end, _)) = container[2][0].get_segments()[0]
        assert end - start == pytest.approx(2 * values.std(ddof=1) / np.sqrt(3))
    hollow = named(place)["thresholded, Attias et al. 2024"]
    assert (hollow.get_xdata()[0], hollow.get_markerfacecolor()) == (5.98e-3, "white")


def overlaps(figure):
    """Return the pairs of texts that lie on each other, and those that leave the figure."""
    renderer = figure._get_renderer()
    texts = [figure.legends[0]]
    for place in figure.axes:
        texts += [place.title, place.xaxis.label, place.yaxis.label]
        for axis in (place.xaxis, place.yaxis):
            low, high = axis.get_view_interval()
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [(text, text.get_window_extent(renderer).padded(-1)) for text in texts]
    boxes = [(text, box) for text, box in boxes if box.width > 1 and box.height > 1]
    wide, high = figure.bbox.width, figure.bbox.height
    outside = [text for text, box in boxes if min(box.x0, box.y0) < -1 or box.x1 > wide + 1 or box.y1 > high + 1]
    return outside + [(a, b) for i, (a, box) in enumerate(boxes) for b, other in boxes[:i] if box.overlaps(other)]


@pytest.mark.parametrize(("draw", "attack"), [(curve_figure, "gaussian"), (distance_figure, DISTANCE_ONLY)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_no_text_lies_on_another_or_leaves_the_figure(draw, attack, count):
    of = [("fashionmnist", "cifar100"), ("cifar10", "natural"), ("cifar10", "cifar10"), ("mnist", "mnist"), ("a", "b")]
    blocks = [block(*pair, suite="paper", protocol="paper", size="reduced", network="resnet18") for pair in of[:count]]
    figure, _ = drawn(draw, attack, *blocks)
    assert figure.get_size_inches()[0] == (3.25 if count == 1 else 6.75)
    assert not overlaps(figure)


def test_letters_have_the_size_of_a_papers():
    figure, _ = drawn(curve_figure, "gaussian", MNIST)
    (place,) = figure.axes
    texts = [
        place.title,
        place.xaxis.label,
        place.yaxis.label,
        *place.get_xticklabels(),
        *figure.legends[0].get_texts(),
    ]
    assert {text.get_size() for text in texts} <= {7, 7.5}


def test_lines_differ_in_more_than_colour_and_never_use_yellow():
    names = {"unregularized": "", **{f"r{number}": "" for number in range(30)}, **CONTROLS}
    looks = lines(names)
    assert len(set(looks.values())) == len(names)
    assert len({look.marker for look in list(looks.values())[:7]}) == 7
    assert looks["decorrelated"].linestyle != looks["r1"].linestyle
    assert "#F0E442" not in {look.color for look in looks.values()}


def test_how_many_seeds_is_told_without_given_models():
    table = pd.DataFrame({"recipe": ["a", "a", "b", "c"], "seed": [0, 1, 0, 2_000_000]})
    assert seeds_name(table) == "1 to 2 seeds"
    assert seeds_name(table[table["recipe"] == "c"]) == "no seed"


SCRIPT = """
import sys
from pathlib import Path
from tests.leaderboard.test_figures import MNIST, tables
from robustbench_pix.leaderboard.paper.figures import write_figures
write_figures(*tables(MNIST), Path(sys.argv[1]))
"""


def test_files_repeat_byte_for_byte_in_another_process_with_other_settings(tmp_path):
    written = write_figures(*tables(MNIST), tmp_path / "here")
    pictures = [f"{name}.{kind}" for name in ("figure-2-gaussian", DISTANCE_ONLY) for kind in ("svg", "pdf", "png")]
    texts = ["figures.tex", "comparison.tex"]
    assert sorted(path.name for path in written) == sorted(pictures + texts)
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 5\nsvg.fonttype: none\n")
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "SOURCE_DATE_EPOCH": "1000000000"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "there")], check=True, env=environment)
    for path in written:
        assert path.read_bytes() == (tmp_path / "there" / path.relative_to(tmp_path / "here")).read_bytes(), path.name
        assert not any(word in path.read_bytes() for word in (b"CreationDate", b"<dc:date>", str(tmp_path).encode()))
    ElementTree.fromstring((tmp_path / "here/paper/figure-2-gaussian.svg").read_bytes())


def test_what_was_not_measured_is_told():
    _, measured = tables(MNIST)
    first, second = not_drawn(measured)
    assert first == "Of Figure 2 nothing was measured (gaussian) for cifar10:natural, cifar100:natural."
    assert second == "Of Figure 3 nothing was measured (transfer-fgsm) for cifar10:natural, cifar10:cifar10."


def test_without_matplotlib_a_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"^Figures need matplotlib: pip install 'robustbench-pix\[figures\]'\.$"):
        write_figures(*tables(MNIST), tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.* cannot be written"):
        write_figures(*tables(MNIST, attacks=("gaussian",)), tmp_path / "file")
