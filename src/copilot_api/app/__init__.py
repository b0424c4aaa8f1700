"""
The composition root: settings in, a running gateway out. The only package that knows every class.
"""

from copilot_api.app.composition import run, serve
from copilot_api.app.process import spare_the_collector
from copilot_api.app.surroundings import Storage, Surroundings

__all__ = ["Storage", "Surroundings", "run", "serve", "spare_the_collector"]
