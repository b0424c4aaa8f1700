"""The form of one name: what it changes, and whose mistake is whose."""

from copilot_api.admin.forms import Fields
from copilot_api.admin.model_forms import find_entry, list_model_fields, read_model, sort_problems


def test_a_form_that_is_sent_back_as_it_was_shown_changes_nothing() -> None:
    said = {"upstream": "gpt-4.1", "enabled": False, "allowed_keys": ["a", "b"], "fallback": ["x"], "note": "n"}
    shown = [(field.path.rpartition(".")[2], field.text) for field in list_model_fields(said)]
    typed = read_model(Fields([("name", "fast"), *shown]), {"fast": said}, is_new=False)
    assert (typed.wanted, typed.unset, typed.problems) == ((), (), {})


def test_each_field_is_changed_by_itself() -> None:
    form = Fields([("name", "gpt-5.4"), ("upstream", ""), ("fallback", "a\r\nb"), ("enabled", "false")])
    typed = read_model(form, {"gpt-5.4": {"upstream": "x", "note": "kept"}}, is_new=False)
    assert dict(typed.wanted) == {
        ("models", "gpt-5.4", "fallback"): ["a", "b"],
        ("models", "gpt-5.4", "enabled"): False,
    }
    assert typed.unset == (("models", "gpt-5.4", "upstream"),)


def test_a_name_that_is_not_there_gets_an_entry_be_it_empty() -> None:
    assert read_model(Fields([("name", " a.b ")]), {}, is_new=True).wanted == ((("models", "a.b"), {}),)


def test_a_name_is_needed_and_not_one_that_is_there() -> None:
    assert "name" in read_model(Fields([("name", " ")]), {}, is_new=True).problems
    assert "name" in read_model(Fields([("name", "a")]), {"a": {}}, is_new=True).problems


def test_mistakes_find_their_fields() -> None:
    problems = [
        ('models["gpt-5.4"].fallback[0]', "one"),
        ('models["gpt-5.4"].fallback[1]', "two"),
        ("models.other.upstream", "three"),
        ('models["gpt-5.4"]', "four"),
    ]
    assert sort_problems("gpt-5.4", problems) == {"fallback": "one", "models.other.upstream": "three", "name": "four"}


def test_an_entry_that_is_no_object_says_nothing() -> None:
    assert find_entry({"a": 5}, "a") == {}
    assert find_entry({}, "a") == {}
