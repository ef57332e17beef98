"""One member's continuations: what transformers' generate writes with the same exported model.

`python -m tests.acceptance.conformance_generation --count 300` (needs the train extra)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from tests.support.answers_of_run import answers_of_run
from tests.support.causal_models import KINDS
from tests.support.generators import Generator, random_generator, shipped_generator
from tests.support.report import say, tell
from tests.support.texts import rows, sample_texts

NEW_TOKENS, NEXT_TOKENS = 64, 20


@dataclass(frozen=True, slots=True)
class Compared:
    """different: prompts continued otherwise; odds_off_by: at most, over the first tokens."""

    different: list[str]
    odds_off_by: float


def real_prompts(count: int) -> list[str]:
    """Beginnings of articles and of reviews, of 5 to 200 characters, no two alike."""
    texts = [row["text"] for row in rows("lm_wikitext2")]
    texts += [row["text"] for row in rows("sentiment_open")]
    lengths = np.random.default_rng(4).integers(5, 200, len(texts))
    prompts = (text[:length].strip() for text, length in zip(texts, lengths, strict=True))
    return list(dict.fromkeys(filter(None, prompts)))[:: max(1, len(texts) // (2 * count))][:count]


def sample_prompts() -> list[str]:
    """Twenty that are committed."""
    return [text[:60] for text in sample_texts()[::5]]


def compared(generator: Generator, prompts: Sequence[str], folder: Path) -> Compared:
    """Ours, all at once, and transformers', one after the other."""
    params = {"max_new_tokens": NEW_TOKENS, "next_tokens": NEXT_TOKENS}
    requests = [{"text": text, "params": params} for text in prompts]
    answers = answers_of_run(
        "text-generation", generator.models, generator.ensemble, requests, folder
    )
    different, off_by = [], 0.0
    theirs = generator.generate(prompts, NEW_TOKENS, NEXT_TOKENS)
    for prompt, answer, (text, odds) in zip(prompts, answers, theirs, strict=True):
        result = answer["result"]
        ours = [token["probability"] for token in result["next_tokens"]]
        off_by = max(off_by, float(np.abs(np.subtract(ours, odds)).max()))
        if result["generated_text"] != text:
            different.append(prompt)
    return Compared(different, off_by)


def main(
    count: int = 300, ensemble: str = "generation", member: int = 0, random: bool = False
) -> None:
    """Real prompts, 64 tokens each; exit with 1 when a text differs or odds by more than 1e-4.

    random: instead of the ensemble's member, GPT-2 and Llama of random weights
    """
    prompts = real_prompts(count)
    figures: dict[str, Any] = {"prompts": len(prompts)}
    good = True
    for kind in KINDS if random else (ensemble,):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            generator = (
                random_generator(kind, folder)
                if random
                else shipped_generator(ensemble, member, folder)
            )
            found = compared(generator, prompts, folder)
        figures[f"{kind}_different"] = len(found.different)
        figures[f"{kind}_odds_off_by"] = found.odds_off_by
        good = good and not found.different and found.odds_off_by < 1e-4
        say(f"{kind}: {len(found.different)} of {len(prompts)} differ {found.different[:3]}")
    tell("continuations against transformers' generate", figures, good)


if __name__ == "__main__":
    typer.run(main)
