"""Encodings to be put around one another, and texts to be put around a secret."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from tests.redaction.corpus.encodings import encode_base64, encode_base64url, escape_all, percent_all

DISGUISES: list[Callable[[str], str]] = [
    lambda text: json.dumps({"command": text, "n": 1}),
    lambda text: json.dumps({"command": text}, ensure_ascii=False, indent=2),
    lambda text: '{"a":"' + escape_all(text) + '"}',
    encode_base64,
    encode_base64url,
    lambda text: base64.encodebytes(text.encode()).decode(),
    lambda text: text.encode().hex(),
    lambda text: quote(text, safe=""),
    quote_plus,
    percent_all,
    lambda text: f"<pre>\n{text}\n</pre>",
]
BEFORE = ["", "\n", " and ", "see below:\n\n", "\u65e5\u672c\n", "x = 1\n", '{"a": 1}\n']
AFTER = ["", "\n", " and ", "\n\nsee above", "\n\u65e5\u672c", "\nx = 1\n", '\n{"a": 1}\n', ", ok?"]
