import re
from xml.etree import ElementTree

from robustbench_pix.leaderboard.terminal.picture import svg
from tests.tables import beside, tables


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
