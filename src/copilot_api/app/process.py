"""What is set for the whole process."""

import contextlib
import gc
import resource
import ssl

from copilot_api.config.settings import Settings


def spare_the_collector() -> None:
    """
    Keep Python's cycle collector from walking what lives as long as the process, and from running at every few calls.

    A call leaves no cycles behind; what it costs to look for them is in docs/concepts/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 20, 50)


def allow_many_connections() -> None:
    """A stream takes two descriptors, and the usual soft limit of 1,024 is there for programs that use `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def load_tls(settings: Settings) -> ssl.SSLContext | None:
    """What `--tls-cert` and `--tls-key` name; None where they name nothing."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context
