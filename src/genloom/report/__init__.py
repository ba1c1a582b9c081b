"""Reports: one HTML file that opens offline. Needs no torch."""

from genloom.report.content import PROTOCOL, DataNote, Report, ReportRun
from genloom.report.write import pairs, render, summarise, write_report

__all__ = ["PROTOCOL", "DataNote", "Report", "ReportRun", "pairs", "render", "summarise", "write_report"]
