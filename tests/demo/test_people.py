"""Those who share the account are known by their labels, and call for what there is."""

from copilot_api.demo.people import PEOPLE
from copilot_api.gateway.kinds import Kind


def test_everybody_has_a_label_of_their_own() -> None:
    assert len({person.label for person in PEOPLE}) == len(PEOPLE) >= 8


def test_kinds_are_those_that_the_gateway_knows() -> None:
    known = {kind.value for kind in Kind}
    assert {kind for person in PEOPLE for habit in person.habits for kind in habit.kinds} <= known
