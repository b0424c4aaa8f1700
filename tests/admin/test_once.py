"""Forms that count once."""

from copilot_api.admin.once import SentForms, make_form_id


def test_a_form_that_was_sent_is_known_with_where_it_led() -> None:
    sent, name = SentForms(), make_form_id()
    assert sent.find("ses_1", name) is None
    sent.begin("ses_1", name)
    assert sent.find("ses_1", name) == ""
    sent.note("ses_1", name, "key_1")
    assert sent.find("ses_1", name) == "key_1"


def test_another_session_or_another_form_is_new() -> None:
    sent = SentForms()
    sent.begin("ses_1", "a")
    assert sent.find("ses_2", "a") is None
    assert sent.find("ses_1", "b") is None
    assert make_form_id() != make_form_id()


def test_a_form_without_a_name_and_one_that_failed_may_be_sent_again() -> None:
    sent = SentForms()
    sent.begin("ses_1", "")
    assert sent.find("ses_1", "") is None
    sent.begin("ses_1", "a")
    sent.forget("ses_1", "a")
    assert sent.find("ses_1", "a") is None


def test_only_the_newest_are_remembered() -> None:
    sent = SentForms(2)
    for name in "abc":
        sent.begin("ses_1", name)
    assert [sent.find("ses_1", name) for name in "abc"] == [None, "", ""]
