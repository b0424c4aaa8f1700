from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin


def test_an_event_says_who_did_what_to_what() -> None:
    event = AuditEvent("local:me", Action.KEY_ISSUED, "key_a")
    assert (event.actor, event.action, event.target, event.detail) == ("local:me", "key.issued", "key_a", {})


def test_what_came_by_no_request_came_from_nowhere() -> None:
    assert AuditEvent("local:me", Action.KEY_ISSUED, "key_a").origin == LOCAL == Origin(None, None, None)
