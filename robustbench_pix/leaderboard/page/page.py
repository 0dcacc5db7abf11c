"""The published leaderboard as one page: a file that asks no other machine for anything and works without a script.

Tables and curves are drawn here; the script only sorts, filters, unfolds, and shows or hides what is drawn.
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.page.charts import LineStyle, Panel, Points, line_styles, panel, query_charts
from robustbench_pix.leaderboard.page.gallery import gallery
from robustbench_pix.leaderboard.page.rows import attack_columns, page_rows
from robustbench_pix.results.columns import PICTURES, QUERIES, SETTING, typed
from robustbench_pix.results.derived_columns import AUCS
from robustbench_pix.results.inflation import inflation_sentences
from robustbench_pix.results.provenance import Provenance, empty
from robustbench_pix.results.published_curves import read_curves
from robustbench_pix.results.statistics.aucs import strength_curves

TEMPLATES = Path(__file__).parent / "templates"

THREAT_MODELS = {
    "none": "model-agnostic",
    "transfer": "transfer",
    "decisions": "decision-based",
    "scores": "score-based",
    "gradients": "white-box",
}
"""The threat model of each access, from the least to the most that an attacker uses."""


def page(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    queries: pd.DataFrame | None = None,
    pictures: pd.DataFrame | None = None,
    aucs: pd.DataFrame | None = None,
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
    environment.filters["upper_first"] = lambda text: text[:1].upper() + text[1:]
    styles = line_styles(leaderboard)
    drawn = strength_curves(measurements, leaderboard)
    published = read_curves()
    of_block = dict(iter(measurements.groupby(SETTING, sort=False)))
    curves_of = dict(iter(drawn.groupby(SETTING, sort=False)))
    queries = typed(pd.DataFrame() if queries is None else queries, QUERIES)
    queries_of = dict(iter(queries.groupby(SETTING, sort=False)))
    pictures = typed(pd.DataFrame() if pictures is None else pictures, PICTURES)
    pictures_of = dict(iter(pictures.groupby(SETTING, sort=False)))
    aucs = typed(pd.DataFrame() if aucs is None else aucs, AUCS)
    aucs_of = dict(iter(aucs.groupby(SETTING, sort=False)))
    commands: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in (provenance or empty())["rows"]:
        commands.setdefault(tuple(row[name] for name in SETTING), {})[row["recipe"]] = row["command"]
    blocks = []
    for key, rows in leaderboard.groupby(SETTING, sort=False):
        here = of_block.get(key, measurements.iloc[:0])
        block = _block(rows, here, aucs_of.get(key, aucs.iloc[:0]), commands.get(key, {}))
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
    choices = {name: sorted(leaderboard[name].unique()) for name in ("task", "regularization_data", "suite")}
    sees = set(measurements["access"])
    choices["access"] = [name for name in THREAT_MODELS if name in sees]
    return environment.get_template("page.html").render(
        blocks=blocks,
        counts={name.removesuffix("s") if count == 1 else name: f"{count:,}" for name, count in counts.items()},
        choices=choices,
        recipes=list(dict.fromkeys([*styles, *leaderboard["recipe"]])),
        styles=styles,
        threat_models=THREAT_MODELS,
    )


def _block(rows: pd.DataFrame, measured: pd.DataFrame, aucs: pd.DataFrame, commands: dict[str, str]) -> dict[str, Any]:
    """Return what the template needs of one setting, but for the curves."""
    first = rows.iloc[0]
    columns = attack_columns(rows, measured)
    identity = "-".join(str(first[name]) for name in SETTING)
    details = [f"suite {first['suite']} {first['suite_version']}", f"network {first['network']}"]
    details += [] if first["size"] == "full" else [f"size {first['size']}"]
    details += [] if first["protocol"] == "strict" else [f"{first['protocol']} protocol"]
    details += [] if first["precision"] == "float32" else [first["precision"]]
    return {
        "id": re.sub(r"[^a-z0-9]+", "-", identity.lower()),
        **{name: first[name] for name in SETTING},
        "details": details,
        "columns": columns,
        "rows": page_rows(rows, measured, aucs, columns, commands),
        "leaders": list(rows.loc[rows["rank"] == 1, "recipe"]),
        "verdicts": captions.verdicts(rows),
        "stopped": captions.stopped(rows),
        "remarks": captions.remarks(rows),
        "mixtures": captions.mixtures(measured),
        "facts": [
            *captions.controls(rows),
            *inflation_sentences(measured),
            *captions.measuring_facts(rows, measured),
        ],
    }


def _panel(points: pd.DataFrame, styles: dict[str, LineStyle], published: pd.DataFrame) -> Panel:
    """Return the chart of one attack in a setting, with the published curves of the same task, images and attack."""
    first = points.iloc[0]
    fields = ["task", "regularization_data", "attack"]
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
    return Points(
        recipe, name, styles[recipe], False, x, *(group[end].to_list() for end in ("accuracy", "low", "high"))
    )
