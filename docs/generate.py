"""
Writes the reference pages that are facts of the code: `errors.md`, `cli.md`, `settings.md`, `call-kinds.md`,
`redaction-rules.md` and `admin-api.md`.

    .venv/bin/python docs/generate.py           write them
    .venv/bin/python docs/generate.py --check   exit 1 when one of them is stale, and say which

The facts (codes, statuses, flags, and all that there is to say about a setting) come from the package. What only a
person can say about errors and variables stands in the tables below.
"""

import pkgutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

import copilot_api
from copilot_api.api.openapi import TAGS, make_document
from copilot_api.api.operations.operation import Operation
from copilot_api.api.operations.table import OPERATIONS
from copilot_api.cli.program import program
from copilot_api.config.schema import ConfigFile, list_settings
from copilot_api.errors import GatewayError
from copilot_api.gateway.kinds import LIBRARIES, MEANINGS, RULES, Rule, Where
from copilot_api.redaction.media import MAX_OPAQUE, MIN_MEDIA
from copilot_api.redaction.rules import RULES as REDACTION_RULES
from copilot_api.redaction.search import MAX_DEPTH
from copilot_api.usage.models import UsageEvent

REFERENCE = Path(__file__).parent / "reference"
_NOTICE = "<!-- Made by docs/generate.py from the code: change the code or that script, then run it. -->"

GROUPS = {
    1: "1xx: the request",
    2: "2xx: key and admission",
    3: "3xx: the upstream",
    4: "4xx: storage",
    9: "9xx: the gateway itself",
}

COMMAND_LINE_ONLY = {
    "KeyNotFound", "LoginRefused", "SchemaTooNew", "DataDirectoryUnusable", "OpenBindRefused", "AddressUnusable",
    "ConfigInvalid", "OtelUnavailable",
}  # fmt: skip
"""Errors that end a command and are never an HTTP answer."""

ADVICE = {
    "BadRequest": "`param` names the field where there is one, and the message says where malformed JSON breaks.",
    "BodyTooLarge": "Also given when Copilot itself answers 413. The operator's limit is `limits.max_body_mb`.",
    "RequestTimeout": "Headers have 30 s; a body may be silent for 60 s. Usual cause: a client that died, or a proxy "
    "in between that buffers. In the ledger a body that stops is `client_aborted`, and headers that do not end are "
    "no call.",
    "RouteNotFound": "A base URL that is wrong by a piece of path. `/v1` may be left out or doubled. Stored answers "
    "(`/v1/responses/{id}`), batches and files are not served.",
    "HeadersTooLarge": "Usually cookies or tracing baggage that a proxy added.",
    "ThreadsUnsupported": "Newer SDKs of Anthropic's ask to send only what is new. By themselves they send the whole "
    "conversation when they get this error.",
    "Unauthorized": "The message says which case it is: no key, a key of another service, an unknown one, or one that "
    "was revoked, has expired, or was rotated. See [keys](../guides/keys.md).",
    "ModelNotAllowed": "The key was made with `--models` and this model is not among them.",
    "ModelNotFound": "The name is not in the account's catalog, or its owner has not enabled the model on GitHub. "
    "`GET /v1/models` shows what can be used.",
    "ModelLacksEndpoint": "The model answers nothing of this kind: an embeddings model on a chat endpoint, or the "
    "other way round.",
    "RateLimited": "The gateway was started with `--rate-limit` and without `--wait`. Copilot's own limit is "
    "[another error](#upstream_rate_limited-upstreamratelimited), though it may carry the same code.",
    "TooManyTails": "Each `copilot-api traces tail`, and each page that shows captures live, is one.",
    "ReplayImpossible": "A body of more than 1 MiB is captured in part, and one that redaction cannot look through, or "
    "that the verifier still suspects after it, not at all.",
    "NotApproved": "No answer within 120 s is a no.",
    "UpstreamRefused": "Status (400 or 422) and code are Copilot's own, so that clients which act on a code find it. "
    "A prompt that is too long always has the code `context_length_exceeded`.",
    "UpstreamRateLimited": "The code is Copilot's own where it gave one; the status is 503 when Copilot was "
    "overloaded. Not repeated by the gateway: repeating is what gets accounts suspended.",
    "UpstreamQuotaExceeded": "Copilot answers 402; clients understand 429 with the type `insufficient_quota`.",
    "UpstreamFailed": "Tried up to three times within 20 s where that is safe, that is, before the first byte of an "
    "answer. With the hint to upgrade, Copilot no longer accepts the client version that the gateway announces.",
    "UpstreamTimeout": "No byte for 15 minutes, or Copilot gave up itself (408, 504, 529).",
    "UpstreamCut": "Inside a stream: the last event is this error and no `[DONE]` follows.",
    "UpstreamUnauthorized": "A fresh Copilot token was tried once. `copilot-api auth status` says what GitHub thinks "
    "of the credential; `copilot-api auth login` makes a new one.",
    "CatalogUnavailable": "Right after the start a call waits up to 5 s for the catalog before it gets this.",
    "UpstreamForbidden": "Also for an account without a Copilot subscription. The message is GitHub's.",
    "LoginRefused": "The code was refused on GitHub's page, or was not typed in time.",
    "StorageUnavailable": "Model calls never get this once the keys are known: they go on without the database. "
    "`GET /usage` and the commands need it. See [failure modes](../concepts/failure-modes.md).",
    "SchemaTooNew": "An older copilot-api on a newer database. Nothing was changed.",
    "DataDirectoryUnusable": "A symbolic link, another owner, or no right to write.",
    "InternalError": "Report it with the log line of that request id.",
    "ShuttingDown": "The calls under way did not end within `--drain-seconds`, or a second signal came.",
    "OpenBindRefused": "Authentication is off and others can reach the address.",
    "AddressUnusable": "The port is taken, or the host name is not known.",
    "ConfigInvalid": "The message has every mistake with its line, its column, the path of the field, and what is "
    "allowed there. Nothing was changed.",
    "OtelUnavailable": "The message names the package or the variable. See "
    "[OpenTelemetry](../guides/opentelemetry.md).",
    "HttpsRequired": "Also where a proxy with TLS is not named with `--trust-proxy` or does not send "
    "`X-Forwarded-Proto`, and where the name in the address is not one of this machine's. See "
    "[the admin pages](../guides/admin.md#from-another-machine).",
    "CrossSiteRefused": "Behind a proxy: it has to pass the `Host` that the browser asked for, and be named with "
    "`--trust-proxy`.",
    "CsrfTokenInvalid": "Usual cause: a page that was loaded before signing out and in again.",
    "StepUpRequired": "Only for sessions of the admin pages; a request with an admin key in a header never gets it.",
    "SignInRefused": "The audit log says what was wrong with the key (`login.failed`).",
    "SignInThrottled": "By the address, and by the key. See [the admin pages](../guides/admin.md#wrong-keys).",
    "SessionNotFound": "Sessions end by themselves, and with their key.",
    "ConfigConflict": "Two changes at once: the other one is in the file now, and this one was made without knowing "
    "it. `copilot-api config set` repeats its change by itself.",
}

VARIABLES = (
    ("COPILOT_API_HOME", "the data directory"),
    ("XDG_DATA_HOME", "its parent, when `COPILOT_API_HOME` is not set; else `~/.local/share`"),
    ("GH_TOKEN", "a GitHub token, like `--github-token`; `COPILOT_API_GITHUB_TOKEN` comes first"),
    ("COPILOT_API_GITHUB_URL", "in place of `https://github.com` (device login)"),
    ("COPILOT_API_GITHUB_API_URL", "in place of `https://api.github.com` (token, user, quota)"),
    ("COPILOT_API_UPSTREAM_URL", "in place of the Copilot API host that GitHub names"),
    ("HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "obeyed with `--proxy-env` only, but by the export to OpenTelemetry"),
    (
        "OTEL_EXPORTER_OTLP_HEADERS and others",
        "how to export to `opentelemetry.endpoint`: [OpenTelemetry](../guides/opentelemetry.md)",
    ),
    ("SSL_CERT_FILE", "read by OpenSSL: certificate authorities to trust instead of the system's"),
)


def main(arguments: Sequence[str]) -> int:
    """Write or check every page."""
    is_check = "--check" in arguments
    stale: list[str] = []
    for name, text in render_pages():
        path = REFERENCE / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not is_check:
            path.write_text(text)
    if is_check and stale:
        sys.stderr.write(f"stale, run docs/generate.py: {', '.join(stale)}\n")
        return 1
    return 0


def render_pages() -> Iterator[tuple[str, str]]:
    """Each page's name and text."""
    yield "errors.md", render_errors()
    yield "cli.md", render_cli()
    yield "settings.md", render_settings()
    yield "call-kinds.md", render_call_kinds()
    yield "redaction-rules.md", render_redaction_rules()
    yield "admin-api.md", render_admin_api()


# Errors -----------------------------------------------------------------------------------------------------------


def list_errors() -> list[type[GatewayError]]:
    """Every error class of the package, in the order of their numbers."""
    for module in pkgutil.walk_packages(copilot_api.__path__, "copilot_api."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            import_module(module.name)
    found: set[type[GatewayError]] = set()
    waiting = [GatewayError]
    while waiting:
        children = waiting.pop().__subclasses__()
        found.update(children)
        waiting += children
    return sorted(found, key=lambda error: (error.number, error is not _root_of(error), error.__name__))


def _root_of(error: type[GatewayError]) -> type[GatewayError]:
    """The class that has the error's number first."""
    return [each for each in error.__mro__ if issubclass(each, GatewayError) and each.number == error.number][-1]


def error_heading(error: type[GatewayError]) -> str:
    """The heading of an error on its page."""
    return f"`{error.code}` ({error.__name__})"


def render_errors() -> str:
    """`errors.md`."""
    errors = list_errors()
    rows = [
        (
            str(error.number),
            f"[`{error.code}`](#{_anchor(error_heading(error))})",
            str(error.status) if error.__name__ not in COMMAND_LINE_ONLY else "command line",
        )
        for error in errors
    ]
    lines = [
        "# Errors",
        "",
        _NOTICE,
        "",
        "Every error has a stable `code`. The HTTP body is OpenAI's envelope:",
        "",
        "```json",
        '{"error": {"message": "…; what to do next (request id: req_…)", "type": "…", "param": null, "code": "…"}}',
        "```",
        "",
        "The request id is also in the header `x-request-id`. For model calls it is in the ledger and in the log.",
        "Where repeating the call cannot help, the answer carries `x-should-retry: false`, which the OpenAI SDKs obey.",
        "In a stream whose status is already sent, the same body comes as the last event, and no `[DONE]` follows.",
        "",
        "Errors that Copilot gave a code of its own (numbers 301 to 303 and 310) are answered with that code, since",
        "clients act on it.",
        "",
        "On the command line the same errors end a command: `error:` and `hint:` on standard error, exit code 2 where",
        "the command was refused or called wrongly, else 1.",
        "",
        *_table(("number", "code", "status"), rows),
    ]
    group = 0
    for error in errors:
        if error.number // 100 != group:
            group = error.number // 100
            lines += ["", f"## {GROUPS[group]}"]
        lines += ["", f"### {error_heading(error)}", "", *_describe_error(error)]
    return "\n".join(lines) + "\n"


def _describe_error(error: type[GatewayError]) -> list[str]:
    facts = [f"number {error.number}"]
    if error.__name__ in COMMAND_LINE_ONLY:
        facts += [f"exit code {2 if error.is_final else 1}", "command line only"]
    else:
        facts += [
            f"status {error.status}",
            f"type `{error.kind}`",
            f"cause in the ledger `{error.cause}`",
            "do not repeat" if error.is_final else "may be repeated",
        ]
    lines = [_sentence(error.__doc__ or ""), "", " · ".join(facts)]
    if error.hint:
        lines += ["", f"Hint that comes with it: {error.hint}"]
    if error.__name__ in ADVICE:
        lines += ["", ADVICE[error.__name__]]
    return lines


# Command line -----------------------------------------------------------------------------------------------------


def list_commands() -> list[tuple[str, click.Command]]:
    """Every command by its full name, groups before what is in them."""
    found: list[tuple[str, click.Command]] = []
    root = click.Context(program, info_name="copilot-api")
    for name in program.list_commands(root):
        command = program.get_command(root, name)
        if command is None:
            continue
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {child}", each) for child, each in command.commands.items()]
    return found


def render_cli() -> str:
    """`cli.md`."""
    commands = list_commands()
    rows = [
        (f"[`{name}`](#{_anchor(f'copilot-api {name}')})", _sentence(command.help or "")) for name, command in commands
    ]
    lines = [
        "# Command line",
        "",
        _NOTICE,
        "",
        "`copilot-api COMMAND --help` shows the same. Every flag can also be given as the environment variable beside",
        "it; a flag on the command line wins. Results go to standard output, messages to standard error.",
        "",
        "Exit codes: 0 it worked, 1 it failed, 2 it was refused or called wrongly, 130 it was interrupted.",
        "",
        "Durations are written `90s`, `15m`, `24h`, `30d`, `2w`. Moments are a duration (so long ago, or from now on",
        "where it is about the future), a date such as `2026-07-01`, or a date with a time such as",
        "`2026-07-01T12:00:00Z`; without an offset they are UTC.",
        "",
        *_table(("command", "does"), rows),
    ]
    for name, command in commands:
        lines += ["", f"## `copilot-api {name}`", "", *_describe_command(name, command)]
    return "\n".join(lines) + "\n"


def _describe_command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"copilot-api {name}")
    usage = " ".join(["copilot-api", name, *command.collect_usage_pieces(context)])
    paragraphs = [" ".join(text.split()) for text in (command.help or "").split("\n\n")]
    lines = ["```text", usage, "```", ""]
    for paragraph in filter(None, paragraphs):
        lines += [paragraph, ""]
    if command.epilog:
        lines += [" ".join(command.epilog.split()), ""]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        lines += _table(("flag", "default", "does", "variable"), [_option_row(each, context) for each in options])
    return lines if lines[-1] else lines[:-1]


def _option_row(option: click.Option, context: click.Context) -> tuple[str, ...]:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    names = ", ".join(f"`{name}{value if name.startswith('--') else ''}`" for name in option.opts)
    default = option.to_info_dict().get("default")
    if option.required:
        shown = "required"
    elif option.is_flag or default is None or not option.show_default:
        shown = ""
    else:
        shown = f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
    variables = option.envvar if isinstance(option.envvar, list) else [option.envvar] if option.envvar else []
    return names, shown, option.help or "", ", ".join(f"`{variable}`" for variable in variables)


# Settings ---------------------------------------------------------------------------------------------------------


def render_settings() -> str:
    """`settings.md`."""
    rows = [(f"`{each.path}`", each.words, f"`{each.default}`", each.description) for each in list_settings()]
    context = click.Context(program)
    start = program.get_command(context, "start")
    options = [each for each in start.params if isinstance(each, click.Option)] if start else []
    flags = [
        (f"`{option.opts[0]}`", ", ".join(f"`{name}`" for name in option.envvar or []), option.help or "")
        for option in options
    ]
    example = msgspec.json.format(msgspec.json.encode(ConfigFile()), indent=2).decode()
    lines = [
        "# Settings",
        "",
        _NOTICE,
        "",
        "`config.json` in the data directory, the environment, and the command line, which wins over the environment.",
        "A change of `config.json` is in force within a second; flags and variables are read when the gateway starts.",
        "",
        "## config.json",
        "",
        "The file is optional, and so is every field. A field that the gateway does not know, or a value that is not",
        "allowed, is refused with its line and path (exit code 2). A setting that this version does not act on says so",
        "below, and `copilot-api config validate` names those that a file sets.",
        "",
        "See [changing the configuration](../guides/configuration.md) for the commands and the rules between fields,",
        "[sharing one account](../guides/limits.md) for the limits, the [fair queue](../concepts/fairness.md), and",
        "[keys](../guides/keys.md#budgets) for budgets. `copilot-api config schema` prints the same as a JSON Schema.",
        "",
        *_table(("setting", "type", "default", "does"), rows),
        "",
        "The file with every default:",
        "",
        "```json",
        example,
        "```",
        "",
        "## Flags of `start`",
        "",
        "Types and defaults are in the [command line reference](cli.md#copilot-api-start). A flag that is a switch is",
        "on when its variable is `1` or `true`.",
        "",
        *_table(("flag", "variable", "does"), flags),
        "",
        "## Environment only",
        "",
        *_table(("variable", "what it names"), [(f"`{name}`", text) for name, text in VARIABLES]),
    ]
    return "\n".join(lines) + "\n"


# Kinds of calls ---------------------------------------------------------------------------------------------------


def render_call_kinds() -> str:
    """`call-kinds.md`."""
    lines = [
        "# Kinds of calls",
        "",
        _NOTICE,
        "",
        "Programs make calls that nobody typed: they name conversations, sum them up, warm caches, try keys, start",
        "helpers. The `kind` of a [usage event](usage-events.md) says what a call was for, as far as its program shows",
        "it.",
        "",
        *_table(("kind", "the call"), [(f"`{kind}`", meaning) for kind, meaning in MEANINGS.items()]),
        "",
        "## How a kind is found",
        "",
        "By the table below, when the call has been read; a call that is refused before that is a `turn`. First the",
        "endpoint and the size count, then how the last message of the user begins, then how the system prompt begins,",
        "then the headers. A prompt is known by its first words, letter for letter, and only from a program that sends",
        "it: that somebody asks for a title or a summary, or speaks of one, makes no difference. Nothing of what is",
        "looked at is kept, and the length of a request does not matter.",
        "",
        "What no rule knows is a `turn`, so there may be more of the other kinds than are counted, and hardly fewer.",
        "Not recognised are helpers with a prompt of one's own in programs that do not mark them by a header (Qwen",
        "Code, Claude Code 2.0), prompts that were changed in a program's settings, and programs that are not listed.",
        "",
        "Claude Code says by itself what a request is for when `CLAUDE_CODE_GATEWAY_HINT_HEADERS=1` is in its",
        "environment. Then the kinds of its own calls are right also where a prompt changes in a later version.",
        "",
        "## The table",
        "",
        "*Known from*: `seen` is what that version was seen to send to this gateway, `read` what stands in that",
        "version or in the program's source. Programs come under [their user agent's name](usage-events.md#client);",
        f"*a library* is any of {', '.join([f'`{name}`' for name in LIBRARIES[:5]])},",
        f"{', '.join([f'`{name}`' for name in LIBRARIES[5:-1]])} and `{LIBRARIES[-1]}`, under which programs come that",
        "do not give a name of their own.",
        "",
        *_table(("kind", "program", "in the ledger", "looked at", "words", "known from"), map(_rule_row, RULES)),
    ]
    return "\n".join(lines) + "\n"


def _rule_row(rule: Rule) -> tuple[str, ...]:
    own = [f"`{name}`" for name in rule.program.clients if name not in LIBRARIES]
    clients = own + (["a library"] if set(LIBRARIES) <= set(rule.program.clients) else [])
    where = f"header `{rule.header}`" if rule.header else f"the {rule.where}"
    if rule.where is Where.HEADER:
        where += " holds" if rule.marker else " is there"
    words = " ".join(rule.marker.split())
    return (
        f"`{rule.kind}`",
        rule.program.name,
        ", ".join(clients) or "any",
        where + (", and no tools are offered" if rule.is_tool_free else ""),
        words if rule.where is Where.SIZE else f"`{words}`" if words else "",
        rule.source,
    )


# What is redacted --------------------------------------------------------------------------------------------------


def render_redaction_rules() -> str:
    """`redaction-rules.md`."""
    rows = [
        (f"`{rule.name}`", rule.strikes, f"`{rule.shape}`".replace("\n", "\\n") if rule.shape else "")
        for rule in REDACTION_RULES
    ]
    lines = [
        "# What redaction takes out",
        "",
        _NOTICE,
        "",
        "Before anything of a capture is kept or shown, each secret in it is replaced by",
        "`[redacted:<rule>:<6 hex digits>]`. The digits are a salted hash of the secret: within one trace the same",
        "secret has the same digits however it was written. `copilot-api traces redact FILE` shows what would be",
        "struck in a file, and what looks like a secret and would stay.",
        "",
        "## Where it looks",
        "",
        "- **Headers**, of requests and answers: the whole value when the name says that it is secret",
        "  (`authorization`, `cookie`, and whatever holds `token`, `key`, `secret`, `passw`, `auth`, `session` or",
        "  `credential`, but for a few that are known to be harmless, like `x-ratelimit-*`); every other value by the",
        "  rules below.",
        "- **Targets**: parameters by name (`key`, `code`, `token`, `sig` and the like), user and password, and the",
        "  rest by the rules.",
        "- **Bodies**: JSON by its structure, so that it stays JSON and all else in it stays as it was written; forms",
        "  by the names of their fields; everything else as text.",
        "- **Streams**: on the text that the events make together, so that it does not matter where a secret was",
        "  split. The placeholder goes to the first piece, and the other pieces lose their part.",
        f"- **Encodings**, up to {MAX_DEPTH} inside one another: JSON strings and other escapes, URL-encoding, HTML",
        "  entities, base64 in its variants and hex.",
        "",
        "A body that was cut off at its cap loses its last unbroken run of characters (`cut`): half a secret is not",
        "known by its form.",
        "",
        f"Of media (base64 of {MIN_MEDIA} characters and more that holds no text) a marker is left, like",
        "`[media: image/png, 48213 bytes]`. What vendors seal, like signatures of thinking and encrypted reasoning,",
        f"is kept, or becomes `[opaque: … bytes]` over {MAX_OPAQUE} characters.",
        "",
        "## The rules",
        "",
        "*Shape*: what such a secret looks like as its vendor makes it, as a regular expression. The rules themselves",
        "are wider, since vendors change the lengths. Where two rules strike the same characters, the upper one gives",
        "its name.",
        "",
        *_table(("rule", "strikes", "shape"), rows),
    ]
    return "\n".join(lines) + "\n"


# Admin API --------------------------------------------------------------------------------------------------------

_DESCRIBED_ELSEWHERE = {"ConfigFile": "[settings](settings.md)", "UsageEvent": "[usage events](usage-events.md)"}


def operation_heading(operation: Operation) -> str:
    """The heading of an operation on its page."""
    return f"{operation.method} {operation.path}"


def render_admin_api() -> str:
    """`admin-api.md`."""
    document = _document()
    lines = [
        "# Admin API",
        "",
        _NOTICE,
        "",
        "Everything that the admin pages and the command line do, for programs. `GET /admin/api/openapi.json` gives",
        "the same as an OpenAPI 3.1 document, of which clients can be generated. Longer explanations and examples of",
        "some operations are in the [HTTP API](http-api.md).",
        "",
        "**Who may**: a key of tier admin, as `Authorization: Bearer` or `x-api-key`; or the session of somebody who",
        "signed in at `/admin/login` with one. A session changes something only with `X-CSRF-Token` (its pages have it",
        "in a `<meta>`) and from the gateway's own pages; operations marked *key again* need the key to have been",
        "shown within the last five minutes. Programs that send a key need neither.",
        "",
        "**Answers** are JSON in UTF-8, kept by no cache. Each has `x-request-id`, under which an action is in the",
        "[audit log](../guides/audit.md). Errors are in OpenAI's envelope, with a stable `code`: [errors](errors.md).",
        "Times are ISO 8601 in UTC. Lists come in pages: `next` is where the page behind it begins, and null at the",
        "end. Beside what is said of each, every operation may answer 400, 401, 403 and 503, and one with a body 408,",
        "413 and 415.",
        "",
        "**Bodies** are JSON. A field that there is not is an error that names it, and so is a parameter.",
        "",
    ]
    rows = [
        (f"[`{operation_heading(each)}`](#{_anchor(operation_heading(each))})", each.summary) for each in OPERATIONS
    ]
    lines += _table(("operation", "does"), rows)
    for tag, about in TAGS.items():
        lines += ["", f"## {tag.capitalize()}", "", about]
        for operation in OPERATIONS:
            if operation.tag == tag:
                described = document["paths"][operation.path][operation.method.lower()]
                lines += ["", f"### {operation_heading(operation)}", "", *_describe_operation(operation, described)]
    lines += ["", "## Types", "", "What bodies and answers are made of; `?` marks what may be missing."]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if schema.get("type") == "object" and name not in _list_config_types():
            lines += ["", f"### Type {name}", "", *_describe_type(schema)]
    return "\n".join(lines) + "\n"


def _describe_operation(operation: Operation, described: dict[str, Any]) -> Iterator[str]:
    about = f" {operation.about}" if operation.about else ""
    yield f"{operation.summary}.{about}{' *Key again.*' if operation.is_sensitive else ''}"
    rows = [
        (f"`{each['name']}`", each["in"], _in_words(each["schema"]), each["description"])
        for each in described["parameters"]
        if each["in"] != "path"
    ]
    if rows:
        yield ""
        yield from _table(("parameter", "in", "is", "says"), rows)
    if operation.body is not None:
        content = described["requestBody"]["content"]["application/json"]
        optional = "" if operation.body.is_required else ", which may be empty"
        size = f"{operation.body.max_bytes // 1024} KiB at most"
        yield from ("", f"Body: {_in_words(content['schema'])}{optional}, {size}.")
        if "example" in content:
            yield from ("", "```json", msgspec.json.encode(content["example"]).decode(), "```")
    yield ""
    answer = described["responses"][str(operation.status)]["content"].get("application/json")
    words = [_in_words(answer["schema"])] if answer else []
    words += [f"`{each}`" for each in operation.media_types if each != "application/json"]
    codes: dict[int, list[str]] = {}
    for each in operation.refusals:
        codes.setdefault(each.status, []).append(f"`{each.code}`")
    refusals = "".join(f" · {status} {', '.join(names)}" for status, names in sorted(codes.items()))
    yield f"Answers {operation.status} with {' or '.join(words)}{refusals}"


def _describe_type(schema: dict[str, Any]) -> Iterator[str]:
    yield _sentence(schema.get("description", ""))
    required = schema.get("required", ())
    fields = [
        f"`{name}`{'' if name in required else '?'} {_in_words(each)}" for name, each in schema["properties"].items()
    ]
    if fields:
        yield from ("", f"{'; '.join(fields)}.")


def _in_words(schema: dict[str, Any]) -> str:
    """What a value may be, with a link where that is a type of its own."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            described = _document()["components"]["schemas"][name]
            if name in _DESCRIBED_ELSEWHERE:
                return _DESCRIBED_ELSEWHERE[name]
            return _in_words(described) if "properties" not in described else f"[{name}](#{_anchor(f'Type {name}')})"
        case {"anyOf": list(kinds)}:
            return " or ".join(dict.fromkeys(_in_words(kind) for kind in kinds))
        case {"enum": list(values)}:
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": {} as items} if items:
            return f"list of {_in_words(items)}"
        case {"type": "object", "additionalProperties": {} as values} if values:
            return f"object of {_in_words(values)}"
        case {"type": str(kind)}:
            return {"null": "null", "integer": "whole number", "boolean": "true or false"}.get(kind, kind)
        case _:
            return "anything"


@cache
def _document() -> dict[str, Any]:
    return make_document(OPERATIONS)


@cache
def _list_config_types() -> frozenset[str]:
    """The types that are parts of those that other pages describe."""
    _, components = msgspec.json.schema_components([ConfigFile, UsageEvent])
    return frozenset(components)


# Text -------------------------------------------------------------------------------------------------------------


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join([cell.replace("|", "\\|") for cell in cells]) + " |"

    return [line(columns), f"|{'|'.join(['---'] * len(columns))}|", *map(line, rows)]


def _sentence(text: str) -> str:
    """The first paragraph, in one line."""
    return " ".join(text.strip().split("\n\n")[0].split())


def _anchor(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    kept = [char for char in heading.lower() if char.isalnum() or char in " -_"]
    return "".join(kept).replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
