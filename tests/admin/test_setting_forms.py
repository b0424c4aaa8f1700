"""The form of the settings: what comes back from it is what was shown, whatever stood in the file."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.forms import Fields
from copilot_api.admin.setting_forms import (
    list_form_settings,
    list_groups,
    make_field,
    read_settings,
    read_value,
    show_value,
    tell_problem,
    tidy,
)
from copilot_api.config.schema import ConfigFile, list_settings
from copilot_api.errors import BadRequest

SETTINGS = {setting.path: setting for setting in list_settings()}


def test_a_form_that_is_sent_back_as_it_was_shown_changes_nothing() -> None:
    said: dict[str, Any] = {
        "limits": {"max_body_mb": 32, "queue_timeout_s": 2.5, "budgets": ["credits:day:5", "requests:day:9:observe"]},
        "features": {"debug": False},
        "exposure": "listed",
    }
    for document in ({}, said, msgspec.to_builtins(ConfigFile())):
        shown = [(field.path, field.text) for group in list_groups(document) for field in group.fields]
        typed = read_settings(Fields(shown), document)
        assert (typed.set, typed.unset, typed.problems) == ({}, (), {})


def test_the_groups_are_those_of_the_file() -> None:
    titles = [group.title for group in list_groups({})]
    assert titles == ["Models", "Limits", "Retention", "Features", "Metrics", "OpenTelemetry"]
    assert all(group.about for group in list_groups({}))


def test_models_and_the_form_of_the_file_are_left_out() -> None:
    assert not [each for each in list_form_settings() if each.path.startswith(("models.", "version", "$"))]


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("limits.max_body_mb", "1,024", 1024),
        ("limits.queue_timeout_s", "0.5", 0.5),
        ("limits.budgets", "credits:day:5\n\n  requests:day:9  ", ["credits:day:5", "requests:day:9"]),
        ("features.auth", "false", False),
        ("exposure", "listed", "listed"),
        ("default_model_alias", "true", "true"),
        ("limits.default_key.rpm", "60", 60),
    ],
)
def test_what_is_typed_becomes_a_value(path: str, text: str, value: object) -> None:
    assert read_value(path, text) == value


def test_a_choice_offers_its_default_and_every_value_in_the_declared_order() -> None:
    access = make_field(SETTINGS["metrics.access"], "")
    assert access.options == (
        ("", "Default: loopback"),
        ("loopback", "loopback"),
        ("admin", "admin"),
        ("open", "open"),
    )
    assert make_field(SETTINGS["features.auth"], "").options[0] == ("", "Default: on")


def test_only_what_is_read_at_the_start_needs_a_restart() -> None:
    assert {setting.path for setting in list_settings() if setting.needs_restart} == {
        "opentelemetry.endpoint",
        "opentelemetry.traces",
        "opentelemetry.metrics",
    }


def test_a_field_that_the_form_lacks_stays_as_it_is() -> None:
    typed = read_settings(Fields([("limits.max_body_mb", "")]), {"limits": {"max_body_mb": 3, "max_queue_length": 4}})
    assert (typed.set, typed.unset) == ({}, ("limits.max_body_mb",))


def test_a_mistake_is_told_without_the_name_of_its_field() -> None:
    with pytest.raises(BadRequest) as caught:
        read_value("limits.max_body_mb", "0")
    assert not tell_problem(caught.value).startswith("limits")
    assert "from 1 to 1024" in tell_problem(caught.value)


@given(st.sampled_from(sorted(SETTINGS)), st.text())
def test_whatever_is_typed_becomes_a_value_or_a_problem(path: str, text: str) -> None:
    typed = read_settings(Fields([(path, text)]), {})
    assert typed.set.keys() | set(typed.unset) | typed.problems.keys() <= {path}


def test_texts_are_tidied() -> None:
    assert tidy(" a\r\nb \n") == "a\nb"
    assert show_value(None) == ""
