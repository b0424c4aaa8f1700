"""What is wrong with values of `config.json` that are each right by themselves."""

from collections.abc import Iterator, Mapping, Sequence

from copilot_api.config.budgets import parse_budget
from copilot_api.config.schema import ConfigFile
from copilot_api.config.wording import LONGEST_SHOWN, Path, did_you_mean, shown
from copilot_api.errors import BadRequest

Contradiction = tuple[Path, str, str]
"""Where, what is wrong, and what is allowed."""


def find_contradictions(config: ConfigFile) -> Iterator[Contradiction]:
    """What is wrong with values that are each right by themselves."""
    yield from _check_upstreams(config)
    yield from _check_fallbacks(config)
    yield from _check_default_alias(config)
    yield from _check_budgets(config)
    yield from _check_endpoint(config)


def upstream_of(config: ConfigFile, name: str) -> str:
    """Copilot's id of what clients call `name`, by the file alone."""
    entry = config.models.get(name)
    return (entry.upstream if entry else "") or name


def _check_upstreams(config: ConfigFile) -> Iterator[Contradiction]:
    for name, entry in config.models.items():
        target = upstream_of(config, entry.upstream) if entry.upstream not in {"", name} else entry.upstream
        if target != entry.upstream:
            problem = f"{shown(entry.upstream)} is an alias itself, for {shown(target)}"
            yield ("models", name, "upstream"), problem, "a model's id, never another alias"


def _check_fallbacks(config: ConfigFile) -> Iterator[Contradiction]:
    group = _group_by_loop({name: entry.fallback for name, entry in config.models.items()})
    for name, entry in config.models.items():
        own = upstream_of(config, name)
        seen: dict[str, str] = {}
        for place, fallback in enumerate(entry.fallback):
            path, target = ("models", name, "fallback", place), upstream_of(config, fallback)
            if target == own or fallback == name:
                is_it = fallback in {name, own}
                problem = f"{shown(name)} falls back to itself" if is_it else f"{shown(fallback)} is the same model"
                yield path, problem, "other models"
            elif target in seen:
                is_it = seen[target] == fallback
                problem = "is said twice" if is_it else f"is the same model as {shown(seen[target])}"
                yield path, f"{shown(fallback)} {problem}", "each model once"
            elif group[name] == group.get(fallback):
                problem = f"{shown(fallback)} falls back to {shown(name)} in turn: a loop"
                yield path, problem, "names that do not lead back here"
            seen.setdefault(target, fallback)


def _group_by_loop(graph: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """A number for each name; those that lead to each other have the same (Kosaraju's two walks)."""
    order, visited = list[str](), set[str]()
    for start in graph:
        waiting = [(start, False)]
        while waiting:
            name, is_done = waiting.pop()
            if is_done:
                order.append(name)
            elif name not in visited:
                visited.add(name)
                waiting.append((name, True))
                waiting += [(each, False) for each in graph[name] if each in graph]
    backward: dict[str, list[str]] = {name: [] for name in graph}
    for name, targets in graph.items():
        for target in targets:
            if target in backward:
                backward[target].append(name)
    group: dict[str, int] = {}
    for number, start in enumerate(reversed(order)):
        left = [start]
        while left:
            name = left.pop()
            if name not in group:
                group[name] = number
                left += backward[name]
    return group


def _check_default_alias(config: ConfigFile) -> Iterator[Contradiction]:
    name = config.default_model_alias
    if not name:
        return
    entry = config.models.get(name)
    allowed = ", ".join(shown(each) for each in list(config.models)[:20]) or "none while models is empty"
    if entry is None:
        hint = did_you_mean(name, list(config.models))
        yield ("default_model_alias",), f"there is no {shown(name)} in models{hint}", f"a name in models: {allowed}"
    elif not entry.enabled:
        problem = f"{shown(name)} is switched off"
        yield ("default_model_alias",), problem, "a name in models that is enabled"


def _check_budgets(config: ConfigFile) -> Iterator[Contradiction]:
    names: set[str] = set()
    for place, text in enumerate(config.limits.budgets):
        path = ("limits", "budgets", place)
        try:
            budget = parse_budget(text)
        except BadRequest as error:
            problem = error.message if len(text) <= LONGEST_SHOWN else f"this is no budget: {shown(text)}"
            yield path, problem, error.actual_hint or ""
            continue
        if budget.name in names:
            yield path, f"there are two budgets {budget.name}", "one for each unit and window"
        names.add(budget.name)


def _check_endpoint(config: ConfigFile) -> Iterator[Contradiction]:
    endpoint = config.opentelemetry.endpoint
    for path in ("/v1/traces", "/v1/metrics"):
        if endpoint.rstrip("/").endswith(path):
            problem = f"{shown(endpoint)} is where one of them goes"
            yield ("opentelemetry", "endpoint"), problem, f"the URL without {path}: each gets its path at the end"
