"""GitHub Copilot's models behind the OpenAI, Anthropic and Gemini APIs, on one port."""

from importlib.metadata import version

__version__ = version("copilot-api")
