"""The run-directory format: what the engine writes and every face reads. Imports no torch."""

from genloom.runs.files import read_json, sha256, write_atomic, write_json, write_text
from genloom.runs.run import Run, find, list_runs

__all__ = ["Run", "find", "list_runs", "read_json", "sha256", "write_atomic", "write_json", "write_text"]
