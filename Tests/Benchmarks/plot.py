"""Bar charts as SVG."""
import math
from xml.sax.saxutils import escape

COLOURS = ["#1f6feb", "#9aa4b2", "#d29922"]
LABEL, CHART, BAR, GAP, TOP = 110, 560, 14, 12, 64


def bars(title, unit, series, rows):
    """Horizontal bars on a logarithmic scale, one for each series in each row: (name, values)."""
    values = [value for _, group in rows for value in group]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    height = TOP + len(rows) * (BAR * len(series) + GAP) + 40
    width = LABEL + CHART + 70

    def x(value):
        return LABEL + CHART * math.log(value / low) / math.log(high / low)

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>', f'<text x="{LABEL}" y="20" font-size="14">{escape(title)}</text>']
    for index, name in enumerate(series):
        lines += [f'<rect x="{LABEL + 150 * index}" y="32" width="12" height="12" fill="{COLOURS[index]}"/>',
                  f'<text x="{LABEL + 150 * index + 18}" y="42">{escape(name)}</text>']
    tick = low
    while tick <= high:
        lines += [f'<line x1="{x(tick):.1f}" y1="{TOP - 8}" x2="{x(tick):.1f}" y2="{height - 34}" stroke="#ddd"/>',
                  f'<text x="{x(tick):.1f}" y="{height - 20}" text-anchor="middle" fill="#666">{tick:g}</text>']
        tick *= 10
    lines.append(f'<text x="{LABEL + CHART / 2}" y="{height - 4}" text-anchor="middle" fill="#666">{escape(unit)}</text>')
    y = TOP
    for name, group in rows:
        lines.append(f'<text x="{LABEL - 8}" y="{y + BAR * len(series) / 2 + 4:.0f}" text-anchor="end">{escape(name)}</text>')
        for index, value in enumerate(group):
            lines += [f'<rect x="{LABEL}" y="{y}" width="{x(value) - LABEL:.1f}" height="{BAR - 2}" fill="{COLOURS[index]}"/>',
                      f'<text x="{x(value) + 4:.1f}" y="{y + BAR - 4}" fill="#444">{value:.0f}</text>']
            y += BAR
        y += GAP
    return "\n".join(lines + ["</svg>", ""])
