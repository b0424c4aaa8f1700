from copilot_api.audit.models import Action, AuditEvent


def test_an_event_says_who_did_what_to_what() -> None:
    event = AuditEvent("local:me", Action.KEY_ISSUED, "key_a")
    assert (event.actor, event.action, event.target, event.detail) == ("local:me", "key.issued", "key_a", {})
