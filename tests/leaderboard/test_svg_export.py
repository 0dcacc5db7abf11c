import re
from xml.etree import ElementTree

import pandas as pd

from robustbench_pix.leaderboard.terminal.detail import svg
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import beside, block, measurements, rows, tables


def test_nothing_is_fetched_and_nothing_is_random(monkeypatch):
    measured, board = tables()
    text = svg(board, measured, beside(measured, board)[0])
    assert re.findall(r"https?://[^\"' ]*", text) == ["http://www.w3.org/2000/svg"]
    assert "@font-face" not in text
    assert "@import" not in text
    assert "Fira" not in text
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "40")
    assert svg(board, measured, beside(measured, board)[0]) == text


def test_it_is_xml_and_shows_the_table():
    measured, board = tables()
    words = "".join(ElementTree.fromstring(svg(board, measured, beside(measured, board)[0])).itertext()).replace(
        "\xa0", " "
    )
    assert "rbp leaderboard" in words
    assert all(recipe in words for recipe in board["recipe"])


def test_of_several_combinations_it_shows_the_overview_and_the_first_in_detail():
    here = [block(), block("mnist", "mnist")]
    measured = pd.concat([measurements(of, key=key) for key, of in enumerate(here)], ignore_index=True)
    board = build_leaderboard(settings(measured, pd.concat([rows(of) for of in here], ignore_index=True)))
    text = svg(board, measured, beside(measured, board)[0])
    words = "".join(ElementTree.fromstring(text).itertext()).replace("\xa0", " ")
    assert "overview of the suite" in words
    assert "digits : digits" in words
    assert "mnist : mnist" not in words
