"""Every error that the gateway answers: numbered, coded, with a cause that the ledger knows and a way out."""

import importlib
import inspect
import pkgutil
import re
from http import HTTPStatus

import pytest

import copilot_api
from copilot_api import errors
from copilot_api.errors import (
    BadRequest,
    GatewayError,
    LimitReached,
    MethodNotAllowed,
    RateLimited,
    Unauthorized,
    UpstreamRefused,
)
from copilot_api.usage.models import Cause


def every_error() -> list[type[GatewayError]]:
    """All classes of the whole package."""
    for module in pkgutil.walk_packages(copilot_api.__path__, "copilot_api."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    found: list[type[GatewayError]] = []
    waiting = [GatewayError]
    while waiting:
        for each in waiting.pop().__subclasses__():
            if each.__module__.startswith("copilot_api") and each not in found:
                found.append(each)
                waiting.append(each)
    return sorted(found, key=lambda each: (each.number, each.__name__))


ERRORS = every_error()
GROUPS = {1: "the request", 2: "key and admission", 3: "the upstream", 4: "storage", 9: "ours"}
KINDS = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "rate_limit_error",
    "insufficient_quota",
    "server_error",
}
SAYS_IT_EACH_TIME = {BadRequest, MethodNotAllowed, RateLimited, UpstreamRefused}
"""Their hint depends on the case and is given where they are raised."""

KINDS_OF = {
    "DataDirectoryUnusable": "StorageUnavailable",
    "SchemaTooNew": "StorageUnavailable",
    "TraceTooLarge": "StorageUnavailable",
}
"""Errors that no caller gets, and that are a kind of another one: they share its number and code."""

by_name = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def test_there_are_errors() -> None:
    assert len(ERRORS) >= 25


def test_every_number_is_used_once() -> None:
    numbers = [error.number for error in ERRORS if error.__name__ not in KINDS_OF]
    assert sorted(set(numbers)) == numbers


def test_every_code_is_used_once() -> None:
    codes = [error.code for error in ERRORS if error.__name__ not in KINDS_OF]
    assert len(set(codes)) == len(codes)


@by_name
def test_an_error_says_who_it_is_itself(error: type[GatewayError]) -> None:
    """What is inherited by mistake would be another error's number or code."""
    if error.__name__ in KINDS_OF:
        assert error.__base__ is not None
        assert error.__base__.__name__ == KINDS_OF[error.__name__]
    else:
        assert {"number", "code", "status"} <= vars(error).keys()
    assert re.fullmatch(r"[a-z][a-z0-9_]+", error.code)
    assert error.__doc__


@by_name
def test_an_error_stands_in_its_group(error: type[GatewayError]) -> None:
    assert error.number // 100 in GROUPS
    group = error.number // 100
    if group == 1:
        assert 400 <= error.status < 500
        assert error.kind == "invalid_request_error"
    if group == 9:
        assert error.status >= 500


@by_name
def test_an_errors_status_kind_and_cause_are_known(error: type[GatewayError]) -> None:
    assert HTTPStatus(error.status).value == error.status
    assert error.status >= 400
    assert error.kind in KINDS
    assert error.cause in set(Cause)
    assert error.cause not in {Cause.OK, Cause.CLIENT_ABORTED}


@by_name
def test_a_kind_fits_its_status(error: type[GatewayError]) -> None:
    """SDKs choose their class by the status, people read the type: they must not contradict each other."""
    fitting = {
        401: {"authentication_error"}, 403: {"permission_error"}, 429: {"rate_limit_error", "insufficient_quota"},
        400: {"invalid_request_error"}, 404: {"invalid_request_error"}, 405: {"invalid_request_error"}, 413: {"invalid_request_error"},
    }  # fmt: skip
    assert error.kind in fitting.get(error.status, KINDS)
    assert (error.kind == "server_error") == (error.status >= 500)


@by_name
def test_repeating_is_discouraged_where_it_cannot_help(error: type[GatewayError]) -> None:
    if error.status in {400, 401, 403, 404, 405, 413, 415, 431}:
        assert error.is_final, "a client that repeats this gets the same again"
    if error.kind == "rate_limit_error":
        assert not error.is_final


@by_name
def test_an_error_that_a_client_sees_says_what_to_do(error: type[GatewayError]) -> None:
    if error in SAYS_IT_EACH_TIME:
        return
    hint = error.hint
    assert hint or not is_seen_by_clients(error), "what to do next?"
    if hint:
        assert hint[0].islower() or not hint[0].isalpha() or hint.startswith(("GET ", "GitHub ", "POST ")), hint
        assert not hint.endswith("."), hint


def is_seen_by_clients(error: type[GatewayError]) -> bool:
    """Whether it is raised while calls are served; those of the command line are told with their case's own hint."""
    return error.number < 900 or error.__module__ == "copilot_api.errors"


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    named = set(re.findall(r"\b[A-Z][A-Za-z]+\b", (errors.__doc__ or "").partition("A package")[0]))
    own = {each.__name__ for each in ERRORS if each.__module__ == "copilot_api.errors"}
    assert own <= named
    assert {each for each in named if hasattr(errors, each) and inspect.isclass(getattr(errors, each))} <= own | {
        "GatewayError"
    }


# One error -------------------------------------------------------------------------------------------------------


def test_an_error_takes_what_its_case_adds() -> None:
    error = UpstreamRefused(
        "no", param="messages", upstream_code="context_length_exceeded", status=422, hint="shorten it"
    )
    assert (error.message, error.param, error.actual_status, error.actual_hint) == ("no", "messages", 422, "shorten it")
    assert error.public_code == "context_length_exceeded"
    assert str(error) == "no"


def test_what_a_case_does_not_add_is_the_classs() -> None:
    error = Unauthorized("no")
    assert (error.actual_status, error.public_code, error.param) == (401, "invalid_api_key", None)
    assert error.actual_hint == Unauthorized.hint
    assert error.limit is None


def test_an_error_may_name_the_limit_that_is_its_reason() -> None:
    limit = LimitReached("rpm", 61, 60)
    assert RateLimited("too many", limit=limit).limit is limit
    assert limit.unit == ""


@pytest.mark.parametrize(
    ("wait", "seconds"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.01, b"2"), (59.5, b"60"), (3600.0, b"3600")]
)
def test_a_wait_is_rounded_up_to_seconds(wait: float, seconds: bytes) -> None:
    assert dict(RateLimited("x", retry_after=wait).headers())[b"retry-after"] == seconds


def test_without_a_wait_there_is_no_retry_after() -> None:
    assert b"retry-after" not in dict(RateLimited("x").headers())


def test_a_final_error_tells_clients_not_to_repeat() -> None:
    assert dict(BadRequest("x").headers())[b"x-should-retry"] == b"false"
    assert b"x-should-retry" not in dict(RateLimited("x").headers())


def test_a_401_names_its_scheme_and_a_405_its_methods() -> None:
    assert dict(Unauthorized("x").headers())[b"www-authenticate"].startswith(b"Bearer")
    error = MethodNotAllowed("PUT", "/x", ("GET", "HEAD"))
    assert dict(error.headers())[b"allow"] == b"GET, HEAD"
    assert error.actual_hint == "use GET or HEAD"
