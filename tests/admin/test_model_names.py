"""The names that a key may call models by."""

from copilot_api.admin.model_names import list_names, list_talkers
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.keys.models import KeyPolicy
from copilot_api.upstream.catalog import EMBEDDINGS, Catalog
from tests.admin.services import World
from tests.gateway.calls import make_model


def test_before_the_catalog_was_read_there_are_none(world: World) -> None:
    assert list_names(world.services, world.clock.now()) == []
    assert list_talkers(world.services, world.clock.now(), world.asking) == []


def test_a_key_sees_what_it_may_use_and_a_list_to_choose_from_sees_all(world: World) -> None:
    world.catalog = Catalog([make_model("gpt-4.1"), make_model("o3"), make_model("vectors", EMBEDDINGS)])
    world.exposure = Exposure({"fast": ModelAlias("gpt-4.1"), "broken": ModelAlias("gone")})
    key = world.stored.keys.issue("ci", policy=KeyPolicy(models=("fast", "vectors", "broken")), actor="test").key
    now = world.clock.now()
    assert list_names(world.services, now) == ["fast", "broken", "gpt-4.1", "o3", "vectors"]
    assert list_names(world.services, now, key) == ["fast", "vectors"]
    assert list_talkers(world.services, now, key) == ["fast"]
