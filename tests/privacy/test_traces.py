"""A key's captures are those of its calls, and of calls that somebody sent again."""

import json

from copilot_api.privacy.traces import is_of, list_request_ids, list_traces, render_for
from tests.capture.kept import make_trace
from tests.privacy.site import Site


def test_those_of_the_key_and_those_that_repeat_its_calls(site: Site) -> None:
    assert list(list_traces(site.traces, site.key.id)) == []
    site.write_traces()
    assert [trace.request_id for trace in list_traces(site.traces, site.key.id)] == ["req_1", "req_3"]
    assert list(list_request_ids(site.traces, site.other.id)) == ["req_2"]


def test_who_sent_it_again_is_left_out() -> None:
    trace = make_trace(1, key_id="key_x", replay_of_key_id="key_a")
    assert is_of(trace, "key_a")
    assert not is_of(trace, "key_b")
    assert b"key_x" not in render_for(trace, "key_a")
    assert json.loads(render_for(make_trace(1), "key_a"))["key_id"] == "key_a"
