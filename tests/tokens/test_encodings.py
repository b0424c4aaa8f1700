"""The encodings are OpenAI's own, and come without a network."""

import base64
import hashlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from copilot_api.tokens import encodings
from copilot_api.tokens.encodings import DEFAULT, known_name, load_encoding, read_ranks

EXPECTED = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_ranks_are_the_published_ones(name: str) -> None:
    """Put together again, the file has the hash that tiktoken itself checks its download by."""
    lines = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in read_ranks(name).items())
    assert hashlib.sha256(lines).hexdigest() == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("o200k_base", "hello world", 2),
        ("o200k_base", "", 0),
        ("cl100k_base", "hello world", 2),
        ("cl100k_base", "tiktoken is great!", 6),
        ("o200k_base", "a" * 1000, 125),
        ("o200k_base", "🙂", 1),
    ],
)
def test_known_texts_have_their_known_counts(name: str, text: str, tokens: int) -> None:
    assert len(load_encoding(name).encode_ordinary(text)) == tokens


def test_the_patterns_are_those_that_the_library_publishes() -> None:
    from tiktoken_ext import openai_public

    for name in EXPECTED:
        source = openai_public.ENCODING_CONSTRUCTORS[name]
        found: dict[str, object] = {}
        original = openai_public.load_tiktoken_bpe
        openai_public.load_tiktoken_bpe = lambda *_, **__: {}
        try:
            found = source()
        finally:
            openai_public.load_tiktoken_bpe = original
        assert load_encoding(name)._pat_str == found["pat_str"]


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network connection")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_encoding.cache_clear()
    assert load_encoding("o200k_base").encode_ordinary("hello")


def test_a_name_that_is_not_here_is_counted_by_the_newest() -> None:
    assert known_name("cl100k_base") == "cl100k_base"
    assert known_name("o300k_base") == known_name("") == DEFAULT


def test_help_does_not_load_it() -> None:
    code = "import sys; import copilot_api.tokens.counter; assert 'tiktoken' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_damaged_ranks_are_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "o200k_base.xz").write_bytes(b"no xz")
    monkeypatch.setattr(encodings, "_DATA", tmp_path)
    with pytest.raises(ValueError, match="damaged"):
        read_ranks("o200k_base")


def test_a_python_without_lzma_starts() -> None:
    code = "import sys; sys.modules['lzma'] = None; import copilot_api.tokens.counter"
    subprocess.run([sys.executable, "-c", code], check=True)
