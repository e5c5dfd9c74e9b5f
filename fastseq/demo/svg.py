"""A line chart as an SVG file, without any package: what browsers, editors and viewers of pictures show."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 620, 44, 348  # where the axes stand
COLORS = ("#1f77b4", "#d95f02", "#2ca02c", "#7570b3")
_MOST_TICKS = 12


def line_chart(series, title, x_label, y_label):
    """The text of an SVG file: values over 1, 2, 3 ... with a logarithmic y axis.

    series: dict label -> list of numbers, of which the first belongs to 1. What a logarithm does not take (0, negative
    numbers, NaN, infinity) leaves a gap. Raises ValueError where nothing is left to draw.
    """
    drawn = [value for values in series.values() for value in values if _is_drawn(value)]
    if not drawn:
        raise ValueError("There is no number above 0 to draw.")
    count = max(map(len, series.values()))
    low, high, ticks = _log_axis(min(drawn), max(drawn))

    def x_of(number):
        return LEFT + (RIGHT - LEFT) * ((number - 1) / (count - 1) if count > 1 else 0.5)

    def y_of(value):
        return BOTTOM - (BOTTOM - TOP) * math.log(value / low) / math.log(high / low)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="sans-serif" font-size="12" fill="#222">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text((LEFT + RIGHT) / 2, 26, title, "middle", 'font-size="15"'),
    ]
    for value in ticks:
        lines += [_line(LEFT, y_of(value), RIGHT, y_of(value), "#ddd"), _text(LEFT - 8, y_of(value) + 4, f"{value:g}")]
    for number in _whole_ticks(count):
        lines.append(_line(x_of(number), TOP, x_of(number), BOTTOM, "#ddd"))
        lines.append(_text(x_of(number), BOTTOM + 18, str(number), "middle"))
    lines.append(f'<path d="M{LEFT},{TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="#555"/>')
    lines.append(_text((LEFT + RIGHT) / 2, HEIGHT - 12, x_label, "middle"))
    middle = (TOP + BOTTOM) / 2
    lines.append(_text(18, middle, y_label, "middle", f'transform="rotate(-90 18 {middle:g})"'))
    for (label, values), color in zip(series.items(), COLORS):
        points = [(x_of(i + 1), y_of(value)) if _is_drawn(value) else None for i, value in enumerate(values)]
        lines += _curve(points, color, label)
    return "\n".join([*lines, *_legend(list(series)), "</svg>"]) + "\n"


def _is_drawn(value):
    return 0 < value < math.inf


def _log_axis(low, high):
    """(lowest, highest, ticks) of an axis that holds both: at 1, 2 and 5 times powers of ten, or at powers alone."""
    numbers = [m * 10.0**k for k in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
               for m in (1, 2, 5)]  # fmt: skip
    start = max(number for number in numbers if number <= low)
    end = min(number for number in numbers if number >= high and number > start)
    ticks = [number for number in numbers if start <= number <= end]
    if len(ticks) > _MOST_TICKS:
        powers = [number for number in ticks if f"{number:e}"[0] == "1"]
        ticks = powers[:: -(-len(powers) // _MOST_TICKS)]
    return start, end, ticks


def _whole_ticks(count):
    """1 and multiples of a round step, `_MOST_TICKS` at most."""
    step = next(m * 10**k for k in range(20) for m in (1, 2, 5) if m * 10**k * _MOST_TICKS >= count)
    return [1, *range(step if step > 1 else 2, count + 1, step)]


def _curve(points, color, label):
    """A line through the points as far as they are there, and a dot on each."""
    path, pen = [], "M"
    for point in points:
        if point is not None:
            path.append(f"{pen}{point[0]:.1f},{point[1]:.1f}")
        pen = "M" if point is None else "L"
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in filter(None, points)]
    return [
        f'<g stroke="none" fill="{color}"><title>{escape(label)}</title>',
        f'<path d="{"".join(path)}" fill="none" stroke="{color}" stroke-width="1.5"/>', *dots, "</g>",
    ]  # fmt: skip


def _legend(labels):
    width = 40 + 6.5 * max(map(len, labels))
    left, height = RIGHT - width - 8, 12 + 18 * len(labels)
    lines = [
        f'<rect x="{left:g}" y="{TOP + 8}" width="{width:g}" height="{height}" fill="white" stroke="#ccc" rx="3"/>'
    ]
    for row, (label, color) in enumerate(zip(labels, COLORS)):
        y = TOP + 26 + 18 * row
        lines += [_line(left + 8, y - 4, left + 28, y - 4, color, 2), _text(left + 34, y, label, "start")]
    return lines


def _line(x1, y1, x2, y2, color, width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"/>'


def _text(x, y, text, anchor="end", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'.replace(" >", ">")
