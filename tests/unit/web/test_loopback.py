"""Which addresses and names are this machine's own."""

from __future__ import annotations

import pytest

from streamproc.web.loopback import asks_loopback, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "a.localhost"])
def test_an_address_of_this_machine_for_itself(host: str) -> None:
    assert is_loopback(host)
    name = f"[{host}]" if ":" in host else host
    assert asks_loopback(name)
    assert asks_loopback(f"{name}:8080")


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "10.0.0.1", "::", "example.org", "localhost.example.org", ""],  # noqa: S104
)
def test_an_address_that_others_reach_too(host: str) -> None:
    assert not is_loopback(host)
    name = f"[{host}]" if ":" in host else host
    assert not asks_loopback(f"{name}:8080")


@pytest.mark.parametrize("header", [None, "", ":", "[", "[::1", "127.0.0.1.evil.example:80", "@"])
def test_a_header_that_names_nothing_is_not_of_this_machine(header: str | None) -> None:
    assert not asks_loopback(header)
