"""Values that are each right by themselves, and wrong together."""

import random
from typing import Any

import msgspec
import pytest

from copilot_api.config.consistency import find_contradictions, upstream_of
from copilot_api.config.schema import ConfigFile


def found_in(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Where and what."""
    config = msgspec.convert(document, ConfigFile)
    return [(".".join(map(str, path)), problem) for path, problem, _ in find_contradictions(config)]


def models(**entries: dict[str, Any]) -> dict[str, Any]:
    return {"models": {name.replace("_", "-"): entry for name, entry in entries.items()}}


@pytest.mark.parametrize(
    "document",
    [
        {},
        models(fast={"upstream": "gpt-5-mini"}, quick={"upstream": "gpt-5-mini"}),
        models(fast={"upstream": "gpt-5-mini"}, gpt_5_mini={"default_effort": "low"}),
        models(fast={"upstream": "gpt-5-mini"}, gpt_5_mini={"upstream": "gpt-5-mini"}),
        models(fast={"upstream": "fast"}),
        models(fast={"upstream": "a", "fallback": ["b", "slow"]}, slow={"upstream": "c", "fallback": ["d", "e"]}),
        models(a={"fallback": ["b", "c"]}, b={"fallback": ["d"]}, c={"fallback": ["d"]}),
        models(fast={"upstream": "a", "fallback": ["b"]}) | {"default_model_alias": "fast"},
        {"limits": {"budgets": ["credits:day:5", "credits:hour:5", "tokens:day:5"]}},
        {"opentelemetry": {"endpoint": "http://127.0.0.1:4318"}},
        {"opentelemetry": {"endpoint": "https://collector.example/v1/traces/of-a-team"}},
    ],
)
def test_what_goes_together_is_let_through(document: dict[str, Any]) -> None:
    assert found_in(document) == []


@pytest.mark.parametrize(
    ("document", "path", "problem"),
    [
        (models(fast={"upstream": "quick"}, quick={"upstream": "gpt-5"}), "models.fast.upstream", '"quick" is an alias itself, for "gpt-5"'),
        (models(a={"upstream": "b"}, b={"upstream": "x"}, c={"upstream": "x"}), "models.a.upstream", '"b" is an alias itself, for "x"'),
        (models(fast={"fallback": ["fast"]}), "models.fast.fallback.0", '"fast" falls back to itself'),
        (models(fast={"upstream": "x", "fallback": ["y", "fast"]}), "models.fast.fallback.1", '"fast" falls back to itself'),
        (models(fast={"upstream": "x", "fallback": ["x"]}), "models.fast.fallback.0", '"fast" falls back to itself'),
        (models(fast={"upstream": "x", "fallback": ["quick"]}, quick={"upstream": "x"}), "models.fast.fallback.0", '"quick" is the same model'),
        (models(fast={"fallback": ["x", "y", "x"]}), "models.fast.fallback.2", '"x" is said twice'),
        (models(fast={"fallback": ["x", "quick"]}, quick={"upstream": "x"}), "models.fast.fallback.1", '"quick" is the same model as "x"'),
        ({"default_model_alias": "fast"}, "default_model_alias", 'there is no "fast" in models'),
        (models(fast={}) | {"default_model_alias": "fest"}, "default_model_alias", 'there is no "fest" in models; did you mean fast?'),
        (models(fast={"enabled": False}) | {"default_model_alias": "fast"}, "default_model_alias", '"fast" is switched off'),
        ({"limits": {"budgets": ["credits:day:5", "credit:daily:6:observe"]}}, "limits.budgets.1", "there are two budgets credits:day"),
        ({"limits": {"budgets": ["credits:day:0"]}}, "limits.budgets.0", "a budget's amount is more than 0 and at most 1e+15"),
        ({"opentelemetry": {"endpoint": "http://c:4318/v1/traces"}}, "opentelemetry.endpoint", '"http://c:4318/v1/traces" is where one of them goes'),
        ({"opentelemetry": {"endpoint": "http://c:4318/v1/metrics/"}}, "opentelemetry.endpoint", '"http://c:4318/v1/metrics/" is where one of them goes'),
    ],
)  # fmt: skip
def test_what_cannot_do_what_it_says_is_found(document: dict[str, Any], path: str, problem: str) -> None:
    assert found_in(document) == [(path, problem)]


def test_a_loop_is_found_at_each_of_its_steps_and_nowhere_else() -> None:
    document = models(a={"fallback": ["b"]}, b={"fallback": ["x", "c"]}, c={"fallback": ["a"]}, d={"fallback": ["a"]})
    loops = [path for path, problem in found_in(document) if "a loop" in problem]
    assert loops == ["models.a.fallback.0", "models.b.fallback.1", "models.c.fallback.0"]


def test_a_long_chain_is_walked_in_no_time_and_without_recursion() -> None:
    chain: dict[str, dict[str, Any]] = {f"m{i}": {"fallback": [f"m{i + 1}"]} for i in range(20_000)}
    assert found_in({"models": chain}) == []
    chain["m20000"] = {"fallback": ["m0"]}
    assert len(found_in({"models": chain})) == 20_001


def test_loops_are_those_that_following_the_names_finds() -> None:
    chance = random.Random(7)
    for _ in range(200):
        names = [f"m{i}" for i in range(6)]
        graph = {name: chance.sample([n for n in names if n != name], chance.randint(0, 3)) for name in names}

        def reaches(start: str, goal: str, graph: dict[str, list[str]] = graph) -> bool:
            seen, left = set[str](), [start]
            while left:
                name = left.pop()
                if name == goal:
                    return True
                if name not in seen:
                    seen.add(name)
                    left += graph[name]
            return False

        expected = {
            f"models.{name}.fallback.{place}"
            for name, targets in graph.items()
            for place, target in enumerate(targets)
            if reaches(target, name)
        }
        document = {"models": {name: {"fallback": targets} for name, targets in graph.items()}}
        assert {path for path, _ in found_in(document)} == expected


def test_the_upstream_of_a_name_is_the_name_itself_where_the_file_says_no_other() -> None:
    config = msgspec.convert(models(fast={"upstream": "x"}, own={}), ConfigFile)
    assert [upstream_of(config, name) for name in ("fast", "own", "other")] == ["x", "own", "other"]
