"""The settings tree."""

import dataclasses

import pytest

from copilot_api.config.binding import is_loopback
from copilot_api.config.schema import Limits
from copilot_api.config.settings import AdmissionLimits, QueueSettings, Settings, UpstreamSettings


def test_the_defaults_are_safe() -> None:
    settings = Settings()
    assert is_loopback(settings.host)
    assert not settings.is_open
    assert settings.port == 4141
    assert settings.upstream.api_url is None
    assert settings.upstream.github_url.startswith("https://")
    assert settings.upstream.github_api_url.startswith("https://")


def test_the_default_limit_is_the_files() -> None:
    assert Settings().max_body_bytes == Limits().max_body_mb * 1024 * 1024


def test_the_defaults_of_the_queue_are_the_files() -> None:
    limits, queue = Limits(), QueueSettings()
    assert queue == Settings().queue
    assert queue.max_in_flight == limits.max_in_flight_per_identity
    assert queue.timeout_seconds == limits.queue_timeout_s
    assert queue.max_waiting == limits.max_queue_length


def test_no_key_is_limited_unless_somebody_says_so_and_no_proxy_is_trusted() -> None:
    assert Settings().limits == AdmissionLimits(None, None, None, ())
    assert Settings().trusted_proxies == ()


def test_nobody_changes_them() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        UpstreamSettings().api_url = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().limits.rpm = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().queue.max_in_flight = 1  # type: ignore[misc]


def test_the_token_is_not_shown() -> None:
    settings = Settings(upstream=UpstreamSettings(github_token="gho_secret"))
    assert "gho_secret" not in repr(settings)
    assert "gho_secret" not in str(settings)
