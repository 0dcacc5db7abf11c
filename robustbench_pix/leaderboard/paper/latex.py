"""Texts, labels and figures as LaTeX, for a paper that uses graphicx."""

import re

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
