"""`copilot-api traces redact`: the dry run of redaction. Needs no gateway, and keeps nothing."""

import sys
from contextlib import nullcontext
from pathlib import Path

import click
import msgspec

from copilot_api.capture.dry_run import DryRun, run_dry
from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_json, print_table
from copilot_api.config.paths import write_private

MAX_BYTES = 64 * 1024 * 1024


@click.command("redact")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@option("--media-type", default="", help="What it is, such as application/x-www-form-urlencoded.  [default: looked at]")
@option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the redacted text to this file.")
@json_option
def redact(file: Path, media_type: str, output: Path | None, as_json: bool) -> None:
    """
    Try redaction on a file, or on standard input (-): what would be taken out of it, and what looks like it.

    Secrets are never printed. Without --json the redacted text is not either: --output writes it.
    """
    if output is not None and (output.is_symlink() or (output.exists() and not output.is_file())):
        raise click.UsageError(f"--output: not a regular file: {output}")
    found = run_dry(_read(file), media_type)
    if output is not None and found.text is not None:
        write_private(output.absolute(), found.text.encode())
    if as_json:
        document = found.to_document()
        document["suspicions"] = msgspec.to_builtins(found.suspicions)
        print_json(document)
        return
    _print(found)
    if output is not None:
        outcome = "the redacted text is in" if found.text is not None else "withheld, so nothing was written to"
        click.echo(f"{outcome} {output}", err=True)


def _read(file: Path) -> bytes:
    with nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as source:
        body = source.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise click.UsageError(f"the text is over {MAX_BYTES} bytes: try a part of it")
    return body


def _print(found: DryRun) -> None:
    if found.hits:
        click.echo("taken out:")
        rows = [
            [hit.rule, hit.line, hit.path or None, " in ".join(reversed(hit.via)) or None, hit.length, hit.placeholder]
            for hit in found.hits
        ]
        print_table(["rule", "line", "path", "encoded", "length", "placeholder"], rows)
    else:
        click.echo("nothing would be taken out")
    if found.near_misses:
        click.echo("\nlooks like a secret and stays:")
        print_table(
            ["line", "column", "length", "entropy", "why"],
            [[miss.line, miss.column, miss.length, miss.entropy, miss.reason] for miss in found.near_misses],
        )
    if found.suspicions:
        click.echo("\na capture of this would be withheld, since the verifier still suspects:")
        print_table(
            ["kind", "line", "column", "length"],
            [[each.kind, each.line, each.column, each.length] for each in found.suspicions],
        )
