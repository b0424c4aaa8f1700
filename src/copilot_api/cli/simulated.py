"""A gateway and the simulator of Copilot in one process: for `demo` and `start --upstream simulator`."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import uvloop

from copilot_api import app
from copilot_api.cli.gateway import prepared
from copilot_api.config.binding import bind, shown_url
from copilot_api.config.paths import DataDirectory
from copilot_api.config.reload import SettingsSource
from copilot_api.config.settings import Settings
from copilot_api.simulator.options import SimulatorOptions
from copilot_api.simulator.server import serve
from copilot_api.upstream.identities import CredentialSource, Identity

SIMULATED_TOKEN = "ghu_simulated000000000000000000000000000"  # noqa: S105 -- the simulator takes any token of this form


def run_simulated(
    settings: Settings,
    directory: DataDirectory,
    *,
    source: SettingsSource | None = None,
    on_listening: Callable[[str], None],
    options: SimulatorOptions | None = None,
    credential: CredentialSource = CredentialSource.FLAG,
) -> None:
    """Serve until told to stop. A `credential` that is given cannot be exchanged for another one on the pages."""
    sockets = bind(settings.host, settings.port)
    url = shown_url(settings.host, sockets[0].getsockname()[1], is_tls=settings.tls_cert is not None)

    async def run() -> None:
        async with serve(options=options) as simulator:
            upstream = replace(
                settings.upstream,
                github_url=simulator.url,
                github_api_url=simulator.url,
                api_url=simulator.url,
                is_proxied=False,
            )
            identity = Identity(SIMULATED_TOKEN, credential)
            here = replace(settings, upstream=upstream)
            with prepared(here, directory, identity, source=source, on_listening=on_listening) as surroundings:
                await app.serve(here, surroundings, sockets, url)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
