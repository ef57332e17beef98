"""After the show: Kafka and the worker stay, and a page shows them."""

from __future__ import annotations

import asyncio
import signal

from rich.console import Console

from streamproc.cli.demo.cluster import Cluster
from streamproc.logs import configure_logging


async def keep_running(console: Console, cluster: Cluster) -> None:
    """Returns at Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    kafka = cluster.settings.kafka_bootstrap_servers
    try:
        console.print(f"\nKafka at [bold]{kafka}[/] and the worker stay until Ctrl-C.")
        await _show_page(console, cluster, stop)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _show_page(console: Console, cluster: Cluster, stop: asyncio.Event) -> None:
    try:
        from streamproc.web.page.server import serve_page
    except ModuleNotFoundError:
        console.print(
            "A page shows them once [bold]pip install 'streamproc\\[gateway]'[/] is done."
        )
        await stop.wait()
        return
    configure_logging(cluster.settings.model_copy(update={"log_level": "error"}))

    def tell(address: str) -> None:
        console.print(f"The page is at [bold]{address}[/]")

    await serve_page(cluster.settings, "127.0.0.1", 0, stop, tell)
