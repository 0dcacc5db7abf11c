"""What a reader does with the page, in a headless Chromium; skipped where there is none."""

import pandas as pd
import pytest

from robustbench_pix.leaderboard.page.page import page
from robustbench_pix.results.columns import KEY
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.leaderboard.browser import CHROMIUM, Browser
from tests.leaderboard.test_page_pictures import drawn_pictures
from tests.tables import block, measurements, rows

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ACCESS = {"boundary": "decisions", "transfer-fgsm": "transfer"}


def boards():
    here = [block(), block("mnist", "mnist"), block("mnist", "natural", suite="noise")]
    measured = pd.concat([measurements(of, key=key) for key, of in enumerate(here)], ignore_index=True)
    measured["access"] = measured["attack"].map(ACCESS).fillna("none")
    return build_leaderboard(settings(measured, pd.concat([rows(of) for of in here], ignore_index=True))), measured


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "index.html"
    leaderboard, measured = boards()
    rows_of = leaderboard[[*KEY]].to_dict("records")
    commands = [{**row, "command": f"rbp run --on {row['task']} --recipe {row['recipe']}"} for row in rows_of]
    text = page(leaderboard, measured, pictures=drawn_pictures(), provenance={"rows": commands})
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def opened(browser, file):
    browser.complaints.clear()
    browser.requests.clear()
    browser.emulate()
    browser.open(file)
    yield browser
    assert browser.complaints == []
    asked = [address.partition("?")[0] for address in browser.requests if not address.startswith("data:image/png;")]
    assert asked == [file.as_uri()]


def column(browser, key, section=0):
    """Return what a column sorts by, from top to bottom, of the rows that are seen."""
    return browser.run(f"""(() => {{
        const section = document.querySelectorAll('.block')[{section}];
        const place = section.querySelector('[data-key="{key}"]').cellIndex;
        return [...section.querySelectorAll('tbody[data-recipe]')].filter(body => !body.hidden)
            .map(body => body.rows[0].cells[place].dataset.v);
    }})()""")


def click(browser, selector):
    browser.run(f"document.querySelector(`{selector}`).click()")


def choose(browser, name, value):
    browser.run(f"""(() => {{
        const field = document.querySelector('[name="{name}"]');
        field.value = '{value}';
        field.dispatchEvent(new Event('change', {{ bubbles: true }}));
    }})()""")


def drawn(browser):
    """Return the recipes whose curves are seen in the first chart."""
    return browser.run("""[...document.querySelector('.panel').querySelectorAll('.line:not(.off)')]
        .map(line => line.dataset.recipe).sort()""")


def test_sorting_descends_then_ascends_then_is_as_published(opened):
    published = [column(opened, "mean_auc", section) for section in range(3)]
    click(opened, '[data-key="clean_accuracy"] button')
    for section in range(3):
        values = column(opened, "clean_accuracy", section)
        assert values[-1] == ""  # neural was not run
        assert [float(value) for value in values[:-1]] == sorted(map(float, values[:-1]), reverse=True)
    assert (
        opened.run("""document.querySelector('[data-key="clean_accuracy"]').getAttribute('aria-sort')""")
        == "descending"
    )
    assert opened.run("document.getElementById('status').textContent") == "sorted by clean, largest first"
    click(opened, '[data-key="clean_accuracy"] button')
    values = column(opened, "clean_accuracy")
    assert values[-1] == ""
    assert [float(value) for value in values[:-1]] == sorted(map(float, values[:-1]))
    click(opened, '[data-key="clean_accuracy"] button')
    assert [column(opened, "mean_auc", section) for section in range(3)] == published
    assert opened.run("document.querySelectorAll('[aria-sort]').length") == 0


def test_names_sort_as_words(opened):
    click(opened, '[data-key="recipe"] button')
    names = column(opened, "recipe")
    assert names == sorted(names)


def test_details_stay_below_their_row(opened):
    click(opened, '[data-key="recipe"] button')
    pairs = opened.run("""[...document.querySelectorAll('tbody[data-recipe]')].map(body =>
        [body.dataset.recipe, body.rows[1].querySelector('summary').textContent])""")
    assert all(below == f"How {recipe} was measured" for recipe, below in pairs)


def test_filters_of_task_images_and_suite(opened):
    seen = "[...document.querySelectorAll('.block')].filter(one => !one.hidden).map(one => one.id)"
    assert len(opened.run(seen)) == 3
    choose(opened, "task", "mnist")
    assert [name.split("-")[3:5] for name in opened.run(seen)] == [["mnist", "mnist"], ["mnist", "natural"]]
    choose(opened, "suite", "noise")
    assert [name.split("-")[:5] for name in opened.run(seen)] == [["noise", "1", "strict", "mnist", "natural"]]
    assert opened.run("document.querySelectorAll('[data-block]:not([hidden])').length") == 1
    choose(opened, "regularization_data", "mnist")
    assert opened.run(seen) == []
    assert opened.run("document.getElementById('nothing').hidden") is False
    click(opened, 'form [type="reset"]')
    opened.run("new Promise(done => setTimeout(done, 20))")
    assert len(opened.run(seen)) == 3


def test_filter_of_access_keeps_its_columns_and_charts(opened):
    choose(opened, "access", "decisions")
    found = opened.run("""(() => {
        const section = document.querySelector('.block');
        const text = (one) => one.textContent.trim();
        const seen = (selector) => [...section.querySelectorAll(selector)].filter((one) => !one.hidden).map(text);
        return [seen('th[data-access]'), seen('.panel figcaption b'), seen('.panel').length];
    })()""")
    assert found == [["boundary"], ["gaussian", "uniform", "salt-and-pepper", "transfer-fgsm", "boundary"], 1]


def test_filter_of_recipes_takes_rows_and_curves(opened):
    assert "pixel" in drawn(opened)
    click(opened, '[name="recipe"][value="pixel"]')
    assert "pixel" not in column(opened, "recipe")
    assert "pixel" not in drawn(opened)
    assert "thresholded" in drawn(opened)


def test_pictures_follow_the_filters_of_recipes_and_access(opened):
    seen = """[...document.querySelectorAll('.pictures details[open] .strip')].filter((one) => !one.hidden)
        .map((one) => one.dataset.recipe ?? 'original')"""
    assert opened.run(seen) == ["original", "unregularized", "pixel", "thresholded"]
    click(opened, '[name="recipe"][value="pixel"]')
    assert opened.run(seen) == ["original", "unregularized", "thresholded"]
    attacks = """[...document.querySelectorAll('.pictures details')].filter((one) => one.checkVisibility())
        .map((one) => one.querySelector('b').textContent)"""
    assert opened.run(attacks) == ["gaussian", "uniform", "salt-and-pepper", "transfer-fgsm", "boundary"]
    choose(opened, "access", "decisions")
    assert opened.run(attacks) == ["boundary"]
    click(opened, ".pictures details:not([hidden]) summary")
    assert opened.run("document.querySelectorAll('.pictures details:not([hidden])[open]').length") == 1


def test_pictures_are_decoded_and_as_sharp_as_their_pixels(browser, file):
    for script in (True, False):
        browser.emulate(width=390, height=800)
        browser.open(file, script=script)
        shown = browser.run("""(async () => {
            const images = [...document.querySelectorAll('.pictures details[open] img')];
            await Promise.all(images.map((one) => one.decode()));
            return images.map((one) => [one.naturalWidth, one.naturalHeight, one.clientWidth > 40, one.alt !== '',
                getComputedStyle(one).imageRendering, one.getBoundingClientRect().right <= innerWidth]);
        })()""")
        assert shown == [[4, 4, True, True, "pixelated", True]] * 8


def test_a_swatch_takes_the_curve_and_leaves_the_row_in_every_table(opened):
    click(opened, '[data-swatch="pixel"]')
    assert "pixel" not in drawn(opened)
    assert "pixel" in column(opened, "recipe")
    states = """[...document.querySelectorAll('[data-swatch="pixel"]')].map(one => one.getAttribute('aria-pressed'))"""
    assert opened.run(states) == ["false"] * 3
    click(opened, '[data-swatch="pixel"]')
    assert "pixel" in drawn(opened)


def test_names_lie_where_python_has_put_them(browser, file):
    heights = "[...document.querySelectorAll('.line:not(.off) text')].map(one => Number(one.getAttribute('y')))"
    browser.open(file, script=False)
    static = browser.run(heights)
    browser.open(file)
    assert browser.run(heights) == pytest.approx(static, abs=0.11)
    ours, published = 3 * 5 * 6, 3
    assert len(static) == ours + published


def test_unfolding_by_keyboard(opened):
    opened.run("document.querySelector('button.name').focus()")
    state = """(() => {
        const button = document.querySelector('button.name');
        const unfolded = document.getElementById(button.getAttribute('aria-controls'));
        return [button.getAttribute('aria-expanded'), unfolded.hidden];
    })()"""
    assert opened.run(state) == ["false", True]
    opened.press("Enter", 13, "\r")
    assert opened.run(state) == ["true", False]
    shown = opened.run("document.querySelector('.more:not([hidden])').innerText")
    assert "rbp run --on digits --recipe thresholded" in shown
    assert "recipe_hash-0123456789abcdef" in shown
    opened.press(" ", 32, " ")
    assert opened.run(state) == ["false", True]


def test_the_tabulator_goes_through_and_focus_is_seen(opened):
    visited = []
    for _ in range(16):
        opened.press("Tab", 9)
        visited.append(opened.run("document.activeElement.name || document.activeElement.textContent.trim()"))
        outline = opened.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline in ("solid", "auto"), visited
    assert visited[:4] == ["task", "regularization_data", "suite", "access"]
    assert "Show everything" in visited


def test_the_choice_is_in_the_address(browser, file):
    browser.open(file)
    choose(browser, "task", "mnist")
    click(browser, '[name="recipe"][value="pixel"]')
    click(browser, '[data-key="auc_gaussian"] button')
    fragment = browser.run("location.hash")
    assert fragment == "#task=mnist&without=pixel&sort=-auc_gaussian"
    expected = column(browser, "mean_auc", 1)
    browser.open(file, fragment=fragment)
    assert browser.run("document.querySelector('[name=task]').value") == "mnist"
    assert column(browser, "mean_auc", 1) == expected
    assert len(expected) == 6
    browser.open(file, fragment="#task=nonsense&sort=-nonsense&without=nobody")
    assert browser.run("[...document.querySelectorAll('.block')].filter(one => !one.hidden).length") == 3


def test_without_a_script_everything_can_be_read(browser, file):
    browser.open(file, script=False)
    assert browser.run("document.querySelector('form').hidden") is True
    assert browser.run("document.querySelectorAll('button.name').length") == 0
    assert browser.run("document.querySelectorAll('.line:not(.off) path').length") > 100
    browser.run("document.querySelector('details').open = true")
    assert "rbp run --on digits --recipe" in browser.run("document.querySelector('details').innerText")


@pytest.mark.parametrize(("width", "media"), [(320, ""), (390, ""), (1400, ""), (1000, "print")])
def test_only_tables_scroll_sideways(browser, file, width, media):
    browser.emulate(width=width, height=800, media=media)
    browser.open(file)
    click(browser, "button.name")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelector('.panel svg').getBoundingClientRect().right") <= width


def test_colours_follow_the_scheme(browser, file):
    ink = "getComputedStyle(document.body).color"
    paper = "getComputedStyle(document.body).backgroundColor"
    for scheme, light in (("light", True), ("dark", False)):
        browser.emulate(scheme=scheme)
        browser.open(file)
        values = [
            sum(int(part) for part in browser.run(name).removeprefix("rgb(").rstrip(")").split(","))
            for name in (paper, ink)
        ]
        assert (values[0] > values[1]) == light
        assert abs(values[0] - values[1]) > 550


def test_sorting_is_quick(opened):
    milliseconds = opened.run("""[...Array(9)].map((_, turn) => {
        const began = performance.now();
        document.querySelectorAll('.block')[0].querySelectorAll('th[data-key] button')[2 + turn % 5].click();
        void document.body.offsetHeight;
        return performance.now() - began;
    }).sort((a, b) => a - b)[4]""")
    assert milliseconds < 100
