from copilot_api.usage.repository import EventPage, EventQuery, Position
from tests.storage.test_usage import END, START


def test_a_page_is_as_long_as_a_screen_unless_it_is_said() -> None:
    assert EventQuery(START, END).limit == 50


def test_an_empty_page_need_not_be_the_last() -> None:
    assert EventPage([], Position(1, "req_1")).next is not None
