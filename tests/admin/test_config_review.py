"""A change of config.json before it is made: on the file as it is, and only on that."""

import asyncio
from dataclasses import replace

import pytest

from copilot_api.admin import config_review
from copilot_api.admin.config_review import BASE, edit_file, read_file, require_config, review, save
from copilot_api.admin.requests import StepUpRequired
from copilot_api.config.store import ConfigConflict
from copilot_api.errors import BadRequest
from copilot_api.upstream.catalog import Catalog
from tests.admin.services import World
from tests.gateway.calls import make_model


def test_everything_else_in_the_file_stays_as_it_is_written(world: World) -> None:
    world.store.path.write_text('{ "version": 1,\n   "limits": {"max_body_mb": 5} }\n')
    config = require_config(world.services.config)
    file = asyncio.run(read_file(config))
    assert edit_file(file, [(("limits", "max_body_mb"), 6)], []) == file.text.replace("5", "6").encode()
    assert file.said == {"version": 1, "limits": {"max_body_mb": 5}}


def test_without_a_file_the_change_makes_one(world: World) -> None:
    config = require_config(world.services.config)
    file = asyncio.run(read_file(config))
    found = asyncio.run(review(config, file, edit_file(file, [(("limits", "max_body_mb"), 6)], [])))
    assert (file.hash, found.problems, found.impact) == ("", [], None)


def test_a_file_that_is_no_object_says_so(world: World) -> None:
    config = require_config(world.services.config)
    for text in ("[]", "{", '{"version"'):
        world.store.path.write_text(text)
        assert asyncio.run(read_file(config)).failure


def test_what_is_wrong_has_the_path_of_its_field(world: World) -> None:
    config = require_config(world.services.config)
    file = asyncio.run(read_file(config))
    found = asyncio.run(review(config, file, b'{"limits": {"max_body_mb": 0}, "x": 1}'))
    assert [path for path, _ in found.problems] == ["limits.max_body_mb", "x"]


def test_what_changes_models_has_an_impact_or_says_why_not(world: World) -> None:
    config = require_config(world.services.config)
    file = asyncio.run(read_file(config))
    content = b'{"exposure": "listed"}'
    assert asyncio.run(review(config, file, content)).impact_failure
    world.catalog = Catalog([make_model("a")])
    assert asyncio.run(review(config, file, content)).impact is not None


def test_it_is_written_with_the_key_shown_again_and_on_the_file_that_was_seen(world: World) -> None:
    config = require_config(world.services.config)
    base = world.configure({"version": 1})
    content = b'{"version": 1, "limits": {"max_body_mb": 6}}'
    with pytest.raises(StepUpRequired):
        asyncio.run(save(world.request("/x", method="POST", form={BASE: base}), config, content))
    world.is_stepped_up = True
    with pytest.raises(ConfigConflict):
        asyncio.run(save(world.request("/x", method="POST", form={BASE: "other"}), config, content))
    asyncio.run(save(world.request("/x", method="POST", form={BASE: base}), config, content))
    assert world.source.config.limits.max_body_mb == 6


def test_it_is_not_waited_for_ever_until_it_is_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_review, "IN_FORCE_SECONDS", 0.1)
    world.is_stepped_up = True
    config = require_config(world.services.config)

    class Late:
        hash, rejected = "another", None

        def __getattr__(self, name: str) -> object:
            return getattr(world.source, name)

    config.source = Late()  # type: ignore[assignment]
    asyncio.run(save(world.request("/x", method="POST", form={BASE: ""}), config, b"{}"))
    assert world.store.read_content()[0] == b"{}"


def test_without_a_file_there_is_nothing_to_change(world: World) -> None:
    with pytest.raises(BadRequest):
        require_config(replace(world.services, config=None).config)
