"""The pictures of a setting on the page: test images, and below them their adversarial images for each recipe."""

import base64
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.page.charts import LineStyle
from robustbench_pix.runs.request import EXTERNAL_SEED

GRAY, RGB = 0, 2


def data_uri(levels: bytes, height: int, width: int) -> str:
    """Return 8-bit levels, row by row, one an entry in gray and three in rgb, as the address of an image."""
    channels = len(levels) // (height * width)
    row = width * channels
    lines = b"".join(b"\0" + levels[start : start + row] for start in range(0, len(levels), row))
    header = struct.pack(">2I5B", width, height, 8, GRAY if channels == 1 else RGB, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines, level=0)), _chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


ATTACKS = 6
"""As many attacks of a setting have their pictures on the page, so that a large board stays small."""


class Shown(NamedTuple):
    """An image: its address, a description, the prediction (bold where wrong), the perturbation size, and the norms."""

    address: str
    words: str
    answer: str
    wrong: bool
    at: str
    norms: str


class Strip(NamedTuple):
    """The images of one recipe; "" stands for the originals."""

    recipe: str
    images: list[Shown]


class Attacked(NamedTuple):
    """An attack: its threat model, the meaning of its captions, and its strips, the originals first."""

    attack: str
    access: str
    stated: str
    strips: list[Strip]


class Gallery(NamedTuple):
    """The pictures of a setting: attacks, the most successful one, the models, the credit, and the attacks left out."""

    attacks: list[Attacked]
    most: str
    models: str
    credit: str
    left_out: str


def gallery(
    pictures: pd.DataFrame, access: Mapping[str, str], kinds: Mapping[str, str], styles: Mapping[str, LineStyle]
) -> Gallery | None:
    """Return the pictures of a setting, or None where it has none.

    Args:
        pictures: those of the setting, the columns ``PICTURES``.
        access: the threat models of the attacks, in their order; ``kinds``: the units of their perturbation sizes.
        styles: of recipes; those whose curves are drawn at first have pictures, in this order.
    """
    if pictures.empty:
        return None
    recipes = [name for name, style in styles.items() if style.drawn]
    names = [name for name in access if name in set(pictures["attack"])]
    seeds = sorted(pictures["seed"].unique())
    left_out = [*names[ATTACKS:], *sorted(set(pictures["recipe"]) - set(recipes))]
    of = dict(iter(pictures.groupby("attack", sort=False)))
    return Gallery(
        [_attacked(of[name], access[name], kinds[name], recipes) for name in names[:ATTACKS]],
        max(names[:ATTACKS], key=lambda name: int((of[name]["prediction"] != of[name]["label"]).sum())),
        ", ".join("external models" if seed == EXTERNAL_SEED else f"models of seed {seed}" for seed in seeds),
        "; ".join(pictures["credit"].unique()),
        ", ".join(left_out),
    )


def _attacked(pictures: pd.DataFrame, access: str, kind: str, recipes: Iterable[str]) -> Attacked:
    attack, given = str(pictures["attack"].iloc[0]), bool(pictures["strength"].notna().any())
    by_recipe = {name: rows.sort_values("index") for name, rows in pictures.groupby("recipe")}
    originals = pictures.drop_duplicates("index").sort_values("index")
    strips = [Strip("", [_original(row) for row in originals.to_dict("records")])]
    strips += [
        Strip(name, [_picture(row, kind) for row in by_recipe[name].to_dict("records")])
        for name in recipes
        if name in by_recipe
    ]
    stated = f"first {kind} with a wrong answer" if given else f"{kind} distance of the nearest wrong answer"
    return Attacked(attack, access, stated, strips)


def _original(row: Mapping[Any, Any]) -> Shown:
    label = str(row["label"])
    return Shown(_address(row, "original"), f"Test image {row['index']}, a {label}", label, False, "", "")


def _picture(row: Mapping[Any, Any], kind: str) -> Shown:
    wrong = row["prediction"] != row["label"]
    reached = row["strength"]
    if pd.isna(reached) and wrong:
        reached = row["linf" if kind == "linf" else "l2"]
    at = "none found" if pd.isna(reached) else "unattacked" if wrong and not reached else f"at {reached:.3g}"
    answer = str(row["prediction"]) if wrong else f"{row['prediction']} holds"
    words = f"The {row['label']} under {row['attack']}, asked of {row['recipe']}"
    return Shown(_address(row, "picture"), words, answer, wrong, at, f"l2 {row['l2']:.3g}, linf {row['linf']:.3g}")


def _address(row: Mapping[Any, Any], name: str) -> str:
    return data_uri(bytes.fromhex(row[name]), row["height"], row["width"])
