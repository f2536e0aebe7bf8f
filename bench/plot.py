"""Bars as an SVG that reads on light and dark pages and is small enough to be kept beside the figures."""

from xml.sax.saxutils import escape

WIDTH, LABEL, ROW, BAR, TOP = 720, 250, 26, 16, 44
OURS, PEERS, GOAL = "#2f6f9f", "#9a9a9a", "#c0392b"


def bars(title, rows, unit="", goal=None):
    """`rows`: (label, value, ours?). `goal`: (value, words), a line across all bars."""
    most = max([value for _, value, _ in rows] + [goal[0] if goal else 0]) or 1
    room = WIDTH - LABEL - 110
    height = TOP + ROW * len(rows) + (22 if goal else 8)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222">{escape(title)}</text>']
    for place, (label, value, ours) in enumerate(rows):
        y = TOP + ROW * place
        length = max(1.0, room * value / most)
        out += [f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end" fill="#222">{escape(label)}</text>',
                f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{OURS if ours else PEERS}"/>',
                f'<text x="{LABEL + length + 6:.1f}" y="{y + 13}" fill="#222">{number(value)} {escape(unit)}</text>']
    if goal:
        x = LABEL + room * goal[0] / most
        bottom = TOP + ROW * len(rows)
        out += [f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="{GOAL}" stroke-dasharray="4 3"/>',
                f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" fill="{GOAL}">{escape(goal[1])}</text>']
    return "\n".join([*out, "</svg>"]) + "\n"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
