"""Who shares the account: their keys, what they call with, and when they work."""

from dataclasses import dataclass, field

from copilot_api.config.budgets import parse_budget
from copilot_api.keys.models import KeyPolicy


@dataclass(frozen=True, slots=True)
class Habit:
    """One thing that somebody does, and how often."""

    client: str
    endpoint: str
    models: tuple[str, ...]
    """Names as the client uses them; one that stands twice is used twice as often."""
    kinds: tuple[str, ...] = ("turn",)
    share: float = 1.0


CLAUDE_CODE = Habit(
    "claude-code",
    "/v1/messages",
    ("claude-sonnet-4.6", "claude-sonnet-4.6", "claude-opus-4.8", "smart"),
    (*["turn"] * 14, "subagent", "subagent", "subagent", "title", "warm_up", "compaction"),
)
COUNTING = Habit("claude-code", "/v1/messages/count_tokens", ("claude-sonnet-4.6",), ("count_tokens",), 0.06)
CODEX = Habit("codex", "/v1/responses", ("gpt-5.3-codex", "gpt-5.3-codex", "gpt-5-mini"), (*["turn"] * 9, "subagent"))
OPENCODE = Habit("opencode", "/v1/chat/completions", ("smart", "gpt-4.1"), (*["turn"] * 8, "title"))
PYTHON = Habit("openai-python", "/v1/chat/completions", ("gpt-4.1", "fast", "gpt-5-mini"))
EMBEDDINGS = Habit("openai-python", "/v1/embeddings", ("text-embedding-3-small",), ("embeddings",), 0.5)
NODE = Habit("openai-node", "/v1/chat/completions", ("gpt-4.1", "gpt-5-mini"))
CURL = Habit("curl", "/v1/chat/completions", ("fast",), ("turn", "turn", "probe"), 0.2)


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever, or whatever, holds a key."""

    label: str
    habits: tuple[Habit, ...]
    busy: float
    """Calls in an hour of work."""
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    starts: int = 8
    """The hour, in UTC, at which the day begins."""
    is_machine: bool = False
    """Works as much at night, and on Sundays."""


PEOPLE = (
    Person(
        "ada",
        (CLAUDE_CODE, COUNTING, CURL),
        9.0,
        KeyPolicy(rpm=60, tpm=400_000, weight=2, budgets=(parse_budget("credits:day:400"),)),
    ),
    Person(
        "grace",
        (CODEX, PYTHON),
        11.0,
        KeyPolicy(budgets=(parse_budget("credits:month:20000"), parse_budget("credits:day:300:observe"))),
    ),
    Person("katherine", (CLAUDE_CODE, COUNTING), 7.0, KeyPolicy(weight=2), starts=14),
    Person("linus", (OPENCODE, CURL), 5.0, KeyPolicy(rpm=40), starts=7),
    Person("margaret", (CODEX, CLAUDE_CODE), 6.0, starts=15),
    Person("search-backend", (EMBEDDINGS, PYTHON), 6.0, KeyPolicy(max_in_flight=4), is_machine=True),
    Person("docs-bot", (NODE,), 1.5, KeyPolicy(("gpt-4.1", "gpt-5-mini"), rpm=20), is_machine=True),
    Person(
        "ci",
        (NODE, CURL),
        4.0,
        KeyPolicy(("gpt-4.1", "gpt-5-mini"), rpm=30, max_in_flight=2, observe=("rpm",)),
        starts=9,
    ),
)
"""Those whose keys are good. What a key may do is what it may do today; see `copilot_api.demo.history`."""
