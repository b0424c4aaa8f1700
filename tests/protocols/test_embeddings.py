"""Embeddings: one text or many, floats or base64, and what the upstream is really asked for."""

import base64
import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from copilot_api.errors import BadRequest, GatewayError, UpstreamFailed
from copilot_api.protocols.base import ModelTraits, Usage
from copilot_api.protocols.embeddings import parse_request, parse_response

PROPERTY = settings(derandomize=True, deadline=None, database=None)
MODEL = "the-alias"


def source(**fields: Any) -> bytes:
    return json.dumps({"model": "text-embedding-3-small", "input": "hello", **fields}).encode()


def answer(*vectors: Any, **more: Any) -> bytes:
    data = [{"embedding": vector, "index": number, "object": "embedding"} for number, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return json.dumps({"data": data, "model": "upstream", "object": "list", "usage": usage, **more}).encode()


# Requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hello", "", "\u2028é😀", '"[{', "x" * 100_000])
def test_one_text_goes_upstream_as_a_list(text: str) -> None:
    assert json.loads(parse_request(source(input=text)).render(ModelTraits(id="m")).body) == {
        "model": "m",
        "input": [text],
    }


@pytest.mark.parametrize("texts", [["a"], ["a", "b"], ["", "é"], ["x"] * 2048])
def test_many_texts_go_as_they_came(texts: list[str]) -> None:
    assert json.loads(parse_request(source(input=texts)).render(ModelTraits(id="m")).body)["input"] == texts


def test_a_text_keeps_its_spelling() -> None:
    body = b'{"model":"m","input": "\\u0068\\/i" ,"x":1.00}'
    assert parse_request(body).render(ModelTraits(id="m")).body == b'{"model":"m","input": ["\\u0068\\/i"] ,"x":1.00}'


@pytest.mark.parametrize(("wanted", "is_base64"), [("base64", True), ("float", False), (None, False)])
def test_floats_are_always_asked_for(wanted: str | None, is_base64: bool) -> None:
    request = parse_request(source(encoding_format=wanted))
    assert request.wants_base64 is is_base64
    assert json.loads(request.render(ModelTraits(id="m")).body).get("encoding_format") in {None, "float"}
    assert not parse_request(source()).wants_base64


def test_what_else_was_asked_for_survives() -> None:
    body = source(dimensions=4, user="u", encoding_format="base64", unknown={"a": [1]})
    assert json.loads(parse_request(body).render(ModelTraits(id="m")).body) == {
        "model": "m", "input": ["hello"], "dimensions": 4, "user": "u", "unknown": {"a": [1]},
    }  # fmt: skip


def test_an_embeddings_call_is_the_users_and_never_streamed() -> None:
    request = parse_request(source())
    assert (request.initiator, request.is_streamed, request.has_images, request.effort) == ("user", False, False, None)
    assert request.output_limit == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"), ({"input": None}, "input"), ({"input": False}, "input"), ({"input": 1}, "input"), ({"input": {}}, "input"),
        ({"input": [1, 2]}, "input"), ({"input": [[1, 2]]}, "input"), ({"input": ["x", 1]}, "input"), ({"input": [None]}, "input[0]"),
        ({"input": [True]}, "input[0]"), ({"input": [["x"]]}, "input[0][0]"), ({"model": ""}, "model"), ({"model": {}}, "model"),
        ({"dimensions": 0}, "dimensions"), ({"dimensions": [None]}, "dimensions"), ({"dimensions": "4"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"), ({"encoding_format": 1}, "encoding_format"), ({"user": 1}, "user"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_request(source(**fields))
    assert refusal.value.param == param


@pytest.mark.parametrize("missing", ["model", "input"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = json.loads(source())
    del body[missing]
    with pytest.raises(BadRequest) as refusal:
        parse_request(json.dumps(body).encode())
    assert refusal.value.param == missing


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model":"m","input":"a","input":"b"}', b'{"model":"m","input":"a","x":{"y":1,"y":2}}']
)
def test_what_is_no_object_or_ambiguous_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(body)


# Answers ---------------------------------------------------------------------------------------------------------

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(PROPERTY, max_examples=150)
@given(vectors=st.lists(st.lists(FLOATS, min_size=1, max_size=8), min_size=1, max_size=4))
def test_base64_and_floats_say_the_same(vectors: list[list[float]]) -> None:
    plain = json.loads(parse_response(answer(*vectors), model=MODEL, wants_base64=False).body)
    packed = json.loads(parse_response(answer(*vectors), model=MODEL, wants_base64=True).body)
    for number, vector in enumerate(vectors):
        assert plain["data"][number] == {"object": "embedding", "index": number, "embedding": vector}
        entry = packed["data"][number]
        assert (entry["object"], entry["index"]) == ("embedding", number)
        raw = base64.b64decode(entry["embedding"], validate=True)
        assert list(struct.unpack(f"<{len(vector)}f", raw)) == vector


def test_an_answer_is_what_the_openai_package_expects() -> None:
    for wants_base64 in (False, True):
        body = parse_response(answer([0.5, -1.0]), model=MODEL, wants_base64=wants_base64).body
        document = json.loads(body)
        assert (document["object"], document["model"]) == ("list", MODEL)
        if not wants_base64:
            CreateEmbeddingResponse.model_validate(document)


def test_usage_is_metered() -> None:
    parsed = parse_response(answer([1.0], copilot_usage={"total_nano_aiu": 12}), model=MODEL, wants_base64=True)
    assert parsed.usage == Usage(input_tokens=2)
    assert parsed.nano_aiu == 12


@pytest.mark.parametrize("usage", [None, "absent"])
def test_usage_that_is_not_there_is_unknown_and_the_answer_still_whole(usage: Any) -> None:
    document = json.loads(answer([1.0], usage=usage))
    if usage == "absent":
        del document["usage"]
    parsed = parse_response(json.dumps(document).encode(), model=MODEL, wants_base64=False)
    assert parsed.usage is None
    CreateEmbeddingResponse.model_validate_json(parsed.body)


def test_vectors_that_come_as_base64_are_left_alone() -> None:
    packed = base64.b64encode(struct.pack("<2f", 1.0, 2.0)).decode()
    body = parse_response(answer(packed), model=MODEL, wants_base64=True).body
    assert json.loads(body)["data"][0]["embedding"] == packed


def test_vectors_come_in_the_order_of_the_texts() -> None:
    """SDKs and their users go by position, not by `index`."""
    data = [{"embedding": [float(index)], "index": index, "object": "embedding"} for index in (2, 0, 1)]
    for wants_base64 in (False, True):
        body = json.dumps({"data": data, "model": "m", "object": "list"}).encode()
        found = json.loads(parse_response(body, model=MODEL, wants_base64=wants_base64).body)["data"]
        assert [entry["index"] for entry in found] == [0, 1, 2]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"<html>", b'{"data":null}', b'{"data":{}}', b'{"data":[1]}', b'{"data":[{}]}', b'{"data":[{"embedding":1}]}',
        b'{"data":[{"embedding":["x"]}]}', b'{"data":[{"embedding":[null]}]}', b'{"data":[{"embedding":[[1.0]]}]}', b'{"error":{"message":"x"}}',
        b'{"data":' + b"[" * 100_000, b'{"data":[],"usage":{"prompt_tokens":"x"}}', b"\xff", b'{"data":[{"embedding":[NaN]}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("wants_base64", [False, True])
def test_what_is_no_list_of_embeddings_is_an_upstream_failure(body: bytes, wants_base64: bool) -> None:
    with pytest.raises(UpstreamFailed):
        parse_response(body, model=MODEL, wants_base64=wants_base64)


@pytest.mark.parametrize("number", ["1e300", "-1e39", "3.5e38"])
def test_a_number_beyond_single_precision_is_no_crash(number: str) -> None:
    body = b'{"data":[{"embedding":[%b],"index":0}]}' % number.encode()
    with contextlib.suppress(GatewayError):
        parse_response(body, model=MODEL, wants_base64=True)


CASES = sorted((Path(__file__).parent / "cases" / "embeddings").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_comes_out_as_it_should(case: Path) -> None:
    """Case files as for chat, and beside them `upstream_request.json`: what Copilot is asked."""
    request = parse_request((case / "request.json").read_bytes())
    assert json.loads(request.render(ModelTraits(id="upstream-model")).body) == json.loads(
        (case / "upstream_request.json").read_text()
    )
    body = parse_response(
        (case / "upstream.json").read_bytes(), model=request.model, wants_base64=request.wants_base64
    ).body
    assert json.loads(body) == json.loads((case / "client.json").read_text())
