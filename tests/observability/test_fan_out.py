"""One observation for everybody, whatever one of them does."""

from copilot_api.observability.events import Notice, Observation, ObserverFailed, Stopped
from copilot_api.observability.fan_out import FanOut


class Broken:
    """An observer with a defect."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self, observation: Observation) -> None:
        self.heard += 1
        raise ZeroDivisionError("in an observer")


def test_everybody_hears_everything_in_order() -> None:
    heard: list[tuple[str, Observation]] = []
    observe = FanOut((lambda each: heard.append(("a", each)), lambda each: heard.append(("b", each))))
    first, second = Notice("1"), Notice("2")
    observe(first)
    observe(second)
    assert heard == [("a", first), ("b", first), ("a", second), ("b", second)]


def test_without_anybody_it_is_well() -> None:
    FanOut(())(Stopped())


def test_a_defect_of_one_is_no_harm_to_the_others_and_is_told_them_once() -> None:
    before, after, broken = list[Observation](), list[Observation](), Broken()
    observe = FanOut((before.append, broken, after.append))
    for _ in range(3):
        observe(Stopped())
    for heard in (before, after):
        [failure] = [each for each in heard if isinstance(each, ObserverFailed)]
        assert failure.observer == "Broken"
        assert "ZeroDivisionError: in an observer" in failure.traceback
        assert heard.count(Stopped()) == 3
    assert broken.heard == 3, "it may have been one observation that it could not take"


def test_two_that_are_broken_do_not_go_round_in_circles() -> None:
    one, other, heard = Broken(), Broken(), list[Observation]()
    observe = FanOut((one, other, heard.append))
    observe(Stopped())
    observe(Stopped())
    assert [each.observer for each in heard if isinstance(each, ObserverFailed)] == ["Broken", "Broken"]
