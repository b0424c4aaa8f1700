"""What the model says: the same request gets the same words, cut into the pieces a stream would bring."""

import zlib
from dataclasses import dataclass
from typing import Literal

from copilot_api.simulator.conversation import Prompt, count_tokens
from copilot_api.simulator.markers import Script, ScriptedCall
from copilot_api.simulator.prices import Tokens

_PIECE_CHARACTERS = 4
_MOST_PIECES = 2000
_FEWEST_PIECES = 3
_REASONING = ("The user wants", " an answer;", " a short one will do.")
_WORDS = (
    "the", "gateway", "reads", "each", "line", "and", "keeps", "what", "matters", "for", "later", "while", "every",
    "model", "streams", "its", "answer", "one", "small", "piece", "at", "a", "time", "until", "nothing", "is", "left",
    "to", "say",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One turn of the model."""

    pieces: tuple[str, ...]
    call: ScriptedCall | None
    argument_pieces: tuple[str, ...]
    reasoning: tuple[str, ...]
    stop: Literal["stop", "length", "tool_calls"]
    tokens: Tokens

    @property
    def text(self) -> str:
        """All pieces together."""
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """The reasoning in one text."""
        return "".join(self.reasoning)


def compose(
    script: Script,
    prompt: Prompt,
    *,
    length: int,
    limit: int | None,
    reasons: bool,
    preface: bool = False,
    cached: tuple[int, int] = (0, 0),
) -> Answer:
    """The answer to a prompt; `preface` puts a few words before a tool call, `limit` cuts unscripted text only."""
    reasoning = _REASONING if reasons else ()
    stop: Literal["stop", "length", "tool_calls"] = "stop"
    pieces: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    if script.call is not None:
        pieces = ("I will use", " ", script.call.name, ".") if preface else ()
        arguments = split(script.call.arguments, 2)
        stop = "tool_calls"
    elif script.say is not None:
        pieces = split(script.say, _FEWEST_PIECES)
    else:
        pieces = _plausible(prompt, length)
        if limit is not None and limit < len(pieces):
            pieces, stop = pieces[: max(limit, 1)], "length"
    counted = len(pieces) if script.say is None else count_tokens(len(script.say))
    reasoned = len(reasoning) * 10
    output = max(1, counted + sum(count_tokens(len(piece)) for piece in arguments)) + reasoned
    tokens = Tokens(max(prompt.input_tokens, sum(cached)), output, cached[0], cached[1], reasoned)
    return Answer(pieces, script.call, arguments, reasoning, stop, tokens)


def split(text: str, fewest: int) -> tuple[str, ...]:
    """The text in pieces of about a token, at least `fewest` where it is long enough, never too many."""
    size = max(_PIECE_CHARACTERS, -(-len(text) // _MOST_PIECES))
    size = max(1, min(size, -(-len(text) // fewest)))
    pieces = tuple(text[start : start + size] for start in range(0, len(text), size))
    if len(pieces) < fewest <= len(text):
        return (*text[: fewest - 1], text[fewest - 1 :])
    return pieces


def _plausible(prompt: Prompt, length: int) -> tuple[str, ...]:
    """So many words, chosen by what was asked; each is a token."""
    asked = "".join(turn.text for turn in prompt.turns if turn.kind == "user")
    start = zlib.crc32(asked.encode("utf-8", "replace"))
    count = max(length, _FEWEST_PIECES)
    words = [" " + _WORDS[(start + index * (1 + start % 7)) % len(_WORDS)] for index in range(count)]
    words[0] = words[0].strip().capitalize()
    words[-1] += "."
    return tuple(words)
