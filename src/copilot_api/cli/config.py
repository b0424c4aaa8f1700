"""`copilot-api config`: look at the configuration file, check it, change it, and go back."""

import difflib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from copilot_api.audit.log import AuditLog
from copilot_api.cli.config_preview import preview_command
from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_json, print_table
from copilot_api.clock import SystemClock
from copilot_api.config.edits import NEW_FILE, get_value, parse_key, parse_value, set_value, unset_value
from copilot_api.config.environment import environment
from copilot_api.config.loader import ConfigInvalid, decode_text, parse_config, read_bounded
from copilot_api.config.paths import DataDirectory
from copilot_api.config.schema import ConfigFile, json_schema, list_settings
from copilot_api.config.store import ConfigConflict, ConfigStore, Stored, changed_paths
from copilot_api.errors import BadRequest

_TRIES = 20
_WIDTH = 80
_ABSENT: Any = object()
_SETTINGS = ", ".join(setting.path for setting in list_settings())


@click.group("config", epilog="Flags of 'start' win over the file, and are never written into it.")
def command() -> None:
    """Look at the configuration file, check it, change it, and go back to an earlier version."""


def _directory() -> DataDirectory:
    return DataDirectory.locate(environment())


def _store(directory: DataDirectory) -> ConfigStore:
    return ConfigStore(directory.config, directory.config_history)


# Look -----------------------------------------------------------------------------------------------------------------


@command.command("path")
def path() -> None:
    """Print where the file is, or would be."""
    click.echo(_directory().config)


@command.command("show")
@json_option
def show(as_json: bool) -> None:
    """Show every setting, with the defaults of those that the file does not say."""
    stored = _store(_directory()).read()
    document: Any = msgspec.to_builtins(stored.config)
    if as_json:
        print_json(document)
        return
    said: Any = {} if stored.content is None else msgspec.json.decode(stored.content)
    print_table(("setting", "value", "from"), _effective(document, said, ""))


def _effective(value: object, said: object, key: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict) and value:
        of_file = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        for name, below in cast("dict[str, Any]", value).items():
            yield from _effective(below, of_file.get(name, _ABSENT), f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(value), "default" if said is _ABSENT else "file"


@command.command("get")
@click.argument("key", metavar="KEY")
@json_option
def get(key: str, as_json: bool) -> None:
    """
    Print one setting, or its default where the file does not say it.

    KEY is a path such as limits.max_body_mb or models.fast.upstream. Text is printed as it is, all else as JSON.
    """
    value: Any = get_value(_store(_directory()).read().config, parse_key(key))
    if as_json or isinstance(value, dict):
        print_json(cast("object", value))
    else:
        click.echo(value if isinstance(value, str) and value.isprintable() else json.dumps(value))


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of the file, which editors understand."""
    print_json(json_schema())


@command.command("validate")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, allow_dash=True))
@json_option
def validate(file: str | None, as_json: bool) -> int:
    """
    Check a file, or the one in the data directory, and say everything that is wrong with it.

    FILE may be - for standard input. The exit code is 2 when something is wrong.
    """
    where, content = _read(file)
    try:
        if content is not None:
            parse_config(content, where)
    except ConfigInvalid as error:
        if as_json:
            mistakes = [asdict(each) for each in error.mistakes]
            problem = None if mistakes else error.problem
            print_json({"file": where, "valid": False, "problem": problem, "mistakes": mistakes})
        else:
            _print_mistakes(error)
        return 2
    if as_json:
        print_json({"file": where, "valid": True, "problem": None, "mistakes": []})
    else:
        click.echo(f"valid: {where}" if content is not None else f"no file, so the defaults hold: {where}")
    return 0


def _read(file: str | None) -> tuple[str, bytes | None]:
    if file == "-":
        return "standard input", sys.stdin.buffer.read()
    chosen = _directory().config if file is None else Path(file)
    content = read_bounded(chosen)
    if content is None and file is not None:
        raise BadRequest(f"there is no such file: {file}")
    return str(chosen), content


def _print_mistakes(error: ConfigInvalid) -> None:
    if not error.mistakes:
        click.echo(f"error: {error.message}", err=True)
        return
    click.echo(f"error: {len(error.mistakes)} mistake{'s'[: len(error.mistakes) - 1]} in {error.where}", err=True)
    for mistake in error.mistakes:
        click.echo(f"\nline {mistake.line}, column {mistake.column}: {mistake.path}".rstrip(": "), err=True)
        for text in (mistake.problem, mistake.allowed and f"allowed: {mistake.allowed}"):
            if text:
                click.echo(click.wrap_text(text, _WIDTH, "    ", "    "), err=True)


# Change ---------------------------------------------------------------------------------------------------------------


@command.command("set", epilog=f"The settings: {_SETTINGS}.")
@click.argument("key", metavar="KEY")
@click.argument("value", metavar="[VALUE]", required=False)
@option("--unset", is_flag=True, help="Remove the setting from the file, so that its default holds.")
@json_option
def set_(key: str, value: str | None, unset: bool, as_json: bool) -> None:
    """
    Change one setting in the file; all else in it stays as it is written.

    KEY is a path such as limits.max_body_mb or models.fast.upstream; for a model whose name has dots in it, that is
    models.gpt-5.4.upstream. VALUE is JSON where the setting takes it, else text. Behind -- it may begin with a dash.
    """
    if (value is None) != unset:
        raise click.UsageError("give either a VALUE or --unset")
    keys = parse_key(key)
    wanted = None if value is None else parse_value(value, key)
    stored, changed = _change(lambda text: unset_value(text, keys) if value is None else set_value(text, keys, wanted))
    if as_json:
        print_json({"version_hash": stored.version_hash, "changed": changed})
    elif not changed:
        click.echo("nothing to change", err=True)
    else:
        click.echo(_outcome(stored.config, keys, key))


def _outcome(config: ConfigFile, keys: tuple[str, ...], key: str) -> str:
    try:
        return f"{key} is now {json.dumps(get_value(config, keys))}"
    except BadRequest:
        return f"{key} is no more"


def _change(edit: Callable[[str], str]) -> tuple[Stored, list[str]]:
    """Change the file on top of whatever is in it when its turn comes, and say which fields that changed."""
    from copilot_api.cli.stores import local_actor

    directory = _directory()
    directory.prepare()
    store, audit = _store(directory), AuditLog(directory.audit, SystemClock())
    for tries in count(1):
        content, version_hash = store.read_content()
        text = NEW_FILE if content is None else decode_text(content, str(store.path))
        new = edit(text)
        if new == text:
            break
        try:
            stored = store.replace(new.encode(), expected=version_hash, actor=local_actor(), audit=audit)
        except ConfigConflict:
            if tries == _TRIES:
                raise
        else:
            return stored, changed_paths(content, new.encode())
    return store.read(), []


@command.command("history")
@json_option
def history(as_json: bool) -> None:
    """List the versions of the file that were replaced, newest first. The last 20 are kept."""
    store = _store(_directory())
    versions = store.history()
    if as_json:
        print_json([{"id": v.id, "at": v.at.isoformat(), "hash": v.hash, "size": v.size} for v in versions])
        return
    if not versions:
        click.echo("no version was replaced yet", err=True)
        return
    newer, _ = store.read_content()
    rows: list[tuple[str, int, str]] = []
    for version in versions:
        content = store.read_version(version.id)
        rows.append((version.id, version.size, ", ".join(changed_paths(content, newer or b"{}"))))
        newer = content
    print_table(("version", "bytes", "what replaced it changed"), rows)


@command.command("diff")
@click.argument("old", metavar="[VERSION]", required=False)
@click.argument("new", metavar="[VERSION]", required=False)
def diff(old: str | None, new: str | None) -> None:
    """
    Show what changed from one version to another, or to the file as it is.

    Without a VERSION, from the one that was replaced last to the file as it is.
    """
    store = _store(_directory())
    if old is None:
        versions = store.history()
        if not versions:
            click.echo("no version was replaced yet", err=True)
            return
        old = versions[0].id
    before = store.read_version(old)
    after = (store.read_content()[0] or b"") if new is None else store.read_version(new)
    lines = difflib.unified_diff(_lines(before), _lines(after), old, new or str(store.path), lineterm="")
    for line in lines:
        click.echo(line)


def _lines(content: bytes) -> list[str]:
    """The lines of a file as a terminal may show them."""
    text = content.decode(errors="backslashreplace")
    return ["".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in line)
            for line in text.split("\n")[: None if text and not text.endswith("\n") else -1]]  # fmt: skip


@command.command("rollback")
@click.argument("version", metavar="VERSION")
@json_option
def rollback(version: str, as_json: bool) -> None:
    """Put an earlier version of the file back. What it replaces becomes a version itself."""
    from copilot_api.cli.stores import local_actor

    directory = _directory()
    directory.prepare()
    store, audit = _store(directory), AuditLog(directory.audit, SystemClock())
    before, old_hash = store.read_content()
    stored = store.rollback(version, actor=local_actor(), audit=audit)
    changed = changed_paths(before, stored.content or b"{}") if stored.version_hash != old_hash else []
    if as_json:
        print_json({"version_hash": stored.version_hash, "changed": changed})
    elif stored.version_hash == old_hash:
        click.echo("nothing to change: the file is that version", err=True)
    else:
        click.echo(f"rolled back to {version}; changed: {', '.join(changed) or 'nothing but the layout'}")


command.add_command(preview_command)
