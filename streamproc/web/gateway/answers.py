"""What addresses that speak another API share: fields in, responses' fields out, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Request

from streamproc.web.gateway.asking import fields_of
from streamproc.web.gateway.gateway import Gateway, carried_headers, while_connected
from streamproc.web.gateway.models import NamedModel
from streamproc.web.gateway.preferences import read_preferences
from streamproc.web.gateway.problems import GatewayProblem

Fields = Mapping[str, Any]
Answer = dict[str, Any]
"""A response's fields."""


async def answers_of(
    gateway: Gateway, request: Request, model: NamedModel, asked: Sequence[Fields]
) -> list[Answer]:
    """The responses of an ensemble to requests of its task, in their order.

    asked: the fields of each, such as {"text": …, "params": …}
    Raises GatewayProblem for the first that has no answer: these APIs have no place for one in a
    list of answers.
    """
    most = gateway.settings.max_batch
    if len(asked) > most:
        detail = f"{len(asked)} inputs; at most {most} (STREAMPROC_GATEWAY_MAX_BATCH)"
        raise GatewayProblem("batch-too-large", detail)
    bodies = [body_of(model, fields) for fields in asked]
    gateway.admit(request, bodies)
    asking = gateway.asker.responses(
        model.topic,
        bodies,
        wait_s=gateway.wait_s(read_preferences(request.headers.getlist("prefer"))),
        headers=carried_headers(request),
    )
    return [fields_of(one) for one in await while_connected(request.receive, asking)]


def body_of(model: NamedModel, fields: Fields) -> bytes:
    """A request of an ensemble as JSON; raises GatewayProblem where its fields are none."""
    try:
        return orjson.dumps({**fields, "ensemble": model.name})
    except TypeError:
        raise GatewayProblem(
            "invalid", "parameters: half of a character, or an integer of more than 64 bits"
        ) from None
