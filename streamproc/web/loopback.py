"""Whether an address is this machine's own, for itself; and whether a request says such a name.

Where nobody is asked who they are, a server answers to no other name: any page that somebody opens
could else read it by letting a name of its own lead here (DNS rebinding).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether an address or a name is this machine's own, for itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def asks_loopback(host: str | None) -> bool:
    """Whether a request's `Host` header, with or without a port, is such a name."""
    try:
        return is_loopback(urlsplit(f"//{host or ''}").hostname or "")
    except ValueError:
        return False
