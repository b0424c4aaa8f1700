"""Answers of `/embeddings`: unit vectors that depend on nothing but the text."""

import base64
import hashlib
import math
import struct
from typing import Any

from copilot_api.simulator.catalog import Model
from copilot_api.simulator.conversation import count_tokens
from copilot_api.simulator.replies import gateway_refusal
from copilot_api.simulator.wire import Json, is_array, is_count

_DEFAULT_DIMENSIONS = 1536
_MOST_TOKENS = 8191


def answer_embeddings(body: Json, model: Model) -> Json:
    """One vector a text."""
    texts = _read_texts(body.get("input"), model)
    dimensions = _read_dimensions(body.get("dimensions"), model)
    encoding = body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        message = "Invalid value for 'encoding_format': expected 'float' or 'base64'."
        raise gateway_refusal(message, param="encoding_format")
    data: list[Json] = []
    for index, text in enumerate(texts):
        vector = embed(text, dimensions)
        embedding: Any = vector
        if encoding == "base64":
            embedding = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"embedding": embedding, "index": index, "object": "embedding"})
    tokens = sum(max(1, count_tokens(len(text))) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"data": data, "model": model.id, "object": "list", "usage": usage}


def embed(text: str, dimensions: int) -> list[float]:
    """A direction drawn from the text's digest."""
    raw = hashlib.shake_256(text.encode("utf-8", "replace")).digest(dimensions * 2)
    numbers = [value / 32768 for value in struct.unpack(f"<{dimensions}h", raw)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [round(number / length, 8) for number in numbers]


def _read_texts(value: object, model: Model) -> list[str]:
    if not is_array(value) or not value:
        raise gateway_refusal("input must be a non-empty array of strings", param="input")
    if len(value) > model.max_inputs:
        raise gateway_refusal(f"too many inputs: {len(value)} > {model.max_inputs}", param="input")
    texts: list[str] = []
    for text in value:
        if not isinstance(text, str):
            raise gateway_refusal("input must be an array of strings", param="input")
        if count_tokens(len(text)) > _MOST_TOKENS:
            raise gateway_refusal(f"This model's maximum context length is {_MOST_TOKENS + 1} tokens.", param="input")
        texts.append(text)
    return texts


def _read_dimensions(value: object, model: Model) -> int:
    if value is None:
        return _DEFAULT_DIMENSIONS
    if not model.supports.get("dimensions"):
        raise gateway_refusal("This model does not support specifying dimensions.", param="dimensions")
    if not is_count(value) or not 1 <= value <= _DEFAULT_DIMENSIONS:
        message = f"Invalid value for 'dimensions': expected 1 to {_DEFAULT_DIMENSIONS}."
        raise gateway_refusal(message, param="dimensions")
    return value
