"""Test code that asks streamproc, without a model and without Kafka.

    pytest examples/test_your_own_code.py

`angry_customers` stands for your own code. It takes any `streamproc.Client`, so that a service
gives it a `RequestClient`, and a test a `ScriptedClient`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import streamproc
from streamproc.testing import ScriptedClient


async def angry_customers(client: streamproc.Client, reviews: Mapping[str, str]) -> Sequence[str]:
    """Who wrote a review that is clearly negative; one that can't be answered is passed over."""
    responses = await asyncio.gather(*(client.ask({"text": text}) for text in reviews.values()))
    return [
        customer
        for customer, response in zip(reviews, responses, strict=True)
        if response["status"] != "error"
        and response["result"]["label"] == "negative"
        and response["result"]["score"] > 0.8
    ]


def sentiment(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the models would say, as this test has it."""
    score = 0.95 if "awful" in request["text"] else 0.55
    return {"label": "negative", "score": score}


def test_only_who_is_clearly_angry_is_called() -> None:
    client = ScriptedClient(sentiment)

    found = asyncio.run(angry_customers(client, {"ann": "It was awful.", "bob": "Not for me."}))

    assert found == ["ann"]
    assert client.asked[0] == {"text": "It was awful."}


def test_a_review_that_can_not_be_answered_is_passed_over() -> None:
    def refuse(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise streamproc.errors.TooLarge("request too large", "1048577 bytes")

    assert asyncio.run(angry_customers(ScriptedClient(refuse), {"ann": "It was awful."})) == []
