"""One member's translations: what transformers' generate writes with the same exported model.

`python -m tests.acceptance.conformance_translation --count 300` (needs the train extra)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import typer

from streamproc.chunking.sentences import sentences
from tests.train.seq2seq_models import KINDS

from .command import streamproc
from .report import say, tell
from .texts import rows
from .translation_models import Translator, random_translator, shipped_translator

MAX_NEW_TOKENS = 60
BEAMS = (1, 4)


def single_sentences(count: int) -> list[str]:
    """News and everyday sentences, half and half, of one sentence and 200 characters at most."""
    found: list[str] = []
    for data_set in ("mt_ntrex_ende", "mt_tatoeba_ende"):
        of_set = dict.fromkeys(
            text
            for text in (row["src"] for row in rows(data_set))
            if len(text) <= 190 and list(sentences(text)) == [(0, len(text))]
        )
        found += list(of_set)[: count - len(found) if found else count // 2]
    return found


def our_answers(
    translator: Translator, requests: Sequence[dict[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    """By `streamproc run`: all requests at once, so that their sentences run side by side."""
    asked, answers = folder / "requests.jsonl", folder / "answers.jsonl"
    asked.write_bytes(b"".join(orjson.dumps(request) + b"\n" for request in requests))
    done = streamproc(
        *("run", asked, "-o", answers, "--task", "translation", "--models-dir", translator.models),
        *("--ensemble", translator.ensemble),
        timeout_s=3600,
    )
    assert done.returncode == 0, done.stderr
    return list(map(orjson.loads, answers.read_bytes().splitlines()))


def differing(translator: Translator, texts: Sequence[str], beams: int, folder: Path) -> list[str]:
    """The texts whose translation is another than transformers'."""
    params = {"num_beams": beams, "max_new_tokens": MAX_NEW_TOKENS}
    requests = [{"text": text, "params": params} for text in texts]
    answers = our_answers(translator, requests, folder)
    theirs = translator.generate(texts, beams, MAX_NEW_TOKENS)
    assert all(answer["coverage"]["chunks"] == 1 for answer in answers), "more than one sentence"
    return [
        text
        for text, answer, expected in zip(texts, answers, theirs, strict=True)
        if answer["result"]["translation_text"] != expected
    ]


def main(
    count: int = 300, ensemble: str = "translation-en-de", member: int = 0, random: bool = False
) -> None:
    """Real sentences, greedily and with four beams; exit with 1 when a translation differs.

    random: instead of the ensemble's member, Marian, T5 and BART of random weights
    """
    texts = single_sentences(count)
    figures: dict[str, Any] = {"texts": len(texts)}
    for kind in KINDS if random else (ensemble,):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            translator = (
                random_translator(kind, folder)
                if random
                else shipped_translator(ensemble, member, folder)
            )
            for beams in BEAMS:
                others = differing(translator, texts, beams, folder)
                figures[f"{kind}_{beams}_beams_different"] = len(others)
                say(f"{kind}, {beams} beams: {len(others)} of {len(texts)} differ {others[:3]}")
    different = sum(found for name, found in figures.items() if name.endswith("different"))
    tell("translations against transformers' generate", figures, different == 0)


if __name__ == "__main__":
    typer.run(main)
