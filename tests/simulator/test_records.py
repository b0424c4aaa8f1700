"""Records are bounded and counts are plain."""

from copilot_api.simulator.http import Progress
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.records import RequestLog, Stats


def test_the_log_is_bounded_by_bytes_too() -> None:
    log = RequestLog(SimulatorOptions(request_log_bytes=10))
    for body in (b"12345", b"67890", b"abc"):
        log.record("POST", "/x", [(b"a", b"b")], body)
    assert [record["body"] for record in log.list_requests()] == [67890, "abc"]


def test_an_end_is_counted_once_and_as_what_it_was() -> None:
    stats = Stats()
    ends = [Progress(is_finished=True, status=200), Progress(is_broken=True, status=200), Progress()]
    for progress in ends:
        stats.begin_call()
        stats.settle(progress, is_model_call=True)
        stats.settle(progress, is_model_call=True)
    shown = stats.render(token_exchanges=0)
    assert [shown[name] for name in ("completed", "broken", "aborted", "in_flight")] == [1, 1, 1, 0]
    assert shown["by_status"] == {"200": 2}


def test_a_reset_keeps_what_is_in_flight() -> None:
    stats = Stats()
    stats.begin_call()
    stats.reset()
    shown = stats.render(token_exchanges=0)
    assert (shown["started"], shown["in_flight"], shown["max_in_flight"]) == (0, 1, 1)
