"""What a gateway says where no request came that it could read: problems, as everywhere else."""

from __future__ import annotations

from streamproc.settings.gateway import GatewaySettings
from streamproc.web.bounded_http import NOT_HTTP, TOO_LARGE, TOO_SLOW, Refusal
from streamproc.web.gateway.problems import GatewayProblem


def headers_too_large(settings: GatewaySettings) -> GatewayProblem:
    """The request line and the headers together have more bytes than they may."""
    return GatewayProblem(
        "headers-too-large",
        f"more than {settings.max_header_bytes} bytes (STREAMPROC_GATEWAY_MAX_HEADER_BYTES)",
        headers={"Connection": "close"},
    )


def refusal_of(settings: GatewaySettings) -> Refusal:
    """What answers in the place of the application."""
    problems = {
        NOT_HTTP: GatewayProblem("not-http", "ask by HTTP/1.1"),
        TOO_SLOW: GatewayProblem("slow-headers", f"not there after {settings.body_timeout_s:g} s"),
        TOO_LARGE: headers_too_large(settings),
    }

    def refusal(status: int) -> tuple[bytes, str]:
        said = problems[status].outcome
        return said.body, said.media_type

    return refusal
