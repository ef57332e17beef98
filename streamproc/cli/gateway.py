"""`streamproc gateway`: HTTP in front of the topics, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys

from streamproc.cli.options import KAFKA, with_gateway_settings, with_settings
from streamproc.errors import OperatorError
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings

_USED = (
    *KAFKA,
    "models_dir",
    "topics_dir",
    "max_message_bytes",
    "drain_timeout_s",
    "log_format",
    "log_level",
)


@with_settings(_USED)
@with_gateway_settings
def gateway(settings: Settings, gateway_settings: GatewaySettings) -> None:
    """Answer HTTP requests through Kafka, until SIGTERM.

    Any number of gateways run side by side with any number of workers. On SIGTERM or Ctrl-C
    requests that have come are answered first.
    """
    from streamproc.logs import configure_logging

    if sys.platform == "win32":
        from asyncio import run
    else:
        from uvloop import run

    configure_logging(settings)
    run(_until_told_to_stop(settings, gateway_settings))


async def _until_told_to_stop(settings: Settings, gateway_settings: GatewaySettings) -> None:
    try:
        from streamproc.web.gateway.server import run_gateway
    except ModuleNotFoundError as error:
        raise OperatorError(
            f"the gateway needs {error.name}; install streamproc[gateway]"
        ) from None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_gateway(settings, gateway_settings, stop)
