"""Ask models in this process: nothing to start, nothing but a folder of models.

    python examples/ask_without_kafka.py

The models are those of STREAMPROC_MODELS_DIR, by default the shipped ones.
"""

from __future__ import annotations

import asyncio

import streamproc

CONTEXT = "The bridge was opened in 1932. Its arch spans 503 metres, and the trains run on it."
QUESTIONS = ["When was the bridge opened?", "How long is the arch?"]


async def main() -> None:
    """Ask all questions about one text; requests that are asked together run as one batch."""
    settings = streamproc.Settings()
    async with streamproc.LocalClient.of_task(settings, "question-answering") as client:
        responses = await asyncio.gather(
            *(client.ask({"question": question, "context": CONTEXT}) for question in QUESTIONS)
        )
    for question, response in zip(QUESTIONS, responses, strict=True):
        result = response["result"]
        print(f"{question} {result['answer']!r} ({result['score']:.2f})")


if __name__ == "__main__":
    asyncio.run(main())
