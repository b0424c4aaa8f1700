"""
`config.json` to values: read whole, or refused whole with every mistake and its place, and nothing else is changed.

A field that the declaration does not know is refused like any other mistake: it would be kept without effect.
"""

import codecs
from collections.abc import Sequence
from pathlib import Path

import msgspec

from copilot_api.config.budgets import Budget, parse_budget
from copilot_api.config.json_text import JsonMalformed, Node, parse_json, place_of
from copilot_api.config.mistakes import MAX_MISTAKES, Mistake, find_mistakes
from copilot_api.config.schema import ConfigFile
from copilot_api.errors import GatewayError

MAX_BYTES = 1024 * 1024


class ConfigInvalid(GatewayError):
    """The configuration file cannot be used."""

    number, code, status = 905, "config_invalid", 500
    is_final = True
    hint = "mend the file, or move it away to start with the defaults"

    def __init__(
        self, where: str, problem: str = "", mistakes: Sequence[Mistake] = (), *, hint: str | None = None
    ) -> None:
        if len(mistakes) == 1:
            problem = mistakes[0].text
        elif mistakes:
            count = f"{len(mistakes)} mistakes" if len(mistakes) < MAX_MISTAKES else f"{MAX_MISTAKES} mistakes and more"
            problem = "\n  ".join([count, *(each.text for each in mistakes)])
        super().__init__(f"{where}: {problem}", hint=hint)
        self.where = where
        self.problem = problem
        self.mistakes = tuple(mistakes)
        """Each by itself, where the file can be read at all."""


def load_config(path: Path) -> ConfigFile:
    """The configuration in `path`; the defaults when there is no such file. Raises `ConfigInvalid`."""
    content = read_bounded(path)
    return ConfigFile() if content is None else parse_config(content, str(path))


def read_bounded(path: Path) -> bytes | None:
    """What is in the file, or None when there is none. Raises `ConfigInvalid` when it is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigInvalid(str(path), f"cannot be read: {error.strerror}") from error
    _check_size(content, str(path))
    return content


def parse_config(content: bytes, where: str) -> ConfigFile:
    """The configuration in `content`, whole; `where` is what messages call it. Raises `ConfigInvalid`."""
    text = decode_text(content, where)
    root = parse_text(text, where)
    if mistakes := find_mistakes(text, root):
        raise ConfigInvalid(where, mistakes=mistakes)
    try:
        return msgspec.json.decode(content, type=ConfigFile)
    except msgspec.DecodeError as error:
        raise ConfigInvalid(where, str(error)) from error


def parse_text(text: str, where: str) -> Node:
    """The JSON in `text`, whatever it says. Raises `ConfigInvalid`."""
    try:
        return parse_json(text)
    except JsonMalformed as error:
        place = place_of(text, error.offset)
        raise ConfigInvalid(where, mistakes=[Mistake(*place, "", f"this is no JSON: {error.reason}", "")]) from None


def decode_text(content: bytes, where: str) -> str:
    """The text in `content`. Raises `ConfigInvalid`."""
    _check_size(content, where)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigInvalid(where, "is UTF-16; save it as UTF-8")
    if content.startswith(codecs.BOM_UTF8):
        raise ConfigInvalid(where, "begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        place = place_of(before, len(before))
        problem = f"byte {error.start + 1} of the file is not UTF-8"
        raise ConfigInvalid(where, mistakes=[Mistake(*place, "", problem, "text in UTF-8")]) from None
    if not text.strip():
        raise ConfigInvalid(where, "is empty; {} stands for the defaults")
    return text


def _check_size(content: bytes, where: str) -> None:
    if len(content) > MAX_BYTES:
        raise ConfigInvalid(where, f"is larger than {MAX_BYTES // 1024} KiB, which no configuration is")


def parse_budgets(config: ConfigFile) -> tuple[Budget, ...]:
    """The budgets of all keys together; those of a configuration that was parsed are right."""
    return tuple(parse_budget(text) for text in config.limits.budgets)
