"""Charts as inline SVG. Colours and fonts come from the page's style sheet, so they follow light, dark and print.

Each is a picture by itself. What a script may tell of it stands in it: `data-x` and `data-y` of a line hold its values
in words, and every other mark has a <title>, which a browser shows without a script too.
"""

from genloom.report.charts.axes import limits, logarithmic, ticks
from genloom.report.charts.columns import columns
from genloom.report.charts.ladder import Rung, ladder
from genloom.report.charts.lines import Line, lines, thinned
from genloom.report.charts.scatter import Spot, scatter

__all__ = [
    "Line",
    "Rung",
    "Spot",
    "columns",
    "ladder",
    "limits",
    "lines",
    "logarithmic",
    "scatter",
    "thinned",
    "ticks",
]
