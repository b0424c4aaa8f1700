"""A stand-in for GitHub and GitHub Copilot on one port, for tests, the demo and benchmarks."""

from copilot_api.simulator.app import create_app
from copilot_api.simulator.options import SimulatorOptions

__all__ = ["SimulatorOptions", "create_app"]
