"""The pictures on the page: whose, in which order, with which words, and how many."""

import re

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.leaderboard.page.gallery import ATTACKS as SHOWN
from robustbench_pix.leaderboard.page.page import page
from robustbench_pix.results.columns import PICTURES, typed
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.leaderboard.test_png import decoded
from tests.tables import ATTACKS, block, measurements, rows, tables


def drawn_pictures(of=None, recipes=("unregularized", "pixel", "thresholded"), attacks=ATTACKS, seed=0, images=(9, 40)):
    """Return pictures of 4x4 pixels: under the boundary attack the nearest, else the first of all strengths or none."""
    found, random = [], np.random.default_rng(0)
    originals = {index: random.integers(0, 256, 16, dtype=np.uint8).tobytes().hex() for index in images}
    for recipe in recipes:
        for attack in attacks:
            for place, index in enumerate(images):
                minimal, wrong = attack == "boundary", place % 2 == 0
                line = {"recipe": recipe, "attack": attack, "index": index, "label": 7, "prediction": 3 if wrong else 7}
                line |= {"strength": np.nan if minimal else 1 / 3 if wrong else 0.5, "l2": 0.123456, "linf": 0.0456}
                line |= {
                    "original": originals[index],
                    "picture": random.integers(0, 256, 16, dtype=np.uint8).tobytes().hex(),
                }
                found.append((of or block()) | line | {"seed": seed, "height": 4, "width": 4, "credit": "Some & one"})
    return typed(pd.DataFrame(found), PICTURES)


def section(text):
    return text[text.index('<div class="pictures">') : text.index("</section>", text.index('<div class="pictures">'))]


def strips(details):
    """Return for each strip its recipe, and the levels and the caption of each picture."""
    found = []
    for strip in details.split('<div class="strip"')[1:]:
        name = re.search(r"<p>(.*?)</p>", strip)[1]
        levels = [decoded(address) for address in re.findall(r'src="([^"]*)"', strip)]
        found.append((name, levels, re.findall(r"<figcaption>(.*?)</figcaption>", strip)))
    return found


def test_originals_stand_above_the_pictures_of_every_recipe():
    measured, board = tables()
    pictures = drawn_pictures()
    text = section(page(board, measured, None, pictures.sample(frac=1, random_state=1)))
    first, *_, last = text.split("<details")[1:]
    assert re.findall(r"<summary><b>(.*?)</b>", text) == list(ATTACKS)
    for details, attack in ((first, "gaussian"), (last, "boundary")):
        told = strips(details)
        assert [name for name, _, _ in told] == ["original", "unregularized", "pixel", "thresholded"]
        for name, levels, _ in told:
            of = pictures[
                (pictures["attack"] == attack) & (pictures["recipe"] == (name if name != "original" else "pixel"))
            ]
            expected = of["original" if name == "original" else "picture"]
            assert [one.tobytes().hex() for one in levels] == expected.to_list()
    assert strips(first)[0][2] == ["7", "7"]
    assert strips(first)[1][2] == ["<b>3</b><span>at 0.333</span>", "7 holds<span>at 0.5</span>"]
    assert strips(last)[1][2] == ["<b>3</b><span>at 0.123</span>", "7 holds<span>none found</span>"]
    assert "first sigma with a wrong answer" in first
    assert "l2 distance of the nearest wrong answer" in last
    assert 'alt="The 7 under gaussian, asked of pixel" title="l2 0.123, linf 0.0456"' in first
    assert "models of seed 0" in text
    assert "Images: Some &amp; one." in text
    assert "not here" not in text


def test_an_image_that_is_wrong_without_attack_is_said_to_be():
    measured, board = tables()
    pictures = drawn_pictures().assign(strength=0.0, l2=0.0, linf=0.0)
    pictures.loc[pictures["attack"] == "boundary", "strength"] = np.nan
    text = section(page(board, measured, None, pictures))
    assert text.count("<b>3</b><span>unattacked</span>") == 3 * len(ATTACKS)


def test_an_linf_attack_is_told_in_linf():
    measured, board = tables()
    measured.loc[measured["attack"] == "boundary", "strength_kind"] = "linf"
    last = section(page(board, measured, None, drawn_pictures())).split("<details")[-1]
    assert "<b>3</b><span>at 0.0456</span>" in last
    assert "linf distance of the nearest" in last


def test_what_fooled_the_most_is_open():
    measured, board = tables()
    pictures = drawn_pictures()
    pictures.loc[pictures["attack"] != "uniform", "prediction"] = 7
    text = section(page(board, measured, None, pictures))
    assert re.findall(r"<details[^>]* open><summary><b>(.*?)</b>", text) == ["uniform"]


def test_only_blocks_with_pictures_have_any():
    here = [block(), block("mnist", "mnist")]
    measured = pd.concat([measurements(of, key=key) for key, of in enumerate(here)], ignore_index=True)
    board = build_leaderboard(settings(measured, pd.concat([rows(of) for of in here], ignore_index=True)))
    assert "image/png" not in page(board, measured)
    text = page(board, measured, None, drawn_pictures(here[1]))
    assert text.count('<div class="pictures">') == 1
    assert text.index('data-task="mnist"') < text.index('<div class="pictures">')
    assert text == page(board, measured, None, drawn_pictures(here[1]))


def test_a_large_board_leaves_pictures_out_and_says_which():
    recipes = ("unregularized", *(f"recipe-{number:02d}" for number in range(19)))
    attacks = tuple(f"attack-{number:02d}" for number in range(12))
    measured = measurements(recipes=recipes, attacks=attacks, seeds=(0, 1))
    board = build_leaderboard(settings(measured, rows(recipes=recipes, attacks=attacks, seeds=(0, 1))))
    pictures = drawn_pictures(recipes=recipes, attacks=attacks, images=range(5)).assign(
        height=8, width=8, original="00" * 64, picture="ff" * 64
    )
    text = page(board, measured, None, pictures)
    few = set(re.findall(r'<div class="strip" data-recipe="(.*?)"', text))
    assert len(few) == 7
    assert re.findall(r"<details[^>]*><summary><b>(.*?)</b>", text) == list(attacks[:SHOWN])
    said = re.search(r"In pictures.csv, not here: (.*?)\. Images", text)[1].split(", ")
    assert said == [*attacks[SHOWN:], *sorted(set(recipes) - few)]
    assert len(text.encode()) - len(page(board, measured).encode()) < 110_000, "ten such blocks stay below 5 MB"


@pytest.mark.parametrize(
    ("seeds", "words"), [((0, 2_000_000), "models of seed 0, external models"), ((3, 3), "of seed 3")]
)
def test_whose_pictures_they_are_is_said(seeds, words):
    measured, board = tables()
    parts = [
        drawn_pictures(recipes=(name,), seed=seed) for name, seed in zip(("pixel", "thresholded"), seeds, strict=True)
    ]
    assert f"Queried: {'' if '0' in words else 'models '}{words}." in section(
        page(board, measured, None, pd.concat(parts))
    )
