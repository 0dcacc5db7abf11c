import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.leaderboard.page.charts import BOTTOM, LEFT, RIGHT, TOP
from robustbench_pix.leaderboard.page.page import page
from robustbench_pix.results.columns import KEY
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, CONTROLS, DISTANCE_ONLY, REASON, beside, block, measurements, rows, tables

VOID = {"meta", "link", "input", "br"}


class Checked(HTMLParser):
    """Fails where an element is not closed; gathers text, ids and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.ids, self.attributes = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def test_it_is_well_formed_and_names_everything():
    measured, board = tables(attacks=(*ATTACKS, DISTANCE_ONLY))
    found = Checked(text := page(board, measured))
    words = " ".join(found.words)
    assert "<b>1</b> table<" in text
    assert len(found.ids) == len(set(found.ids))
    assert all(name in words for name in (*board["recipe"], *ATTACKS, DISTANCE_ONLY, REASON))
    assert all(f"control of {of}" in words for of in CONTROLS.values())


def test_nothing_is_fetched_and_nothing_is_random():
    measured, board = tables()
    text = page(board, measured)
    assert "http" not in text.replace("http-equiv", "")
    for tag, name, value in Checked(text).attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:", "#")), tag
    assert "url(" not in text
    assert "@import" not in text
    assert page(board, measured) == text


def test_names_are_not_markup():
    names = ("unregularized", "<b>&\"'", "</script>")
    measured = measurements(recipes=names, attacks=("<i>", "uniform"))
    text = page(build_leaderboard(settings(measured, rows(recipes=names, attacks=("<i>", "uniform")))), measured)
    assert "<b>&\"'" not in text
    assert "<i>" not in text
    assert text.count("</script>") == 1
    assert "&lt;i&gt;" in text


def test_below_six_seeds_no_score_is_marked_and_no_gain_is_drawn_as_told():
    measured, board = tables()
    text = page(board, measured)
    assert f"{board['mean_auc'].max():.3f}<span".replace("0.", ".", 1) not in text
    assert set(re.findall(r'<circle class="(\w+)"', text)) == {"untold"}
    assert "3 seeds: too few for a verdict; 6 needed: rbp run --seeds 6." in text


def test_the_best_of_a_column_is_marked_in_words_too():
    measured, board = tables(seeds=tuple(range(7)))
    text = page(board, measured)
    for name in ("clean_accuracy", "mean_auc", "auc_uniform"):
        best = f"{board[name].max():.3f}"
        marked = f'best">{best.replace("0.", ".", 1)}<span class="unseen"> best of its column</span>'
        assert marked in text, name


def test_a_drawn_gain_shows_its_verdict():
    measured, board = tables(seeds=tuple(range(7)))
    harmful = board["recipe"] == "decorrelated"
    board.loc[harmful, ["gain", "gain_low", "gain_high", "verdict"]] = [-0.07, -0.08, -0.06, "worse"]
    board.loc[board["recipe"] == "pixel", "verdict"] = "not significant"  # whatever its interval is
    text = page(board, measured)
    gains = board[board["gain"].notna()]
    widest = gains[["gain_low", "gain_high"]].abs().max(axis=None)
    drawn = re.findall(r'<path class="(\w+)" d="M(\S+),0H(\S+)"/><circle class="(\w+)" cx="(\S+)"', text)
    told = gains["verdict"].replace("not significant", "untold")
    assert [line[0] for line in drawn] == [line[3] for line in drawn] == told.to_list()
    assert {"better", "worse", "untold"} <= set(told)
    places = np.array([[float(line[place]) for place in (1, 2, 4)] for line in drawn])
    assert places == pytest.approx(gains[["gain_low", "gain_high", "gain"]].to_numpy() / widest * 44, abs=0.06)


def test_gains_have_intervals_and_say_what_their_controls_gain():
    measured, board = tables(seeds=tuple(range(7)))
    words = " ".join(Checked(page(board, measured)).words)
    assert words.count("Gains of its controls:") == 1
    claim, control = (board.set_index("recipe").loc[name] for name in ("thresholded", "shuffled"))

    def said(row):
        ends = (f"{row[name]:+.3f}".replace("0.", ".", 1).replace("-", "−") for name in ("gain_low", "gain_high"))
        gain = f"{row['gain']:+.3f}".replace("0.", ".", 1).replace("-", "−")
        return "{}, 95% interval {} to {}: {}".format(gain, *ends, row["verdict"])

    assert said(claim) in words
    assert f"shuffled ({said(control)}" in words


def test_flags_hashes_and_masks_are_told():
    measured = measurements(seeds=(0,), model_id="feedfacefeedface", gradients="masked: no gradient (9 of 64)")
    measured.loc[measured["attack"] == "boundary", "flags"] = "not converged"
    text = page(build_leaderboard(settings(measured, rows(seeds=(0,)))), measured)
    assert '<abbr title="not converged">†</abbr>' in text
    assert "boundary: not converged" in text
    assert text.count('<span class="mark warning">masked gradients</span>') == 6
    assert "seed 0 <code>feedfacefeedface</code>" in text
    assert "<code>attack_hash-0123456789abcdef</code>" in text


def test_published_curves_lie_behind_ours_only_where_task_images_and_attack_agree():
    recipes = ("unregularized", "thresholded", "decorrelated")
    for task, images, published in (("mnist", "mnist", 2), ("mnist", "natural", 0), ("digits", "digits", 0)):
        here = block(task, images)
        measured, board = tables(of=here, recipes=recipes, attacks=("gaussian", "uniform"))
        text = page(board, measured)
        assert text.count(" paper") - text.count("s paper") == published, (task, images)
        assert ("Dotted: published, Attias et al. 2024, Fig. 2a (resnet18)." in text) == bool(published)
        if published:
            figure = text[text.index("<figure") : text.index("</figure>")]
            assert figure.index("thresholded (paper)") < figure.index(">thresholded<")


def test_a_large_board_stays_small():
    """A tenth of 168,000 measurements: a page of ten such blocks stays below 5 MB."""
    recipes = ("unregularized", *(f"recipe-{number}" for number in range(19)))
    attacks = tuple(f"attack-{number}" for number in range(12))
    measured = measurements(recipes=recipes, attacks=attacks, seeds=(0, 1))
    measured["model_id"] = [f"{number:016x}" for number in np.arange(len(measured)) // 120]
    board = build_leaderboard(settings(measured, rows(recipes=recipes, attacks=attacks, seeds=(0, 1))))
    assert len(page(board, measured).encode()) < 400_000


def asked(recipe, strength, **rates):
    fields = {name: value for name, value in block().items() if name in KEY}
    fields |= {"recipe": recipe, "attack": "boundary", "strength_kind": "l2", "strength": strength}
    return fields | {f"success_at_{count.removeprefix('at_')}": rate for count, rate in rates.items()}


def test_success_against_queries_is_drawn_at_the_middle_strength():
    measured, board = tables()
    lines = [asked("pixel", strength, at_10=0.0, at_100=strength, at_1000=1.0) for strength in (0.25, 0.5, 0.75)]
    elsewhere = asked("pixel", 0.5, at_10=1.0) | {"task": "mnist"}
    text = page(board, measured, pd.DataFrame([*lines, asked("neural", 0.5, at_10=1.0), elsewhere]))
    charts = text[text.index("Success of the attacker against queries") :]
    figure = charts[: charts.index("</figure>")]
    assert "Success is an adversarial within l2 0.5." in figure
    assert f'd="M{LEFT},{BOTTOM}L{(LEFT + RIGHT) / 2:g},{(TOP + BOTTOM) / 2:g}L{RIGHT},{TOP}"' in figure
    assert figure.count('<g class="line') == 1
    assert re.findall(r'y="205" text-anchor="middle">([^<]*)<', figure) == ["10", "100", "1,000"]
    assert charts.count("<figure") == 1
    assert "against queries" not in page(board, measured)


def test_an_empty_board_is_a_page():
    measured, board = tables()
    assert "<b>0</b> recipes" in page(board.iloc[:0], measured.iloc[:0])


def test_combinations_have_an_overview_that_leads_to_them():
    parts = [measurements(block(task=task)) for task in ("digits", "mnist")]
    asked = pd.concat([rows(block(task=task)) for task in ("digits", "mnist")], ignore_index=True)
    measured = pd.concat(parts, ignore_index=True)
    found = Checked(page(build_leaderboard(settings(measured, asked)), measured))
    links = [value.removeprefix("#") for tag, name, value in found.attributes if tag == "a" and name == "href"]
    assert len(links) == 2
    assert set(links) <= set(found.ids)
    assert not re.search(r"At a glance", page(*tables()[::-1]))


def test_rows_tell_possible_ranks_ties_effective_robustness_worst_case_and_where_accuracy_halves():
    measured, board = tables(seeds=tuple(range(7)))
    board.loc[board["recipe"] == "pixel", "worst_case"] = 0.2345
    aucs, _ = beside(measured, board)
    fooled = (aucs["recipe"] == "pixel") & (aucs["attack"] == "uniform")
    aucs.loc[fooled, ["eps50_seeds", "eps50", "eps50_low", "eps50_high"]] = [7, 0.3456, 0.3, 0.4]
    some = (aucs["recipe"] == "pixel") & (aucs["attack"] == "gaussian")
    aucs.loc[some, "eps50_seeds"] = 2
    aucs.loc[~fooled & ~some, "eps50_seeds"] = 0
    text = page(board, measured, aucs=aucs)
    words = " ".join(Checked(text).words)
    ranked = board[board["rank"].notna()]
    for row in ranked.to_dict("records"):
        low, high = row["rank_low"], row["rank_high"]
        shown = str(low) if low == high else f"{low}–{high}"
        assert f'<td data-v="{row["rank"]}">{shown}<span class="half">{row["group"]}</span></td>' in text
        letters = set(row["group"].split(","))
        ties = [
            other["recipe"]
            for other in ranked.to_dict("records")
            if other["recipe"] != row["recipe"] and letters & set(other["group"].split(","))
        ]
        assert not ties or f"No significant difference from: {', '.join(ties)};" in words.replace("  ", " ")
    assert words.count("No significant difference from:") == sum(
        ranked["group"].map(lambda of: sum(bool({*of.split(",")} & {*one.split(",")}) for one in ranked["group"]) > 1)
    )
    effective = board.set_index("recipe").loc["pixel", "effective_robustness"]
    assert f"{effective:+.3f}".replace("0.", ".", 1).replace("-", "−") in words
    assert "Robustness to all attacks at once, image by image:  .234" in words
    assert words.count(".346 ±.050") == 1
    assert words.count("2 of 7 seeds") == 1
    assert words.count("not reached") == len(aucs) - 2


def test_intervals_of_cells_and_lines_of_attacks_are_those_of_the_tables():
    measured, board = tables(seeds=(0, 1))
    here = measured["recipe"] == "pixel"
    measured["mean_queries"] = 100.0 + 1000 * measured["seed"] + 2 * measured["strength"]
    measured["failed"] = (measured["strength"] * 10).round().astype("Int64")
    measured["model_id"] = measured["recipe"] + measured["seed"].astype(str)
    measured.loc[~here, "mean_queries"] = np.nan
    text = page(board, measured)
    (pixel,) = board[board["recipe"] == "pixel"].to_dict("records")
    for name in ("clean_accuracy", "mean_auc", "gain"):
        half = f"{pixel[f'{name}_high'] / 2 - pixel[f'{name}_low'] / 2:.3f}".replace("0.", ".", 1)
        assert f'<span class="half">±{half}</span>' in text, name
    for attack, images in (("gaussian", "1,000"), ("boundary", "200")):
        retained = f"{pixel[f'relative_auc_{attack}']:.3f}".replace("0.", ".", 1)
        kind = {"gaussian": "sigma", "boundary": "l2"}[attack]
        cells = [f"{kind} 0.5", images, "10", "601", retained]  # at the last strength, of two seeds
        assert "".join(f"<td>{cell}</td>" for cell in cells) in text
    assert f"<b>{measured['model_id'].nunique()}</b> models" in text
