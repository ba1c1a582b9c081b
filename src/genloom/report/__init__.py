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
from genloom.report.pictures import pairs, sheet
from genloom.report.words import summarise
from genloom.report.write import render, write_report

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
    "sheet",
    "summarise",
    "write_report",
]
