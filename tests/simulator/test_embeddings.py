"""Embeddings depend on nothing but the text, and take lists only."""

import base64
import math
import struct
from typing import Any

import pytest

from copilot_api.simulator.embeddings import embed
from tests.simulator.client import Client

MODEL = "text-embedding-3-small"


def test_the_same_text_gets_the_same_direction_and_another_text_another() -> None:
    assert embed("a", 16) == embed("a", 16) != embed("b", 16)
    assert math.hypot(*embed("a", 512)) == pytest.approx(1, abs=1e-5)


def test_the_shape_of_an_answer(simulator: Client) -> None:
    body = {"input": ["hello", "world"], "model": MODEL, "dimensions": 4}
    answer = simulator.api("/embeddings", body)
    assert list(answer.json()) == ["data", "model", "object", "usage"]
    assert [list(entry) for entry in answer.json()["data"]] == [["embedding", "index", "object"]] * 2
    assert [len(entry["embedding"]) for entry in answer.json()["data"]] == [4, 4]
    assert answer.json()["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert "x-quota-snapshot-premium_interactions" in answer.headers


def test_base64_holds_the_same_numbers(simulator: Client) -> None:
    body = {"input": ["hello"], "model": MODEL, "dimensions": 8}
    numbers = simulator.api("/embeddings", body).json()["data"][0]["embedding"]
    encoded = simulator.api("/embeddings", {**body, "encoding_format": "base64"}).json()["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(encoded)) == pytest.approx(numbers)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "hello"},
        {"input": []},
        {"input": [1, 2]},
        {"input": ["x"] * 513},
        {"input": ["x" * 40_000]},
        {"dimensions": 0},
        {"dimensions": 8, "model": "text-embedding-ada-002"},
        {"encoding_format": "hex"},
        {"model": "gpt-4.1"},
    ],
)
def test_what_the_upstream_refuses(simulator: Client, fields: dict[str, Any]) -> None:
    answer = simulator.api("/embeddings", {"input": ["hello"], "model": MODEL, **fields})
    assert answer.status == 400
    assert answer.json()["error"]["message"]


def test_faults_reach_embeddings_too(simulator: Client) -> None:
    simulator.control("/faults", name="503", count=1)
    body = {"input": ["hello"], "model": MODEL}
    assert [simulator.api("/embeddings", body).status for _ in range(2)] == [503, 200]
