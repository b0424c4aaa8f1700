"""
The turns of a Gemini conversation in the neutral form.

Gemini says less than other protocols: calls may have no id, and then results find theirs by the function's name, in
order. Ids that are missing are counted (`call_1`, `call_2`, …), so that the same history always reads the same.
"""

import base64
import binascii
from collections.abc import Iterable

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.carriers import unpack
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.gemini import wire
from copilot_api.protocols.gemini.media import read_blob, read_file

_USER, _ASSISTANT = "user", "assistant"
_ROLES = {"": _USER, "user": _USER, "function": _USER, "model": _ASSISTANT}
_SPEAKING_KEYS = {"output", "result"}
UNSUPPORTED = "[unsupported content]"


def contents_of(request: wire.Request) -> list[wire.Content]:
    """The turns; one alone needs no list."""
    given = request.contents
    return given if isinstance(given, list) else [] if given is None else [given]


def parts_of(content: wire.Content) -> list[wire.Part]:
    """The parts; one alone needs no list."""
    given = content.parts
    return given if isinstance(given, list) else [] if given is None else [given]


def response_parts_of(response: wire.FunctionResponse) -> list[wire.FunctionResponsePart]:
    """The media beside a function's answer; one alone needs no list."""
    given = response.parts
    return given if isinstance(given, list) else [] if given is None else [given]


def read_system(request: wire.Request) -> tuple[str, ...]:
    """The instructions, a text each."""
    given = request.system_instruction
    if isinstance(given, str):
        return (given,)
    return tuple(part.text for part in parts_of(given) if part.text is not None) if given else ()


def read_messages(contents: list[wire.Content]) -> tuple[Message, ...]:
    """The conversation. Raises `BadRequest` with the place of what cannot be translated."""
    reader = _Contents(contents)
    for place, content in enumerate(contents):
        reader.read(content, f"contents[{place}]")
    return reader.messages()


class _Contents:
    def __init__(self, contents: list[wire.Content]) -> None:
        self._turns: list[tuple[str, list[Part]]] = []
        self._open: list[tuple[int, str, str]] = []
        """Calls that wait for their result: the number of their turn, id, and name."""
        self._called: set[str] = set()
        self._taken = _ids_in(contents)
        self._count = 0

    def messages(self) -> tuple[Message, ...]:
        """What was read; in each message of the user the results come first."""
        return tuple(
            Message("user", tuple(sorted(parts, key=lambda part: not isinstance(part, ToolResult))))
            if role == _USER
            else Message("assistant", tuple(parts))
            for role, parts in self._turns
        )

    def read(self, content: wire.Content, path: str) -> None:
        """One turn; those of the model that follow each other are one (a chat keeps a streamed turn chunk by chunk)."""
        role = _ROLES.get(content.role or "")
        if role is None:
            raise BadRequest(f"the field '{path}.role' is neither 'user' nor 'model'", param=f"{path}.role")
        self._turn(role, is_new=role == _USER)
        for place, part in enumerate(parts_of(content)):
            self._read_part(part, role, f"{path}.parts[{place}]")

    def _turn(self, role: str, *, is_new: bool = False) -> list[Part]:
        if is_new or not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        return self._turns[-1][1]

    def _read_part(self, part: wire.Part, role: str, path: str) -> None:
        # Whatever the turn says: a call is always the model's, an answer to it never is.
        if part.function_response is not None:
            self._turn(_USER).append(self._result(part.function_response, f"{path}.functionResponse"))
            return
        if part.function_call is not None:
            parts = self._turn(_ASSISTANT)
            _replay(parts, part.thought_signature)
            parts.append(self._call(part.function_call, f"{path}.functionCall"))
            return
        parts = self._turn(role)
        if role == _ASSISTANT:
            _replay(parts, part.thought_signature)
            text = _words(part)
            if text:
                _append_text(parts, text)
        elif not part.thought:
            parts.append(_read_user_part(part, path))

    def _call(self, call: wire.FunctionCall, path: str) -> ToolCall:
        if not call.name:
            raise BadRequest(f"the field '{path}.name' is required", param=f"{path}.name")
        call_id = call.id or self._next_id()
        self._called.add(call_id)
        self._open.append((len(self._turns), call_id, call.name))
        return ToolCall(id=call_id, name=call.name, arguments=_arguments(call.args, f"{path}.args"))

    def _result(self, response: wire.FunctionResponse, path: str) -> ToolResult:
        texts, is_error = _answered(response.response)
        media = [
            read_blob(part.inline_data, f"{path}.parts[{place}].inlineData")
            if part.inline_data is not None
            else read_file(part.file_data, f"{path}.parts[{place}].fileData")
            for place, part in enumerate(response_parts_of(response))
            if part.inline_data is not None or part.file_data is not None
        ]
        parts: tuple[Text | Image | Document, ...] = (*(Text(text) for text in texts), *media)
        return ToolResult(call_id=self._answered_call(response), parts=parts, is_error=is_error)

    def _answered_call(self, response: wire.FunctionResponse) -> str:
        """The call that this answers: by its id, else the first open one of that name in the latest turn with one."""
        if response.id and response.id in self._called:
            self._open = [entry for entry in self._open if entry[1] != response.id]
            return response.id
        named = [entry for entry in self._open if entry[2] == response.name]
        if not named:
            return response.id or self._next_id()
        latest = max(turn for turn, _, _ in named)
        found = next(entry for entry in named if entry[0] == latest)
        self._open.remove(found)
        return found[1]

    def _next_id(self) -> str:
        while True:
            self._count += 1
            call_id = f"call_{self._count}"
            if call_id not in self._taken:
                return call_id


def _ids_in(contents: Iterable[wire.Content]) -> set[str]:
    """The ids that the client itself uses."""
    ids: set[str] = set()
    for content in contents:
        for part in parts_of(content):
            for found in (part.function_call, part.function_response):
                if found is not None and found.id:
                    ids.add(found.id)
    return ids


def _replay(parts: list[Part], signature: str | None) -> None:
    """The reasoning in a signature, put before the text that it led to; signatures that are not ours mean nothing."""
    found = unpack_signature(signature) if signature else ()
    if found:
        place = len(parts)
        while place and isinstance(parts[place - 1], Text):
            place -= 1
        parts[place:place] = [Reasoning(carrier.text, carrier) for carrier in found]


def unpack_signature(signature: str) -> tuple[Carrier, ...]:
    """The carriers that the gateway put into a signature: packed, joined, and in base64 like every signature."""
    try:
        padded = signature + "=" * (-len(signature) % 4)
        packed = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True).decode()
    except (binascii.Error, ValueError):
        return ()
    return tuple(carrier for one in packed.split(",") if (carrier := unpack(one)) is not None)


def _append_text(parts: list[Part], text: str) -> None:
    """The text, after what the model has just said: the parts of its turn are pieces of a stream, not paragraphs."""
    last = parts[-1] if parts else None
    if isinstance(last, Text):
        parts[-1] = Text(last.text + text)
    else:
        parts.append(Text(text))


def _words(part: wire.Part) -> str:
    """What a part of the model's says; its thoughts are never repeated as if they had been said."""
    if part.thought:
        return ""
    if part.executable_code is not None:
        code = part.executable_code
        return f"\n```{(code.language or '').lower()}\n{code.code or ''}\n```\n"
    if part.code_execution_result is not None:
        return f"\n```\n{part.code_execution_result.output or ''}\n```\n"
    return part.text or ""


def _read_user_part(part: wire.Part, path: str) -> Part:
    if part.inline_data is not None:
        return read_blob(part.inline_data, f"{path}.inlineData")
    if part.file_data is not None:
        return read_file(part.file_data, f"{path}.fileData")
    if part.text is None and part.executable_code is None and part.code_execution_result is None:
        return Text(UNSUPPORTED)
    return Text(_words(part))


def _arguments(raw: msgspec.Raw, path: str) -> str:
    """The arguments as JSON, as the client wrote them but for spaces."""
    if not wire.is_given(raw):
        return "{}"
    text = _compact(raw)
    if not text.startswith("{"):
        raise BadRequest(f"the field '{path}' is wrong: expected an object", param=path)
    return text


def _answered(raw: msgspec.Raw) -> tuple[tuple[str, ...], bool]:
    """
    What a function answered, and whether that is an error.

    Google has functions put their answer under `output` or an error under `error`; its SDKs say `result`. An object
    with anything else in it is the answer itself.
    """
    if not wire.is_given(raw):
        return (), False
    fields = _fields(raw)
    if len(fields) == 1:
        name, value = next(iter(fields.items()))
        if name in _SPEAKING_KEYS or name == "error":
            return (_text(value),), name == "error"
    return (_text(raw),), False


def _fields(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}


def _text(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return _compact(raw)


def _compact(raw: msgspec.Raw) -> str:
    """The JSON without spaces between its parts; numbers and escapes stay as they were written."""
    try:
        return msgspec.json.format(bytes(raw), indent=-1).decode()
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
