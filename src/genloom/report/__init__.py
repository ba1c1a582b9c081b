"""Reports: one HTML file that opens offline. Needs no torch."""

from genloom.report.content import (
    PROTOCOL,
    Comparison,
    Curve,
    DataNote,
    Estimate,
    Finding,
    Report,
    ReportRun,
    Standing,
)
from genloom.report.write import pairs, render, summarise, write_report

__all__ = [
    "PROTOCOL",
    "Comparison",
    "Curve",
    "DataNote",
    "Estimate",
    "Finding",
    "Report",
    "ReportRun",
    "Standing",
    "pairs",
    "render",
    "summarise",
    "write_report",
]
