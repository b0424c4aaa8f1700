"""The command line: one file a command, parsing and printing only."""

from copilot_api.cli.program import main

__all__ = ["main"]
