import msgspec
import pytest

from copilot_api.usage.models import Cause, UsageEvent

FIELDS = (
    "request_id at key_id identity_id client endpoint model upstream_model upstream_endpoint stream status cause"
    " input_tokens output_tokens cache_read_tokens cache_write_tokens reasoning_tokens usage_unknown nano_aiu"
    " premium_requests initiator effort queue_seconds time_to_first_token duration bytes_in bytes_out"
    " nano_aiu_estimated estimated_tokens would_limit fallback_from kind"
)
CAUSES = (
    "ok client_aborted bad_request unauthorized model_not_allowed model_not_found rate_limited over_budget"
    " queue_timeout upstream_error upstream_rate_limited upstream_timeout upstream_cut interrupted internal"
)


def test_an_event_has_the_promised_fields_and_no_place_for_content() -> None:
    assert UsageEvent.__struct_fields__ == tuple(FIELDS.split())


def test_the_causes_are_the_promised_ones() -> None:
    assert " ".join(cause.value for cause in Cause) == CAUSES


def test_an_event_says_all_of_its_fields_in_json_also_those_at_their_default() -> None:
    document = msgspec.json.decode(msgspec.json.encode(UsageEvent(request_id="r", at="2026-07-01T00:00:00+00:00")))
    assert tuple(document) == tuple(FIELDS.split())


def test_an_event_survives_json() -> None:
    event = UsageEvent(request_id="r", at="2026-07-01T00:00:00+00:00", cause=Cause.OK, nano_aiu=12, effort="höchst")
    assert msgspec.json.decode(msgspec.json.encode(event), type=UsageEvent) == event


def test_a_cause_outside_the_vocabulary_is_not_read() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"request_id":"r","at":"","cause":"weather"}', type=UsageEvent)
