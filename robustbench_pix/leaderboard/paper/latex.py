"""Tables and figures as LaTeX, for a paper that uses booktabs and graphicx."""

import re
from collections.abc import Sequence

LINE_END = r" \\"

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row a bracket would be read as an option of it
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def escaped(text: str) -> str:
    r"""Return a text in which no character means anything to LaTeX.

    >>> print(escaped("a_b: 100% [c]"))
    a\_b: 100\% {[}c]
    """
    return "".join(SPECIAL.get(character, character) for character in text)


def label(*parts: object) -> str:
    """Return a name to refer to, of letters, digits and hyphens.

    >>> label("tab", "salt-and-pepper", "cifar10:natural")
    'tab:salt-and-pepper-cifar10-natural'
    """
    kind, *rest = (re.sub(r"[^A-Za-z0-9]+", "-", str(part)).strip("-") for part in parts)
    return f"{kind}:{'-'.join(rest)}"


def table(caption: str, name: str, columns: str, head: Sequence[Sequence[str]], body: Sequence[Sequence[str]]) -> str:
    """Return a table over both columns; cells and caption are LaTeX already.

    Args:
        caption: What stands above it.
        name: What it is referred to by.
        columns: A letter a column, as tabular wants it.
        head: Lines above the rule; one that is a single text stands as it is, for rules between headings.
        body: Lines below it.
    """
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{{name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *(_line(cells) for cells in head),
        r"\midrule",
        *(_line(cells) for cells in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def figure(caption: str, name: str, file: str, *, both_columns: bool) -> str:
    """Return a figure that shows a file; the caption is LaTeX already."""
    kind = "figure*" if both_columns else "figure"
    return "\n".join(
        [
            rf"\begin{{{kind}}}",
            r"\centering",
            rf"\includegraphics{{{file}}}",
            rf"\caption{{{caption}}}",
            rf"\label{{{name}}}",
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return cells[0] if len(cells) == 1 else " & ".join(cells) + LINE_END
