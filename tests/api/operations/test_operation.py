"""What an operation declares, and what follows of it."""

from copilot_api.api.operations.operation import Body, Operation, Refusal, refusal
from copilot_api.errors import BadRequest, BodyTooLarge


def make(path: str, body: Body | None = None) -> Operation:
    more = (refusal(BadRequest, 422), refusal(BadRequest))
    return Operation(id="x", method="POST", path=path, tag="t", summary="s", answer=dict, body=body, refusals=more)


def test_a_name_in_braces_is_one_segment_of_the_path() -> None:
    found = make("/admin/api/keys/{id}/debug").pattern.fullmatch("/admin/api/keys/key_a/debug")
    assert found is not None
    assert found.groupdict() == {"id": "key_a"}
    for path in ("/admin/api/keys//debug", "/admin/api/keys/a/b/debug", "/admin/api/keys/a/debug/"):
        assert make("/admin/api/keys/{id}/debug").pattern.fullmatch(path) is None


def test_what_else_is_in_a_path_stands_for_itself() -> None:
    assert make("/a/{date}.jsonl").pattern.fullmatch("/a/xjsonl") is None
    assert make("/a/{date}.jsonl").path_names == ("date",)


def test_what_every_operation_may_refuse_is_said_of_each_and_once() -> None:
    plain, with_body = make("/a"), make("/a", Body(dict))
    assert {refused.status for refused in plain.all_refusals} == {400, 401, 403, 422, 503}
    assert len(set(plain.all_refusals)) == len(plain.all_refusals)
    assert set(with_body.all_refusals) - set(plain.all_refusals) >= {refusal(BodyTooLarge)}
    assert Refusal(422, "invalid_request") in plain.all_refusals


def test_the_document_may_describe_another_type_than_is_read() -> None:
    assert (Body(bytes, schema_kind=dict).described, Body(list).described) == (dict, list)
