"""The published leaderboard as one page: a file that asks no other machine for anything and works without a script.

Tables and curves are drawn here; the script only sorts, filters, unfolds, and shows or hides what is drawn.
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard import facts
from robustbench_pix.leaderboard.page.curves import curves
from robustbench_pix.leaderboard.page.line_styles import LineStyle, line_styles
from robustbench_pix.leaderboard.page.panel import Panel, Points, panel
from robustbench_pix.leaderboard.page.pictures import gallery
from robustbench_pix.leaderboard.page.query_charts import query_charts
from robustbench_pix.leaderboard.page.rows import attack_columns, page_rows
from robustbench_pix.results.columns import PICTURES, QUERIES, ROBUSTNESS
from robustbench_pix.results.frames import BLOCK, typed
from robustbench_pix.results.provenance import Provenance, empty
from robustbench_pix.results.published_curves import read_curves

TEMPLATES = Path(__file__).parent / "templates"

SIGHTS = {
    "none": "nothing",
    "transfer": "other models",
    "decisions": "decisions",
    "scores": "scores",
    "gradients": "gradients",
}
"""What an attacker of each access sees, in words, from least to most."""


def page(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    queries: pd.DataFrame | None = None,
    pictures: pd.DataFrame | None = None,
    robustness: pd.DataFrame | None = None,
    provenance: Provenance | None = None,
) -> str:
    """Return the page of a published leaderboard, its measurements, and whatever else of it is known.

    The commands are those of the provenance. The same tables give the same text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only publishing needs it

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    styles = line_styles(leaderboard)
    drawn = curves(leaderboard, measurements)
    published = read_curves()
    of_block = dict(iter(measurements.groupby(BLOCK, sort=False)))
    curves_of = dict(iter(drawn.groupby(BLOCK, sort=False)))
    queries = typed(pd.DataFrame() if queries is None else queries, QUERIES)
    queries_of = dict(iter(queries.groupby(BLOCK, sort=False)))
    pictures = typed(pd.DataFrame() if pictures is None else pictures, PICTURES)
    pictures_of = dict(iter(pictures.groupby(BLOCK, sort=False)))
    robustness = typed(pd.DataFrame() if robustness is None else robustness, ROBUSTNESS)
    robustness_of = dict(iter(robustness.groupby(BLOCK, sort=False)))
    commands: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in (provenance or empty())["rows"]:
        commands.setdefault(tuple(row[name] for name in BLOCK), {})[row["recipe"]] = row["command"]
    blocks = []
    for key, rows in leaderboard.groupby(BLOCK, sort=False):
        here = of_block.get(key, measurements.iloc[:0])
        block = _block(rows, here, robustness_of.get(key, robustness.iloc[:0]), commands.get(key, {}))
        own = curves_of.get(key, drawn.iloc[:0])
        attacks = [column.attack for column in block["columns"] if not column.distance]
        access = {column.attack: column.access for column in block["columns"]}
        kinds = {str(name): str(of["strength_kind"].iloc[0]) for name, of in here.groupby("attack", sort=False)}
        seen = gallery(pictures_of.get(key, pictures.iloc[:0]), access, kinds, styles)
        asked = queries_of.get(key, queries.iloc[:0])
        panels = [_panel(own[own["attack"] == name], styles, published) for name in attacks]
        blocks.append({**block, "panels": panels, "queries": query_charts(asked, styles, access), "gallery": seen})
    counts = {
        "recipes": leaderboard["recipe"].nunique(),
        "tables": len(blocks),
        "attacks": measurements["attack"].nunique(),
        "models": measurements["model_id"].nunique(),
        "measurements": len(measurements),
    }
    choices = {name: sorted(leaderboard[name].unique()) for name in ("task", "images", "suite")}
    sees = set(measurements["access"])
    choices["access"] = [name for name in SIGHTS if name in sees]
    return environment.get_template("page.html").render(
        blocks=blocks,
        counts={name: f"{count:,}" for name, count in counts.items()},
        choices=choices,
        recipes=list(dict.fromkeys([*styles, *leaderboard["recipe"]])),
        styles=styles,
        sights=SIGHTS,
    )


def _block(
    rows: pd.DataFrame, measured: pd.DataFrame, robustness: pd.DataFrame, commands: dict[str, str]
) -> dict[str, Any]:
    """Return what the template needs of one block, but for the curves."""
    first = rows.iloc[0]
    columns = attack_columns(rows, measured)
    identity = "-".join(str(first[name]) for name in BLOCK)
    details = [f"suite {first['suite']} {first['suite_version']}", f"network {first['network']}"]
    details += [] if first["size"] == "full" else [f"reduced size {first['size']}"]
    details += [] if first["protocol"] == "strict" else [f"{first['protocol']} protocol"]
    details += [] if first["precision"] == "float32" else [first["precision"]]
    return {
        "id": re.sub(r"[^a-z0-9]+", "-", identity.lower()),
        **{name: first[name] for name in BLOCK},
        "details": details,
        "columns": columns,
        "rows": page_rows(rows, measured, robustness, columns, commands),
        "leaders": list(rows.loc[rows["rank"] == 1, "recipe"]),
        "stopped": facts.stopped(rows),
        "remarks": facts.remarks(rows),
        "mixtures": facts.mixtures(measured),
        "facts": [*facts.controls(rows), *facts.measuring_facts(rows, measured)],
    }


def _panel(points: pd.DataFrame, styles: dict[str, LineStyle], published: pd.DataFrame) -> Panel:
    """Return the chart of one attack in a block, with the published curves of the same task, images and attack."""
    first = points.iloc[0]
    fields = ["task", "images", "attack"]
    alike = (published[fields] == first[fields]).all(axis="columns")
    theirs = published[alike & published["recipe"].isin(points["recipe"])]
    lines = [_points(recipe, f"{recipe} (paper)", group, styles, True) for recipe, group in theirs.groupby("recipe")]
    # What is drawn later lies above: unregularized last, so that it is never hidden.
    order = sorted(points["recipe"].unique(), key=lambda name: -list(styles).index(name))
    ours = dict(iter(points.groupby("recipe")))
    lines += [_points(recipe, recipe, ours[recipe], styles, False) for recipe in order]
    sources = ", ".join(f"{source} ({network})" for source, network in _pairs(theirs))
    caption = f"Dotted: published, {sources}." if sources else ""
    return panel(str(first["attack"]), str(first["access"]), str(first["strength_kind"]), lines, caption=caption)


def _pairs(theirs: pd.DataFrame) -> list[tuple[str, str]]:
    return list(theirs[["source", "network"]].drop_duplicates().itertuples(index=False, name=None))


def _points(recipe: Any, name: str, group: pd.DataFrame, styles: dict[str, LineStyle], published: bool) -> Points:
    x = group["strength"].to_list()
    if published:
        return Points(recipe, name, styles[recipe], True, x, group["accuracy"].to_list(), [], [])
    return Points(recipe, name, styles[recipe], False, x, *(group[end].to_list() for end in ("mean", "low", "high")))
