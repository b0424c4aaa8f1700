"""`simulate`: the simulated GitHub Copilot alone, on a port."""

import click

from copilot_api.cli.options import option


@click.command
@option(
    "--port", "-p", type=click.IntRange(0, 65535), default=4142, show_default=True, help="Port; 0 takes a free one."
)
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def command(*, port: int, host: str) -> None:
    """
    Run the simulated GitHub Copilot alone.

    A gateway uses it when COPILOT_API_GITHUB_URL, COPILOT_API_GITHUB_API_URL and COPILOT_API_UPSTREAM_URL are its URL.
    """
    from copilot_api.config.binding import AddressUnusable
    from copilot_api.simulator.server import run

    try:
        run(host, port)
    except OSError as error:
        raise AddressUnusable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="choose another port with --port (0 takes any free one)",
        ) from error
