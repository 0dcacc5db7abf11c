"""The order of rows in which a claim and its controls stand together."""

from collections.abc import Mapping


def beside_claims(controls: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Return (recipe, whether it stands below what it controls): each recipe in its order, then its controls in theirs.

    A control stands by itself where its claim does not, or is itself a control.

    Args:
        controls: What each recipe controls, "" for none; in the order of the rows.

    >>> beside_claims({"shuffled": "ours", "plain": "", "lost": "other", "ours": "", "statistics": "ours"})
    [('plain', False), ('lost', False), ('ours', False), ('shuffled', True), ('statistics', True)]
    >>> beside_claims({"of a control": "control", "control": "ours", "ours": ""})
    [('of a control', False), ('ours', False), ('control', True)]
    """
    below: dict[str, list[str]] = {}
    for recipe, claim in controls.items():
        if claim in controls and controls[claim] not in controls:
            below.setdefault(claim, []).append(recipe)
    placed = {recipe for recipes in below.values() for recipe in recipes}
    return [
        (recipe, recipe != claim)
        for claim in controls
        if claim not in placed
        for recipe in (claim, *below.get(claim, ()))
    ]
