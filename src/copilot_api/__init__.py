"""GitHub Copilot's models behind the OpenAI and Anthropic HTTP APIs, on one port."""

from importlib.metadata import version

__version__ = version("copilot-api")
