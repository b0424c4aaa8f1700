"""The closed set of observations."""

import dataclasses
import inspect

import pytest

from copilot_api.observability import events
from copilot_api.observability.events import Observation

ALL = [
    found for _, found in inspect.getmembers(events, inspect.isclass) if issubclass(found, Observation) and found is not Observation
]  # fmt: skip


def test_there_are_observations() -> None:
    assert len(ALL) >= 14


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_observation_says_what_happened_and_cannot_be_changed(kind: type[Observation]) -> None:
    assert kind.level in {"debug", "info", "warning", "error"}
    assert kind.message
    assert kind.message == kind.message.strip()
    assert not kind.message.endswith(".")
    assert kind.__doc__
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert {"at", "level", "message"}.isdisjoint(field.name for field in dataclasses.fields(kind)), (
        "the log's own names"
    )


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_no_observation_has_a_place_for_what_must_not_be_kept(kind: type[Observation]) -> None:
    names = {field.name for field in dataclasses.fields(kind)}
    assert names.isdisjoint(
        {"body", "prompt", "content", "headers", "header", "key", "secret", "token", "authorization", "address"}
    )


def test_every_message_is_its_own() -> None:
    messages = [kind.message for kind in ALL]
    assert len(set(messages)) == len(messages)
