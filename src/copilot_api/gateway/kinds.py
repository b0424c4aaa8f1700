"""
What a call is for, as far as its client shows it: a turn of a conversation, or one of the calls that clients make by
themselves.

All that is known stands in one table, `RULES`; docs/reference/call-kinds.md is made from it. A rule knows a program's
own prompt by the words that it begins with, or a header that the program sends. A call that no rule knows is a turn,
so the share of the other kinds is at least what the usage report says. Nothing of what is looked at is kept, and no
body is searched: whatever its size, a few hundred bytes at the beginning of two of its texts are looked at.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from copilot_api.protocols.base import NOTHING, SHOWN_CHARACTERS, ParsedRequest

Clues = Mapping[bytes, bytes]
"""Of a request's headers those that a rule about its client reads."""

PROBE_TOKENS = 1
PROBE_BYTES = 64
"""As JSON: room for the quotes, and for a part around them."""
_MAX_CLUE_BYTES = 2048
_QUOTE = b'"'[0]


class Kind(StrEnum):
    """What a call is for; the vocabulary is closed."""

    TURN = "turn"
    WARM_UP = "warm_up"
    TITLE = "title"
    PROBE = "probe"
    COMPACTION = "compaction"
    SUBAGENT = "subagent"
    BACKGROUND = "background"
    COUNT_TOKENS = "count_tokens"
    EMBEDDINGS = "embeddings"


MEANINGS = {
    Kind.TURN: "somebody's conversation with a model, and every call that no rule knows",
    Kind.WARM_UP: "fills a cache before there is anything to ask",
    Kind.TITLE: "names a conversation for a list",
    Kind.PROBE: "asks whether the endpoint, the key or the model works",
    Kind.COMPACTION: "has a conversation summed up that grows too long",
    Kind.SUBAGENT: "a turn of an agent that another agent has started",
    Kind.BACKGROUND: "work of the program beside the conversation: memories, suggestions, recaps, commit messages",
    Kind.COUNT_TOKENS: "counts tokens; nothing is generated",
    Kind.EMBEDDINGS: "vectors for texts",
}


class Where(StrEnum):
    """What a rule looks at."""

    ENDPOINT = "endpoint"
    SIZE = "size"
    SAID = "last message of the user begins"
    WHOLE = "last message of the user is"
    SYSTEM = "system prompt begins"
    HEADER = "header"


class Program(NamedTuple):
    """A program, and the names that it may have in the ledger; none for every program."""

    name: str
    clients: tuple[str, ...] = ()


LIBRARIES = (
    "ai-sdk", "anthropic-node", "anthropic-python", "httpx", "litellm", "node", "openai-node", "openai-python", "other",
)  # fmt: skip
"""As whom programs appear that do not give a name of their own."""

EVERY = Program("every")
AIDER = Program("aider", ("aider", *LIBRARIES))
CLAUDE_CODE = Program("Claude Code", ("claude-code",))
CLINE = Program("Cline", ("cline", *LIBRARIES))
CODEX = Program("Codex", ("codex",))
CONTINUE = Program("Continue", ("continue", *LIBRARIES))
GEMINI_CLI = Program("Gemini CLI", ("gemini-cli",))
OPENCODE = Program("opencode", ("opencode",))
OPEN_WEBUI = Program("Open WebUI", LIBRARIES)
PI = Program("pi", LIBRARIES)
QWEN_CODE = Program("Qwen Code", ("qwen-code",))
VS_CODE = Program("Copilot Chat in VS Code", LIBRARIES)


class Rule(NamedTuple):
    """One row of the table. Of rules that look at the same, the first that fits counts."""

    kind: Kind
    program: Program
    where: Where
    marker: str
    """The words; of a header, what its value holds (empty: the header is there)."""
    source: str
    """`seen`: what that version sent. `read`: in that version's program or in its source."""
    is_tool_free: bool = False
    """Whether the request must offer no tools."""
    header: str = ""


def _header(kind: Kind, program: Program, header: str, holds: str, source: str) -> Rule:
    return Rule(kind, program, Where.HEADER, holds, source, header=header)


_HINT, _AGENT = "x-claude-code-request-class", "x-claude-code-agent-id"
_HINTS = "with `CLAUDE_CODE_GATEWAY_HINT_HEADERS=1`"
_METADATA, _SUBAGENT = "x-codex-turn-metadata", "x-openai-subagent"

RULES = (
    Rule(Kind.COUNT_TOKENS, EVERY, Where.ENDPOINT, "/v1/messages/count_tokens", "the endpoint's purpose"),
    Rule(Kind.COUNT_TOKENS, EVERY, Where.ENDPOINT, "/v1beta/countTokens", "the endpoint's purpose"),
    Rule(Kind.EMBEDDINGS, EVERY, Where.ENDPOINT, "/v1/embeddings", "the endpoint's purpose"),
    Rule(
        Kind.PROBE, EVERY, Where.SIZE,
        f"at most {PROBE_TOKENS} token of answer to a single message of at most {PROBE_BYTES} bytes",
        "its size; read in Claude Code 1.0.128 to 2.1.331: `quota`, `test`, `Hi`, `.`",
    ),
    # Claude Code ------------------------------------------------------------------------------------------------------
    Rule(Kind.WARM_UP, CLAUDE_CODE, Where.WHOLE, "Warmup", "seen: 2.0.76", is_tool_free=True),
    Rule(Kind.COMPACTION, CLAUDE_CODE, Where.SAID, "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.",
         "seen: 2.1.331; read: 2.1.100"),
    Rule(Kind.COMPACTION, CLAUDE_CODE, Where.SAID,
         "Your task is to create a detailed summary of the conversation so far, paying close attention to the user's"
         " explicit requests and your previous actions.", "seen: 2.0.76; read: 1.0.128, 2.1.20"),
    Rule(Kind.BACKGROUND, CLAUDE_CODE, Where.SAID,
         "[SUGGESTION MODE: Suggest what the user might naturally type next into Claude Code.]",
         "read: 2.1.20, 2.1.100, 2.1.331"),
    Rule(Kind.BACKGROUND, CLAUDE_CODE, Where.SAID,
         "You are now acting as the memory extraction subagent. Analyze the most recent", "read: 2.1.100, 2.1.331"),
    Rule(Kind.BACKGROUND, CLAUDE_CODE, Where.SAID,
         "The user stepped away and is coming back. Recap in under 40 words", "read: 2.1.331"),
    Rule(Kind.TITLE, CLAUDE_CODE, Where.SYSTEM,
         "You are naming a coding session so the user can pick it out of a long list of sessions.", "seen: 2.1.331",
         is_tool_free=True),
    Rule(Kind.TITLE, CLAUDE_CODE, Where.SYSTEM,
         "Generate a concise, sentence-case title (3-7 words) that captures the main topic or goal of this coding"
         " session.", "read: 2.1.100", is_tool_free=True),
    Rule(Kind.TITLE, CLAUDE_CODE, Where.SYSTEM,
         "Analyze if this message indicates a new conversation topic. If it does, extract a 2-3 word title",
         "seen: 2.0.76; read: 1.0.128, 2.1.20", is_tool_free=True),
    Rule(Kind.TITLE, CLAUDE_CODE, Where.SYSTEM, "Summarize this coding conversation in under 50 characters.",
         "read: 1.0.128, 2.1.20", is_tool_free=True),
    Rule(Kind.BACKGROUND, CLAUDE_CODE, Where.SYSTEM,
         "Your task is to process Bash commands that an AI coding agent wants to run.", "read: 1.0.128, 2.1.20",
         is_tool_free=True),
    Rule(Kind.SUBAGENT, CLAUDE_CODE, Where.SYSTEM, "You are an agent for Claude Code, Anthropic's official CLI",
         "seen: 2.0.76, 2.1.331"),
    Rule(Kind.SUBAGENT, CLAUDE_CODE, Where.SYSTEM, "You are a file search specialist for Claude Code",
         "seen: 2.0.76, 2.1.331"),
    Rule(Kind.SUBAGENT, CLAUDE_CODE, Where.SYSTEM,
         "You are a software architect and planning specialist for Claude Code", "seen: 2.1.331; read: 2.1.20"),
    _header(Kind.COMPACTION, CLAUDE_CODE, _HINT, "compaction", f"seen: 2.1.331 {_HINTS}"),
    _header(Kind.SUBAGENT, CLAUDE_CODE, _HINT, "subagent", f"seen: 2.1.331 {_HINTS}"),
    _header(Kind.SUBAGENT, CLAUDE_CODE, _HINT, "workflow", f"read: 2.1.331 {_HINTS}"),
    _header(Kind.BACKGROUND, CLAUDE_CODE, _HINT, "auxiliary", f"seen: 2.1.331 {_HINTS}"),
    _header(Kind.SUBAGENT, CLAUDE_CODE, _AGENT, "", "seen: 2.1.331"),
    # Codex ------------------------------------------------------------------------------------------------------------
    Rule(Kind.COMPACTION, CODEX, Where.SAID,
         "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM",
         "seen: 0.169.0"),
    _header(Kind.COMPACTION, CODEX, _METADATA, '"request_kind":"compaction"', "seen: 0.169.0"),
    _header(Kind.WARM_UP, CODEX, _METADATA, '"request_kind":"prewarm"', "read: core/src/responses_metadata.rs"),
    _header(Kind.BACKGROUND, CODEX, _METADATA, '"request_kind":"memory"', "read: core/src/responses_metadata.rs"),
    _header(Kind.COMPACTION, CODEX, _SUBAGENT, "compact", "read: core/src/responses_metadata.rs"),
    _header(Kind.BACKGROUND, CODEX, _SUBAGENT, "memory_consolidation", "read: core/src/responses_metadata.rs"),
    _header(Kind.SUBAGENT, CODEX, _SUBAGENT, "", "seen: 0.169.0, `collab_spawn` and `review`"),
    # opencode ---------------------------------------------------------------------------------------------------------
    Rule(Kind.TITLE, OPENCODE, Where.SYSTEM, "You are a title generator. You output ONLY a thread title.",
         "seen: 1.18.33", is_tool_free=True),
    Rule(Kind.COMPACTION, OPENCODE, Where.SYSTEM,
         "You are a context summarization agent. You are given a conversation between a user and an agent.",
         "seen: 1.18.33", is_tool_free=True),
    Rule(Kind.COMPACTION, OPENCODE, Where.SYSTEM,
         "You are an anchored context summarization assistant for coding sessions.",
         "read: agent/prompt/compaction.txt", is_tool_free=True),
    Rule(Kind.COMPACTION, OPENCODE, Where.SYSTEM,
         "You are a helpful AI assistant tasked with summarizing conversations.",
         "read: quoted from older versions", is_tool_free=True),
    _header(Kind.SUBAGENT, OPENCODE, "x-parent-session-id", "", "seen: 1.18.33"),
    # Qwen Code --------------------------------------------------------------------------------------------------------
    Rule(Kind.BACKGROUND, QWEN_CODE, Where.SAID, "[SUGGESTION MODE: Suggest what the user might naturally type next.]",
         "seen: 0.24.4"),
    Rule(Kind.COMPACTION, QWEN_CODE, Where.SAID,
         "You are the component that summarizes a conversation when its context window is about to overflow.",
         "seen: 0.24.4"),
    Rule(Kind.COMPACTION, QWEN_CODE, Where.SYSTEM,
         "You are the component that summarizes a conversation when its context window is about to overflow.",
         "seen: 0.24.4"),
    Rule(Kind.TITLE, QWEN_CODE, Where.SYSTEM,
         "Generate a concise, sentence-case title (3-7 words) that captures what this programming-assistant session is"
         " about.", "seen: 0.24.4"),
    Rule(Kind.BACKGROUND, QWEN_CODE, Where.SYSTEM,
         "You are now acting as the managed memory extraction subagent for an AI coding assistant.", "seen: 0.24.4"),
    Rule(Kind.BACKGROUND, QWEN_CODE, Where.SYSTEM,
         "You generate session recaps for a programming assistant CLI.", "read: 0.24.4"),
    Rule(Kind.SUBAGENT, QWEN_CODE, Where.SYSTEM,
         "You are a general-purpose subagent working for a parent agent.", "seen: 0.24.4"),
    Rule(Kind.SUBAGENT, QWEN_CODE, Where.SYSTEM,
         "You are a file search specialist agent. You excel at thoroughly navigating", "seen: 0.24.4"),
    Rule(Kind.SUBAGENT, QWEN_CODE, Where.SYSTEM,
         "You are a subagent spawned by a workflow orchestration script.", "read: 0.24.4"),
    # Gemini CLI -------------------------------------------------------------------------------------------------------
    Rule(Kind.TITLE, GEMINI_CLI, Where.SAID,
         "Summarize the user's primary intent or goal in this conversation in ONE sentence (max 80 characters).",
         "seen: 0.61.0", is_tool_free=True),
    Rule(Kind.BACKGROUND, GEMINI_CLI, Where.SAID,
         "Analyze *only* the content and structure of your immediately preceding response", "read: 0.61.0"),
    Rule(Kind.COMPACTION, GEMINI_CLI, Where.SYSTEM,
         "You are a specialized system component responsible for distilling chat history into a structured XML",
         "seen: 0.61.0", is_tool_free=True),
    Rule(Kind.BACKGROUND, GEMINI_CLI, Where.SYSTEM, "You are a specialized Task Routing AI.", "read: 0.61.0"),
    Rule(Kind.SUBAGENT, GEMINI_CLI, Where.SYSTEM,
         "You are **Codebase Investigator**, a hyper-specialized AI agent", "seen: 0.61.0"),
    Rule(Kind.SUBAGENT, GEMINI_CLI, Where.SYSTEM,
         "You are **CLI Help Agent**, an expert on Gemini CLI.", "read: 0.61.0"),
    # Programs that do not give their names ----------------------------------------------------------------------------
    Rule(Kind.COMPACTION, AIDER, Where.SYSTEM,
         "*Briefly* summarize this partial conversation about programming.", "seen: 0.86.2", is_tool_free=True),
    Rule(Kind.BACKGROUND, AIDER, Where.SYSTEM,
         "You are an expert software engineer that generates concise, one-line Git commit messages", "seen: 0.86.2",
         is_tool_free=True),
    Rule(Kind.COMPACTION, CLINE, Where.SYSTEM,
         "Summarize the provided coding session into a concise continuation note with detailed next steps.",
         "seen: CLI 3.0.65", is_tool_free=True),
    Rule(Kind.TITLE, CONTINUE, Where.SAID,
         "Given the following... please reply with a title for the chat that is 3-4 words in length", "seen: cn 1.5.47",
         is_tool_free=True),
    Rule(Kind.COMPACTION, CONTINUE, Where.SAID,
         "Please provide a concise summary of our conversation so far, capturing the key context, decisions made, and"
         " current state.", "seen: cn 1.5.47"),
    Rule(Kind.TITLE, OPEN_WEBUI, Where.SAID, "### Task:\nGenerate a concise, 3-5 word title",
         "read: open_webui/config.py", is_tool_free=True),
    Rule(Kind.BACKGROUND, OPEN_WEBUI, Where.SAID, "### Task:\nGenerate 1-3 broad tags categorizing the main themes",
         "read: open_webui/config.py", is_tool_free=True),
    Rule(Kind.BACKGROUND, OPEN_WEBUI, Where.SAID, "### Task:\nSuggest 3-5 relevant follow-up questions",
         "read: open_webui/config.py", is_tool_free=True),
    Rule(Kind.COMPACTION, PI, Where.SYSTEM,
         "You are a context summarization assistant. Your task is to read a conversation between a user and an AI"
         " coding assistant", "seen: 0.73.1", is_tool_free=True),
    Rule(Kind.TITLE, VS_CODE, Where.SYSTEM, "You are an expert in crafting pithy titles for chatbot conversations.",
         "read: prompts/node/panel/title.tsx", is_tool_free=True),
)  # fmt: skip


# How the rules are applied ------------------------------------------------------------------------------------------


class _Texts(NamedTuple):
    """Rules about how a text begins: one look for all of them."""

    pattern: re.Pattern[bytes] | None
    kinds: Mapping[bytes, Kind]

    def find(self, raw: msgspec.Raw) -> Kind | None:
        """The kind of the rule that fits the string, or the first that fits a text in the list of parts, in `raw`."""
        if self.pattern is None or raw is NOTHING:
            return None
        is_string = memoryview(raw)[0] == _QUOTE
        look = self.pattern.match if is_string else self.pattern.search
        found = look(raw, 0, SHOWN_CHARACTERS)
        return self.kinds[found.group()] if found is not None else None


class _ClientRules(NamedTuple):
    """What is known of one client."""

    said: _Texts
    system: _Texts
    said_without_tools: _Texts
    system_without_tools: _Texts
    headers: tuple[tuple[bytes, re.Pattern[bytes], Mapping[bytes, Kind]], ...]


def _texts(rules: list[Rule]) -> _Texts:
    """A JSON string begins with a quote that no backslash makes a part of a text."""
    kinds: dict[bytes, Kind] = {}
    for rule in rules:
        kinds.setdefault(_as_json(rule), rule.kind)
    words = b"|".join([re.escape(each[1:]) for each in kinds])
    return _Texts(re.compile(rb'"(?<!\\")(?:%b)' % words) if words else None, kinds)


def _as_json(rule: Rule) -> bytes:
    text = json.dumps(rule.marker).encode()
    return text if rule.where is Where.WHOLE else text[:-1]


def _rules_of(client: str) -> _ClientRules:
    own = [rule for rule in RULES if client in rule.program.clients]
    said = [rule for rule in own if rule.where in {Where.SAID, Where.WHOLE}]
    system = [rule for rule in own if rule.where is Where.SYSTEM]
    return _ClientRules(
        said=_texts([rule for rule in said if not rule.is_tool_free]),
        system=_texts([rule for rule in system if not rule.is_tool_free]),
        said_without_tools=_texts(said),
        system_without_tools=_texts(system),
        headers=tuple([_header_rules(name, own) for name in dict.fromkeys([rule.header for rule in own]) if name]),
    )


def _header_rules(name: str, rules: list[Rule]) -> tuple[bytes, re.Pattern[bytes], Mapping[bytes, Kind]]:
    kinds = {rule.marker.encode(): rule.kind for rule in rules if rule.header == name}
    return name.encode(), re.compile(b"|".join([re.escape(each) for each in kinds if each])), kinds


_ENDPOINTS = {rule.marker: rule.kind for rule in RULES if rule.where is Where.ENDPOINT}
_CLIENTS = {client: _rules_of(client) for client in {client for rule in RULES for client in rule.program.clients}}
_HEADERS = {client: tuple([name for name, _, _ in rules.headers]) for client, rules in _CLIENTS.items()}


def read_clues(client: str, head: Mapping[bytes, bytes]) -> Clues | None:
    """What a rule about `client` reads of a request's headers; for most clients there is none."""
    names = _HEADERS.get(client)
    return {name: head[name][:_MAX_CLUE_BYTES] for name in names if name in head} if names else None


def find_kind(client: str, endpoint: str, clues: Clues | None, request: ParsedRequest) -> Kind:
    """
    What a call is for. What the user's last message says counts first, then the system prompt, then the headers: a
    sub-agent's conversation that is summed up is a compaction.
    """
    kind = _ENDPOINTS.get(endpoint)
    if kind is not None:
        return kind
    limit, outline = request.output_limit, request.outline
    if limit is not None and limit <= PROBE_TOKENS and outline.messages == 1 and len(outline.said) <= PROBE_BYTES:
        return Kind.PROBE
    rules = _CLIENTS.get(client)
    if rules is None:
        return Kind.TURN
    if outline.tools:
        kind = rules.said.find(outline.said) or rules.system.find(outline.system)
    else:
        kind = rules.said_without_tools.find(outline.said) or rules.system_without_tools.find(outline.system)
    return kind or (_by_header(rules, clues) if clues else None) or Kind.TURN


def _by_header(rules: _ClientRules, clues: Clues) -> Kind | None:
    for name, pattern, kinds in rules.headers:
        value = clues.get(name)
        if value is None:
            continue
        found = pattern.search(value)
        kind = kinds.get(found.group() if found is not None else b"")
        if kind is not None:
            return kind
    return None
