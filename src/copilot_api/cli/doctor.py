"""
`copilot-api doctor`: looks at everything that a gateway needs, and says how to mend what is wrong.

It makes no directory and migrates no database, and what it prints holds no secret.
"""

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timedelta

import click

from copilot_api.audit.log import AuditLog
from copilot_api.cli.auth import hosts_of, upstream_settings
from copilot_api.cli.doctor_audit import check_audit
from copilot_api.cli.doctor_ledger import Finding, State, check_ledger, check_sums
from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_json
from copilot_api.cli.start import find_identity
from copilot_api.cli.stores import find_database, list_faults, start_settings
from copilot_api.clock import SystemClock, render_age
from copilot_api.config.binding import AddressUnusable, bind, shown_url, without_credentials
from copilot_api.config.environment import environment
from copilot_api.config.loader import load_config
from copilot_api.config.paths import DataDirectory
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import Exposure, Settings
from copilot_api.errors import GatewayError, StorageUnavailable
from copilot_api.gateway.plan import broken_aliases
from copilot_api.observability.logs import strike_secrets
from copilot_api.protocols.untyped import object_of, text_of
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.database import Database
from copilot_api.storage.migrate import OURS, find_version
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.upstream.clock_skew import HARMFUL, describe_skew, is_worth_telling, measure_skew
from copilot_api.upstream.drift import StoredCatalog
from copilot_api.upstream.github import GitHub, HttpSession, open_session
from copilot_api.upstream.identities import DEFAULT_IDENTITY, Identity

PATIENCE_SECONDS, LOCK_SECONDS = 5.0, 1.0
"""How long a host is waited for, and the lock of the database."""

_LITTLE_SPACE, _NO_SPACE = 1024**3, 64 * 1024**2
_OLD_CATALOG = timedelta(days=2)
_NETWORK_CURE = "look at the network, firewall and proxy (start --proxy-env), and at https://www.githubstatus.com"


@click.command("doctor")
@option("--deep", is_flag=True, help="Also recompute the ledger's sums from its events; takes minutes for millions.")
@option("--mend", is_flag=True, help="With --deep: make sums anew that are not what the events add up to.")
@json_option
def command(*, deep: bool, mend: bool, as_json: bool) -> int:
    """
    Check everything that a gateway needs, and say how to mend what is wrong.

    Works beside a running gateway and without one. It goes by config.json and the environment; the exit code is 1 when
    a check failed.
    """
    if mend and not deep:
        raise click.UsageError("--mend goes with --deep")
    directory = DataDirectory.locate(environment())
    findings = examine(directory)
    if deep:
        is_usable = findings["database"].state is State.OK
        sums = check_sums(directory, is_mending=mend) if is_usable else Finding(State.SKIPPED, "needs the database")
        findings["sums"] = sums
    is_well = all(finding.state is not State.FAILED for finding in findings.values())
    if as_json:
        print_json({"ok": is_well, "checks": [{"name": name, **asdict(each)} for name, each in findings.items()]})
    else:
        width = max(map(len, findings))
        for name, finding in findings.items():
            click.echo(f"{finding.state:<7}  {name:<{width}}  {finding.detail}")
            if finding.cure is not None:
                click.echo(f"{'':<7}  {'':<{width}}  -> {finding.cure}")
    return 0 if is_well else 1


def examine(directory: DataDirectory) -> dict[str, Finding]:
    """Every check by its name, a cause before what follows from it."""
    found = {"directory": _check_directory(directory), "disk": _check_space(directory)}
    settings, found["config.json"] = _check_config(directory)
    database = find_database(directory, busy_seconds=LOCK_SECONDS)
    try:
        found["database"] = _check_database(directory, database)
        is_usable = database is not None and found["database"].state is State.OK
        found["audit"] = check_audit(directory)
        found["ledger"] = check_ledger(directory, database if is_usable else None)
        found |= _check_stored(directory, database if is_usable else None, settings.exposure)
    finally:
        if database is not None:
            database.close()
    found["credential"], identity = _check_credential(directory, settings)
    is_stopped = found["identity"].state is State.FAILED
    found |= asyncio.run(_check_outside(settings, identity, is_stopped=is_stopped))
    return {
        name: replace(each, detail=strike_secrets(without_credentials(each.detail))) for name, each in found.items()
    }


def _check_directory(directory: DataDirectory) -> Finding:
    path = directory.path
    if not os.path.lexists(path):
        return Finding(State.WARNING, f"not there yet: {path}", "'copilot-api start' makes it")
    faults = list(list_faults(path))
    if not faults:
        return Finding(State.OK, f"{path}, private to this user")
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    cure = f"as the gateway's user: chmod -R go= '{path}'; replace links by what they lead to, chown what is another's"
    return Finding(State.FAILED, f"not private: {', '.join(faults[:3])}{more}", cure)


def _check_space(directory: DataDirectory) -> Finding:
    place = next(path for path in (directory.path, *directory.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1024**3:,.1f} GiB free at {place}"
    if free >= _LITTLE_SPACE:
        return Finding(State.OK, detail)
    cure = "make room: without it usage events wait in memory, and are lost in the end"
    return Finding(State.FAILED if free < _NO_SPACE else State.WARNING, detail, cure)


def _check_config(directory: DataDirectory) -> tuple[Settings, Finding]:
    """The settings to go by, also when the file or the environment cannot be used."""
    try:
        config = load_config(directory.config)
        settings = start_settings(config)
        return settings, Finding(State.OK, "valid" if directory.config.exists() else "no file: the defaults apply")
    except GatewayError as error:
        cure = error.actual_hint or "mend the file"
        finding = Finding(State.FAILED, f"{error.message} (a running gateway keeps the last good one)", cure)
    except click.ClickException as error:
        finding = Finding(State.FAILED, f"environment: {error.format_message()}", "mend the variable")
    with suppress(GatewayError, click.ClickException):
        return start_settings(ConfigFile()), finding
    return upstream_settings(), finding


def _check_database(directory: DataDirectory, database: Database | None) -> Finding:
    path = directory.database
    if database is None:
        if os.path.lexists(path):
            return Finding(State.FAILED, f"cannot be opened: {path}", "see what 'directory' says")
        return Finding(State.WARNING, f"not there yet: {path}", "'copilot-api start' makes it")
    try:
        with database.connect() as connection:
            verdict = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        version = find_version(database)
        with database.begin():
            pass
    except StorageUnavailable as error:
        cure = f"locked: see who holds it, fuser '{path}'; damaged: stop the gateway and put back a copy"
        return Finding(State.FAILED, error.message, cure)
    if verdict != "ok":
        return Finding(State.FAILED, f"damaged: {verdict}", "stop the gateway and put back a copy")
    if version == OURS.revisions[-1]:
        return Finding(State.OK, f"whole and writable, schema {version}")
    if version is None or version in OURS.revisions:
        cure = f"the next start brings it to {OURS.revisions[-1]}, and keeps a copy"
        return Finding(State.WARNING, f"whole, of an older version: schema {version or 'none'}", cure)
    return Finding(State.FAILED, f"of a newer version: schema {version}", "run the newer copilot-api")


def _check_stored(directory: DataDirectory, database: Database | None, exposure: Exposure) -> dict[str, Finding]:
    """What is in a database that can be used."""
    if database is None:
        return dict.fromkeys(("identity", "catalog", "aliases"), Finding(State.SKIPPED, "needs the database"))
    try:
        stop = SqlStopRepository(database, AuditLog(directory.audit, SystemClock())).find_stop(DEFAULT_IDENTITY)
        stored = SqlCatalogRepository(database).find_latest()
    except StorageUnavailable as error:
        return dict.fromkeys(("identity", "catalog", "aliases"), Finding(State.FAILED, error.message, "try again"))
    identity = Finding(State.OK, "not stopped")
    if stop is not None:
        detail = f"stopped since {stop.at:%Y-%m-%d %H:%M} UTC: {stop.reason}"
        identity = Finding(State.FAILED, detail, "see that the account is in order, then 'copilot-api resume'")
    return {"identity": identity, "catalog": _check_catalog(stored), "aliases": _check_aliases(stored, exposure)}


def _check_catalog(stored: StoredCatalog | None) -> Finding:
    if stored is None:
        return Finding(State.WARNING, "no list of models is stored yet", "run 'copilot-api start' once")
    age = SystemClock().now() - stored.at
    detail = f"{len(stored.parse().models)} models, stored {render_age(age)} ago"
    if age < _OLD_CATALOG:
        return Finding(State.OK, detail)
    return Finding(State.WARNING, detail, "a running gateway stores it daily: look at its log")


def _check_aliases(stored: StoredCatalog | None, exposure: Exposure) -> Finding:
    if stored is None:
        return Finding(State.SKIPPED, "needs the list of models")
    if not (broken := broken_aliases(exposure, stored.parse())):
        return Finding(State.OK, f"{len(exposure.aliases)}, none without a model")
    names = ", ".join(f"{name} ({exposure.aliases[name].upstream})" for name in broken)
    cure = "in config.json, give them a model that 'copilot-api models' lists, or a fallback"
    return Finding(State.WARNING, f"without a model: {names}", cure)


def _check_credential(directory: DataDirectory, settings: Settings) -> tuple[Finding, Identity | None]:
    cure = "run 'copilot-api auth login', or give GH_TOKEN"
    try:
        identity = find_identity(settings, directory)
    except (GatewayError, OSError) as error:
        return Finding(State.FAILED, str(error), getattr(error, "actual_hint", None) or cure), None
    found = identity and Finding(State.OK, f"{identity.kind}, from {identity.source.value}")
    return found or Finding(State.FAILED, "there is none", cure), identity


async def _check_outside(settings: Settings, identity: Identity | None, *, is_stopped: bool) -> dict[str, Finding]:
    async with open_session(is_proxied=settings.upstream.is_proxied) as session:
        github = GitHub(session, hosts_of(settings))
        api, date = await _check_host(session, github.hosts.github_api)
        token, announced = await _check_token(github, identity, is_stopped=is_stopped)
        copilot, _ = await _check_host(session, github.hosts.copilot_api(announced))
        clock, port = _check_clock(date, SystemClock().now()), await _check_port(session, settings)
        return {"GitHub API": api, "Copilot token": token, "Copilot API": copilot, "clock": clock, "port": port}


async def _check_host(session: HttpSession, url: str) -> tuple[Finding, str | None]:
    """Whether it answers, be it with an error; and the time that it says it is."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), session.get(url, allow_redirects=False) as response:
            return Finding(State.OK, f"{url} answers"), response.headers.get("date")
    except TimeoutError:
        reason = f"no answer within {PATIENCE_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 -- whatever a name, a network or a certificate can do wrong
        reason = f"{type(error).__name__}: {error}"
    return Finding(State.FAILED, f"{url} cannot be reached: {reason}", _NETWORK_CURE), None


def _check_clock(date: str | None, now: datetime) -> Finding:
    skew = None if date is None else measure_skew(date, now)
    if skew is None:
        return Finding(State.SKIPPED, "nothing to compare it with")
    if not is_worth_telling(skew):
        return Finding(State.OK, describe_skew(skew))
    state = State.FAILED if abs(skew) >= HARMFUL else State.WARNING
    return Finding(state, describe_skew(skew), "have it set from the network: timedatectl set-ntp true")


async def _check_token(github: GitHub, identity: Identity | None, *, is_stopped: bool) -> tuple[Finding, str | None]:
    """Whether GitHub takes the credential for Copilot, and the API that it names."""
    if identity is None or is_stopped:
        why = "needs a credential" if identity is None else "nothing is sent for an identity that is stopped"
        return Finding(State.SKIPPED, why), None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            if not identity.is_exchanged:
                user = await github.fetch_copilot_user(identity.github_token)
                return Finding(State.OK, "accepted"), text_of(object_of(user.get("endpoints")).get("api"))
            token = await github.fetch_copilot_token(identity.github_token)
            return Finding(State.OK, "the exchange works"), token.endpoints.api if token.endpoints else None
    except TimeoutError:
        return Finding(State.FAILED, f"no answer within {PATIENCE_SECONDS:g} s", _NETWORK_CURE), None
    except GatewayError as error:
        cure = "see 'copilot-api auth status'; 'copilot-api auth login' makes a new credential"
        if error.actual_hint != error.hint:  # those of a class are for callers of a gateway
            cure = error.actual_hint or cure
        return Finding(State.FAILED, error.message, cure), None
    except ValueError as error:  # a URL that the library cannot use
        return Finding(State.FAILED, str(error), "mend COPILOT_API_GITHUB_API_URL"), None


async def _check_port(session: HttpSession, settings: Settings) -> Finding:
    place = f"{settings.host}:{settings.port}"
    try:
        for listener in bind(settings.host, settings.port):
            listener.close()
    except AddressUnusable as error:
        if await _is_ours(session, settings):
            return Finding(State.OK, f"a gateway answers on {place}")
        return Finding(State.FAILED, error.message, "stop what listens there, or 'copilot-api start --port' another")
    return Finding(State.OK, f"{place} is free" if settings.port else "any free one")


async def _is_ours(session: HttpSession, settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    url = shown_url(host, settings.port, is_tls=settings.tls_cert is not None)
    with suppress(Exception):
        async with asyncio.timeout(PATIENCE_SECONDS), session.get(f"{url}/healthz", ssl=False) as response:
            return response.status == 200 and await response.json() == {"status": "ok"}
    return False
