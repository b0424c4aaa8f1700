"""Counting within bounds."""

import asyncio
import threading

import pytest

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import Message, ModelRequest, Text
from copilot_api.tokens import counter
from copilot_api.tokens.counter import TokenCounter
from copilot_api.tokens.encodings import load_encoding

GPT = ModelTraits(id="gpt-4.1", vendor="OpenAI")


def request(*texts: str) -> ModelRequest:
    return ModelRequest(model="m", messages=tuple(Message("user", (Text(text),)) for text in texts))


def counted(counting: TokenCounter, asked: ModelRequest, traits: ModelTraits) -> int:
    return asyncio.run(counting.count(asked, traits))


def test_a_text_is_counted_by_the_models_tokenizer() -> None:
    found = counted(TokenCounter(), request("hello world " * 100), GPT)
    assert 200 <= found <= 220


def test_what_was_counted_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = TokenCounter()
    first = counted(counting, request("hello world " * 100), GPT)
    monkeypatch.setattr(counter, "_encoded", lambda *_: pytest.fail("counted again"))
    assert counted(counting, request("hello world " * 100), GPT) == first


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "_MAX_KNOWN", 3)
    counting = TokenCounter()
    counted(counting, request(*(f"{number}" * 300 for number in range(9))), GPT)
    assert len(counting._known) == 3


def test_a_huge_text_is_counted_in_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    encoded = counter._encoded

    def noting(text: str, name: str) -> int:
        seen.append(len(text))
        return encoded(text, name)

    monkeypatch.setattr(counter, "_encoded", noting)
    monkeypatch.setattr(counter, "MAX_CHARACTERS", 6000)
    whole = counted(TokenCounter(), request("hello world " * 1000, "more " * 1000), GPT)
    assert sum(seen) <= 6000
    assert 2000 < whole < 5000


def test_long_texts_reach_the_tokenizer_in_pieces() -> None:
    found = counted(TokenCounter(), request("a" * 200_000), GPT)
    assert 25_000 <= found <= 25_200


def test_without_its_data_it_counts_on_the_high_side(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(counter, "load_encoding", missing)
    assert counted(TokenCounter(), request("hello world " * 100), GPT) > 300


def test_forty_at_once_are_all_answered() -> None:
    counting = TokenCounter()

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(counting.count(request(f"text {number} " * 50), GPT) for number in range(40)))

    found = asyncio.run(all_of_them())
    assert all(count > 50 for count in found)


def test_a_caller_who_hangs_up_frees_no_place_before_its_count_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, counting = threading.Event(), TokenCounter()
    running: list[int] = []

    def slow(*_: object) -> int:
        running.append(1)
        go_on.wait(10)
        return 1

    monkeypatch.setattr(counting, "_count", slow)

    async def hang_up() -> None:
        for _ in range(6):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(counting.count(request("a"), GPT), 0.01)

    try:
        asyncio.run(hang_up())
        assert len(running) == counter.MAX_AT_ONCE
    finally:
        go_on.set()


def test_two_at_once_load_an_encoding_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting, inside, most = TokenCounter(), [0], [0]
    encoding = load_encoding("o200k_base")

    def loading(_: str) -> object:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.02)
        inside[0] -= 1
        return encoding

    monkeypatch.setattr(counter, "load_encoding", loading)

    async def both() -> None:
        await asyncio.gather(counting.count(request("a"), GPT), counting.count(request("b"), GPT))

    asyncio.run(both())
    assert most == [1]


def test_very_many_short_texts_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def noting(text: str, _: str) -> int:
        seen.append(text)
        return 1

    monkeypatch.setattr(counter, "_encoded", noting)
    monkeypatch.setattr(counter, "MAX_CHARACTERS", 650)
    counted(TokenCounter(), request(*("a" for _ in range(1000))), GPT)
    assert len(seen) == 10


def test_a_longest_piece_of_the_worst_input_does_not_break_the_tokenizer() -> None:
    """The library gives up on a million spaces in one piece; texts reach it in shorter ones."""
    found = counted(TokenCounter(), request(" " * 1_000_000), GPT)
    assert 7_000 < found < 9_000
