"""GitHub Copilot's models behind the OpenAI HTTP API, on one port."""

from importlib.metadata import version

__version__ = version("copilot-api")
