"""This folder is somebody else's package: tests/docs/test_plugin.py installs it and runs its test."""

collect_ignore = ["test_ppca.py"]
