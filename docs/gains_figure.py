"""Draw the published gains over the baseline as a forest plot: python docs/gains_figure.py writes images/gains.svg."""

import csv
from pathlib import Path
from xml.sax.saxutils import escape

DOCS = Path(__file__).parent
PUBLISHED = DOCS.parent / "leaderboard" / "leaderboard.csv"
FIGURE = DOCS / "images" / "gains.svg"

WIDTH, TOP, ROW, BOTTOM = 880, 96, 48, 64
PLOT_LEFT, PLOT_RIGHT = 230, 620
COLOURS = {"better": "#0072b2", "worse": "#d55e00", "not significant": "#6b7280", "too few seeds": "#6b7280"}
"""Okabe and Ito's blue and vermillion, and gray."""

STYLE = "font-family: system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"


def draw(rows: list[dict[str, str]]) -> str:
    """Return the SVG of rows of leaderboard.csv, those without a gain left out; all are of one setting."""
    shown = [row for row in rows if row["gain"]]
    height = TOP + ROW * len(shown) + BOTTOM
    limit = _limit([abs(float(row[name])) for row in shown for name in ("gain_low", "gain_high")])

    def x(gain: float) -> float:
        return round(PLOT_LEFT + (gain + limit) / (2 * limit) * (PLOT_RIGHT - PLOT_LEFT), 1)

    first, bottom = shown[0], TOP + ROW * len(shown)
    setting = f"{first['task']}, suite {first['suite']} {first['suite_version']}, {first['seeds']} seeds"
    parts = [
        _text(28, 38, "Gain in mean AUC over the unregularized network", size=20, weight=600),
        _text(28, 64, f"{setting}; 95% intervals over seeds and test images", size=14, fill="#4b5563"),
        _text(PLOT_RIGHT + 24, TOP - 6, "gain [95% interval]", size=13, fill="#4b5563"),
    ]
    for tick in (-limit, -limit / 2, 0.0, limit / 2, limit):
        stroke = "#111827" if tick == 0 else "#e5e7eb"
        parts.append(f'<line x1="{x(tick)}" y1="{TOP}" x2="{x(tick)}" y2="{bottom}" stroke="{stroke}"/>')
        parts.append(_text(x(tick), bottom + 22, _signed(tick, 2), size=13, fill="#4b5563", anchor="middle"))
    parts.append(_text(x(-limit / 2), bottom + 46, "less robust", size=13, fill="#4b5563", anchor="middle"))
    parts.append(_text(x(limit / 2), bottom + 46, "more robust", size=13, fill="#4b5563", anchor="middle"))
    for number, row in enumerate(shown):
        y = TOP + ROW * number + ROW // 2
        low, mean, high = (float(row[name]) for name in ("gain_low", "gain", "gain_high"))
        colour = COLOURS[row["verdict"]]
        parts += [
            _text(28, y + (-2 if row["controls"] else 5), row["recipe"], size=16, weight=600),
            _text(28, y + 16, f"control of {row['controls']}" if row["controls"] else "", size=12, fill="#4b5563"),
            f'<line x1="{x(low)}" y1="{y}" x2="{x(high)}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
            f'<circle cx="{x(mean)}" cy="{y}" r="6" fill="{colour}"/>',
            _text(PLOT_RIGHT + 24, y - 2, f"{_signed(mean)} [{_signed(low)}, {_signed(high)}]", size=15),
            _text(PLOT_RIGHT + 24, y + 16, row["verdict"], size=13, fill=colour, weight=600),
        ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" style="{STYLE}">'
    title = f"<title>Gain of each recipe over the unregularized network: {escape(setting)}</title>"
    ground = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>'
    return "\n".join([head, title, ground, *filter(None, parts), "</svg>"]) + "\n"


def published_rows() -> list[dict[str, str]]:
    """Return the rows of the published board of digits."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if (row["task"], row["suite"]) == ("digits", "blackbox")]


def _limit(values: list[float]) -> float:
    """Return the end of the axis: the largest value, rounded up to a multiple of 0.1.

    >>> _limit([0.081, 0.03])
    0.1
    """
    return next(step / 10 for step in range(1, 11) if step / 10 >= max(values))


def _signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign.

    >>> _signed(0.058), _signed(-0.1, 2), _signed(0.0, 2)
    ('+0.058', '−0.10', '0')
    """
    return "0" if value == 0 else f"{value:+.{digits}f}".replace("-", "−")


def _text(
    x: float, y: float, text: str, *, size: int, fill: str = "#111827", weight: int = 400, anchor: str = ""
) -> str:
    where = f' text-anchor="{anchor}"' if anchor else ""
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x}" y="{y}" {style}{where}>{escape(text)}</text>' if text else ""


if __name__ == "__main__":
    FIGURE.parent.mkdir(exist_ok=True)
    FIGURE.write_text(draw(published_rows()), encoding="utf-8")
