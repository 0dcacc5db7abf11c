"""Figure 1: what its panels hold, how it looks, and its files."""

import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, pearsonr, t

from robustbench_pix.leaderboard.paper.panels import lines, settings
from robustbench_pix.leaderboard.paper.similarity_figure import similarity_figure, write_similarities
from robustbench_pix.results.representations import COMBINATION, Similarities, by_clusters
from tests.leaderboard.test_figures import overlaps
from tests.tables import CONTROLS, block, measurements

RECIPES = ("unregularized", "pixel", "thresholded", "decorrelated", "neural")
IMAGES = 30
LOWER = np.tril_indices(IMAGES, k=-1)


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def found(recipes=RECIPES, seeds=(0, 1, 2), targets=(), **changed):
    """Return similarities that resemble those of pixels, the less the later the recipe and the seed."""
    random = np.random.default_rng(0)
    pixels = random.normal(size=(IMAGES, 6))
    networks = {
        recipe: {seed: cosines(pixels + (1 + place + 0.3 * seed) * random.normal(size=pixels.shape)) for seed in seeds}
        for place, recipe in enumerate(recipes)
    }
    of = {name: cosines(pixels + random.normal(size=pixels.shape)) for name in targets}
    values = block("mnist", "natural", network="resnet18", size="reduced", **changed)
    return Similarities(pd.Series(values)[COMBINATION], cosines(pixels), networks, of, [])


def drawn(of):
    with settings():
        figure = similarity_figure(of, lines({recipe: CONTROLS.get(recipe, "") for recipe in RECIPES}))
        figure.draw_without_rendering()
    return figure, figure.axes[:-1]  # the last one is the bar of colours


def r(similarity, pixel):
    return pearsonr(similarity[LOWER], pixel[LOWER]).statistic


def test_scatter_plots_hold_every_pair_of_the_first_seed_and_its_line():
    of = found(targets=["neural"])
    _, places = drawn(of)
    scatter = {place.get_title(): place for place in places if place.get_xlabel() == r"$S^\mathrm{pixel}$"}
    assert list(scatter) == ["neural target", "unregularized", "pixel", "thresholded"]
    shown = {"neural target": of.targets["neural"], **{name: of.networks[name][0] for name in RECIPES[:3]}}
    for name, place in scatter.items():
        points, line = place.get_lines()
        assert sorted(zip(*points.get_data(), strict=True)) == sorted(
            zip(of.pixel[LOWER], shown[name].T[LOWER], strict=True)
        )
        fit = linregress(of.pixel[LOWER], shown[name][LOWER])
        x, y = line.get_data()
        np.testing.assert_allclose(y, fit.intercept + fit.slope * np.asarray(x))
        (told,) = (text.get_text() for text in place.texts)
        assert told.startswith(f"$r$ = {r(shown[name], of.pixel):.3f}".replace("0.", "."))
        if name == "neural target":
            assert "seeds" not in told
            continue
        values = [r(similarity, of.pixel) for similarity in of.networks[name].values()]
        mean, half = (float(number) for number in told.split("3 seeds:\n")[1].split(" ± "))
        expected = [np.mean(values), t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)]
        assert [mean, half] == pytest.approx(expected, abs=5.1e-4)


def test_correlations_of_all_recipes_stand_beside_the_published_one():
    of = found(targets=["neural"])
    _, places = drawn(of)
    place = places[0]
    names = [label.get_text() for label in place.get_yticklabels()]
    assert names[::-1] == ["neural target", "unregularized", "neural", "pixel", "thresholded", "decorrelated"]
    for container in place.containers:
        (x,), (height,) = container[0].get_data()
        if names[height] == "neural target":
            assert x == pytest.approx(r(of.targets["neural"], of.pixel))
            continue
        values = [r(similarity, of.pixel) for similarity in of.networks[names[height]].values()]
        assert x == pytest.approx(np.mean(values))
        ((low, _), (high, _)) = container[2][0].get_segments()[0]
        assert (high - low) / 2 == pytest.approx(t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3))
    dots = {line.get_ydata()[0]: line.get_xdata() for line in place.get_lines() if len(line.get_xdata()) == 3}
    expected = [r(similarity, of.pixel) for similarity in of.networks["thresholded"].values()]
    np.testing.assert_allclose(dots[names.index("thresholded") + 0.3], expected)
    (published,) = [line for line in place.get_lines() if "Attias" in str(line.get_label())]
    assert set(published.get_xdata()) == {0.83}
    assert published.get_linestyle() == "--"


def test_matrices_show_all_similarities_in_the_order_of_the_clusters_of_pixels():
    of = found()
    _, places = drawn(of)
    images = [place.images[0] for place in places if place.images]
    order = by_clusters(of.pixel)
    shown = [of.pixel, *(of.networks[recipe][0] for recipe in RECIPES[:3])]
    for image, matrix in zip(images, shown, strict=True):
        assert np.array_equal(image.get_array(), matrix[order][:, order])
        assert image.get_clim() == (-1, 1)


def test_other_recipes_are_drawn_where_the_papers_are_not():
    _, places = drawn(found(["decorrelated", "thresholded", "neural"]))
    assert [place.get_title() for place in places[1:4]] == ["thresholded", "neural", "decorrelated"]


def test_a_constant_similarity_has_no_number_and_is_still_drawn():
    of = found(["unregularized", "pixel"])
    of.networks["pixel"][0] = np.full((IMAGES, IMAGES), 0.5)
    _, places = drawn(of)
    assert places[2].texts[0].get_text() == "$r$ = –\n3 seeds:\n– ± –"


@pytest.mark.parametrize("recipes", [RECIPES[:1], RECIPES[:2], RECIPES])
@pytest.mark.parametrize("targets", [[], ["neural"]])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_no_text_lies_on_another_or_leaves_the_figure(recipes, targets, seeds):
    figure, places = drawn(found(recipes, seeds, targets=targets))
    assert figure.get_size_inches()[0] <= 6.75 + 1e-9
    assert not overlaps(figure)
    assert {text.get_size() for place in places for text in (place.title, *place.texts)} <= {7, 7.5}
    sides = {tuple(np.round(place.get_window_extent().size, 3)) for place in places}
    assert len(sides) == 1
    assert len(set(sides.pop())) == 1


SCRIPT = """
import sys
from pathlib import Path
from tests.leaderboard.test_similarity_figure import write
write(Path(sys.argv[1]))
"""


def board():
    measured = measurements(recipes=[name for name in RECIPES if name != "neural"], attacks=("gaussian",))
    measured = pd.concat([measured, measured[measured["recipe"] == "pixel"].assign(recipe="neural")])
    return pd.DataFrame({"recipe": RECIPES, "controls": [CONTROLS.get(name, "") for name in RECIPES]}), measured


def write(folder):
    of = [found(), found(targets=["neural"], colour="rgb")]
    return write_similarities(of, *board(), folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Give the files of Figure 1 of two combinations, gray without a neural target and in colour with one."""
    return write(tmp_path_factory.mktemp("here"))


def test_files_repeat_byte_for_byte_in_another_process(written, tmp_path):
    names = [f"figure-1-similarity-mnist-natural-reduced-{colour}-resnet18-float32" for colour in ("gray", "rgb")]
    pictures = [f"{name}.{kind}" for name in names for kind in ("svg", "pdf", "png")]
    assert sorted(path.name for path in written) == sorted([*pictures, "figures.tex", "similarity.csv"])
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1000000000", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, env=environment)
    for path in written:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    ElementTree.fromstring((tmp_path / f"{names[0]}.svg").read_bytes())
    assert max(path.stat().st_size for path in written) < 500_000


def test_the_caption_says_how_it_was_measured_and_what_was_published(written):
    text = (written[0].parent / "figures.tex").read_text()
    gray, colour = text.split(r"\begin{figure*}")[1:]
    assert r"\includegraphics{figure-1-similarity-mnist-natural-reduced-gray-resnet18-float32.pdf}" in gray
    for told in (
        "MNIST, natural images (ResNet18, gray, size reduced)",
        "435 pairs of 30",
        "$r = .83$",
        "Li et al. 2019",
    ):
        assert told in gray
    assert ("neural responses" in gray, "neural responses" in colour) == (False, True)
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(set(labels)) == 2
    assert not re.search(r"[_#&]|(?<!\\)%", re.sub(r"\$[^$]*\$", "", text))


def test_the_table_holds_every_correlation(written):
    table = pd.read_csv(written[0].parent / "similarity.csv")
    assert list(table.columns[: len(COMBINATION)]) == COMBINATION
    assert len(table) == 2 * 15 + 1
    of = found()
    row = table[(table["recipe"] == "pixel") & (table["seed"] == 1) & (table["colour"] == "gray")].iloc[0]
    assert row["correlation"] == pytest.approx(r(of.networks["pixel"][1], of.pixel), abs=1e-9)


def test_nothing_is_written_where_nothing_was_found(tmp_path):
    assert write_similarities([], *board(), tmp_path) == []
    assert not list(tmp_path.iterdir())
