"""A key is taken out of the configuration and its former versions, and nothing else of them changes."""

import json

import pytest

from copilot_api.errors import StorageUnavailable
from copilot_api.privacy.config_mentions import ConfigCounts, ConfigMentions
from copilot_api.privacy.models import Needles
from tests.privacy.site import ADMIN, LABEL, Site


def mentions(site: Site) -> ConfigMentions:
    return ConfigMentions(site.config, Needles(site.key.id, (site.key.prefix,), (LABEL,)))


def erase(site: Site) -> ConfigCounts:
    return mentions(site).erase(actor=ADMIN, audit=site.stored.audit)


def test_it_is_named_by_id_by_prefix_and_by_label(site: Site) -> None:
    site.write_config(["*"], [site.key.id, "x", site.key.prefix, LABEL])
    assert mentions(site).list_models() == ["fast"]
    assert mentions(site).count() == ConfigCounts(mentions=3)
    assert erase(site).mentions == 3
    assert site.config.read().config.models["fast"].allowed_keys == ["x"]


def test_a_list_that_becomes_empty_is_nobodys(site: Site) -> None:
    site.write_config([site.key.id])
    erase(site)
    assert site.config.read().config.models["fast"].allowed_keys == []


def test_every_other_character_of_the_file_stays(site: Site) -> None:
    text = '{\n  "version": 1,\n\n  "models": { "fast": {"allowed_keys" : ["a", "X"],  "note":"n"} }\n}\n'.replace(
        "X", LABEL
    )
    site.config.replace(text.encode(), expected=None, actor=ADMIN, audit=site.stored.audit)
    erase(site)
    assert site.stored.directory.config.read_text() == text.replace(f', "{LABEL}"', "")


def test_former_versions_are_rid_of_it_and_can_still_be_gone_back_to(site: Site) -> None:
    site.write_config([site.key.id, "a"], ["b"], [LABEL], ["c"])
    before = site.config.history()
    assert erase(site) == ConfigCounts(versions_rewritten=2)
    after = site.config.history()
    assert [version.at for version in after] == [version.at for version in before]
    lists = [json.loads(site.config.read_version(each.id))["models"]["fast"]["allowed_keys"] for each in after]
    assert lists == [[], ["b"], ["a"]]
    assert site.config.rollback(after[-1].id, actor=ADMIN, audit=site.stored.audit).config.models[
        "fast"
    ].allowed_keys == ["a"]


def test_the_version_that_is_replaced_by_erasing_is_rid_of_it_too(site: Site) -> None:
    site.write_config([site.key.id, "a"])
    assert erase(site) == ConfigCounts(mentions=1, versions_rewritten=1)
    assert site.files_with(site.key.id) == {"copilot-api.db", "copilot-api.db-wal"} & site.files_with(site.key.id)


def test_a_version_that_names_it_elsewhere_is_deleted(site: Site) -> None:
    site.write_config(["a"])
    content = site.stored.directory.config.read_text().replace('"upstream"', f'"note": "{site.key.id}", "upstream"')
    site.stored.directory.config.write_text(content)
    site.write_config(["b"])
    assert erase(site) == ConfigCounts(versions_deleted=1)
    assert site.config.history() == []


def test_a_file_that_cannot_be_used_stays_as_it_is(site: Site) -> None:
    for text in (
        f'{{"version": 1, "models": {{"fast": {{"allowed_keys": ["{site.key.id}"], "x": 1}}}}}}',
        "{",
        "[]",
        '{"models": 3}',
    ):
        site.stored.directory.config.write_text(text)
        assert erase(site) == ConfigCounts()
        assert site.stored.directory.config.read_text() == text


def test_without_a_file_there_is_nothing_to_do(site: Site) -> None:
    assert mentions(site).count() == erase(site) == ConfigCounts()


def test_the_change_is_on_record_and_without_its_line_is_not_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write_config([site.key.id])

    def refuse(_event: object) -> None:
        raise StorageUnavailable("the audit log cannot be written")

    with monkeypatch.context() as patched:
        patched.setattr(site.stored.audit, "append", refuse)
        with pytest.raises(StorageUnavailable):
            erase(site)
    assert site.config.read().config.models["fast"].allowed_keys == [site.key.id]
    erase(site)
    assert site.audit_lines()[-1]["action"] == "config.changed"
