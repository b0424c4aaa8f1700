"""
Server-sent events: the same events in the same order, without the secrets that are spread over them.

A model's answer comes in pieces, so a secret may begin in one event and end three events on. The strings that stand at
the same place of events of the same kind are one channel: the text of an answer, the arguments of one tool call. A
channel is searched as it reads when its pieces are put together; the placeholder goes to the first piece of a secret,
and the others lose their part of it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from copilot_api.redaction.assignments import is_secret_value
from copilot_api.redaction.cuts import find_cut
from copilot_api.redaction.edits import Edit
from copilot_api.redaction.json_strings import Frame, Token, scan_json
from copilot_api.redaction.media import judge_blob
from copilot_api.redaction.names import Says, weigh_name
from copilot_api.redaction.rule import Hit
from copilot_api.redaction.search import raise_hit, search
from copilot_api.redaction.structure import looks_like_json, read_document, sealed_name, view_string
from copilot_api.redaction.views import Slice, Unescaped, View

_LINE = re.compile(r"([^\r\n]*+)(\r\n|\n|\r|\Z)")
_INDEXES = frozenset(("index", "output_index", "content_index", "summary_index", "thought"))


class Channel:
    """Pieces of text that are one text when they are put together."""

    def __init__(self, pieces: Sequence[View], name: str) -> None:
        self.text = "".join([piece.text for piece in pieces])
        self.via = ""
        self.name = name
        """The key that its pieces stand under."""
        self._pieces = pieces
        self._offsets: list[int] = []
        offset = 0
        for piece in pieces:
            self._offsets.append(offset)
            offset += len(piece.text)

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """See `View`: here the place in the channel itself, which `split` takes."""
        return start, end

    def split(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where in the stream each part of these characters stands."""
        index = bisect_right(self._offsets, start) - 1
        while index < len(self._pieces) and self._offsets[index] < end:
            piece, offset = self._pieces[index], self._offsets[index]
            first, last = max(start - offset, 0), min(end - offset, len(piece.text))
            if first < last:
                yield piece.locate(first, last)
            index += 1


class _Piece(NamedTuple):
    event: int
    strict: tuple[object, ...]
    loose: tuple[object, ...]
    view: View
    name: str


class Stream:
    """A stream's text, taken apart."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hits: list[Hit] = []
        self.views: list[View] = []
        self.channels: list[Channel] = []
        pieces: list[_Piece] = []
        for number, (name, data) in enumerate(_split_events(text, self.views)):
            pieces += self._read_data(number, name, data)
        self._join(pieces)

    def find(self, *, is_cut: bool) -> list[Edit]:
        """Every edit that the stream needs."""
        edits = [Edit(hit.start, hit.end, hit) for hit in self.hits]
        for index, hit in search(self.views):
            raised = raise_hit(self.views[index], hit)
            edits.append(Edit(raised.start, raised.end, raised))
        found = [(self.channels[index], hit) for index, hit in search(self.channels)]
        for channel in self.channels:
            found += [(channel, hit) for hit in _judge_channel(channel, is_cut=is_cut)]
        for channel, hit in found:
            spans = list(channel.split(hit.start, hit.end))
            edits += [Edit(*span, hit, is_first=number == 0) for number, span in enumerate(spans)]
        return edits

    def _read_data(self, event: int, name: str, lines: list[tuple[int, int]]) -> Iterator[_Piece]:
        """The strings of one event, and what of it can be judged alone."""
        start, end = lines[0][0], lines[-1][1]
        if not looks_like_json(self.text, start, end):
            view = _join_lines(self.text, lines)
            self.views.append(view)
            yield _Piece(event, ("text", name), ("text", name), view, "")
            return
        if len(lines) > 1:
            self.views += [Slice(self.text[slice(*line)], line[0]) for line in lines]
        document = read_document(self.text, start, end)
        self.hits += document.hits
        self.views += document.views
        tokens = [token for token in scan_json(self.text, start, end) if token.is_string and not token.is_key]
        root = _root_of(tokens)
        kind = (name, *([mark for mark in root.marks if mark[0] == "type"] if root is not None else ()))
        for token in tokens:
            if token.end > token.start and judge_blob(self.text, token.start, token.end, sealed_name(token)) is False:
                strict, loose = _keys_of(token)
                yield _Piece(event, (kind, *strict), (kind, *loose), view_string(self.text, token), token.name)

    def _join(self, pieces: list[_Piece]) -> None:
        loose: dict[tuple[object, ...], list[_Piece]] = {}
        for piece in pieces:
            loose.setdefault(piece.loose, []).append(piece)
        for each in loose.values():
            self._add_channel(each)
            if len({piece.event for piece in each}) < len(each):
                # Several in one event: they may be one text in turns, or so many texts side by side.
                strict: dict[tuple[object, ...], list[_Piece]] = {}
                for piece in each:
                    strict.setdefault(piece.strict, []).append(piece)
                for part in strict.values():
                    self._add_channel(part)

    def _add_channel(self, pieces: list[_Piece]) -> None:
        if len(pieces) > 1 and len({piece.view.text for piece in pieces}) > 1:
            self.channels.append(Channel([piece.view for piece in pieces], pieces[0].name))


def _judge_channel(channel: Channel, *, is_cut: bool) -> Iterator[Hit]:
    whole = Hit(0, len(channel.text), "secret", channel.text)
    says = weigh_name(channel.name)
    if says is Says.SURELY and is_secret_value(channel.text, says):
        yield whole
    if is_cut and (cut := find_cut(channel.text)) is not None:
        yield cut


def _split_events(text: str, others: list[View]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The name of each event and where its data lines stand; all other lines go to `others`."""
    name, data = "", list[tuple[int, int]]()
    for found in _LINE.finditer(text):
        line = found[1]
        if not line:
            if data:
                yield name, data
            name, data = "", []
        elif line.startswith("data:"):
            begin = found.start() + (6 if line.startswith("data: ") else 5)
            data.append((begin, found.end(1)))
        else:
            if line.startswith("event:"):
                name = line[6:].strip()
            others.append(Slice(line, found.start()))
    if data:
        yield name, data


def _join_lines(text: str, lines: list[tuple[int, int]]) -> View:
    """The data of an event as its reader has it: the lines with a line end between them."""
    parts: list[str] = []
    starts: list[int] = []
    sources: list[int] = []
    length = 0
    for start, end in lines:
        if parts:
            parts.append("\n")
            starts.append(length)
            sources.append(sources[-1] + len(parts[-2]))
            length += 1
        parts.append(text[start:end])
        starts.append(length)
        sources.append(start)
        length += end - start
    return Unescaped("".join(parts), starts, [*sources, lines[-1][1]], "")


def _root_of(tokens: list[Token]) -> Frame | None:
    frame = tokens[0].frame if tokens else None
    while frame is not None and frame.parent is not None:
        frame = frame.parent
    return frame


def _keys_of(token: Token) -> tuple[list[object], list[object]]:
    """Which channel a string belongs to: with its place in every array and its item's id, and without them."""
    strict: list[object] = [token.place]
    loose: list[object] = ["*" if isinstance(token.place, int) else token.place]
    frame = token.frame
    while frame is not None and len(strict) < 64:
        indexes = [mark for mark in frame.marks if mark[0] in _INDEXES]
        has_index = any([mark[0] == "index" for mark in indexes])
        strict += [*indexes, *[mark for mark in frame.marks if mark[0] == "item_id"]]
        loose += indexes
        is_element = isinstance(frame.label, int)
        strict.append("*" if is_element and has_index else frame.label)
        loose.append("*" if is_element else frame.label)
        frame = frame.parent
    return strict, loose
