"""Serve an ONNX file of your own: a model that scores a text's token ids, one score a label.

    python examples/serve_your_own_model.py tone.onnx tokenizer.json calm angry

The labels are in the order of the model's outputs. `streamproc models import` makes an ensemble of
one member out of the file; more members, and models from Hugging Face, join in the same way
(docs/bring-your-own.md). Workers answer with it when it lies in their models folder and a request
has "ensemble": "tone", or when the topic's description in topics/ names it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import streamproc

MODELS = Path("my-models")
TEXT = "I have been waiting for three weeks."


def import_model(model: str, tokenizer: str, labels: list[str]) -> None:
    """Write `my-models/tone`, once the model has been tried out as a worker would run it."""
    command = [sys.executable, "-m", "streamproc", "models", "import", model]
    command += ["--ensemble", "tone", "--task", "text-classification", "--tokenizer", tokenizer]
    command += [f"--label={label}" for label in labels]
    subprocess.run([*command, "--out", str(MODELS)], check=True)


async def main(model: str, tokenizer: str, *labels: str) -> None:
    """Import the model, and ask it."""
    import_model(model, tokenizer, list(labels))
    settings = streamproc.Settings(models_dir=MODELS)
    async with streamproc.LocalClient.of_task(settings, ensemble="tone") as client:
        response = await client.ask({"text": TEXT})
    print(f"{TEXT} {response['result']['scores']}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
