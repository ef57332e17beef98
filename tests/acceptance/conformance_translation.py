"""One member's translations: what transformers' generate writes with the same exported model.

`python -m tests.acceptance.conformance_translation --count 300` (needs the train extra)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from streamproc.serving.chunking.sentences import sentences
from tests.support.answers_of_run import answers_of_run
from tests.support.report import say, tell
from tests.support.seq2seq_models import KINDS
from tests.support.texts import rows
from tests.support.translation_models import Translator, random_translator, shipped_translator

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
    return answers_of_run("translation", translator.models, translator.ensemble, requests, folder)


@dataclass(frozen=True, slots=True)
class Comparison:
    """different: the texts whose translation is another than transformers'

    translations: how many different ones there are; a model that says the same whatever it is asked
        shows nothing by saying what transformers says
    """

    different: list[str]
    translations: int


def compare(translator: Translator, texts: Sequence[str], beams: int, folder: Path) -> Comparison:
    """Each text alone with transformers, all at once with streamproc."""
    params = {"num_beams": beams, "max_new_tokens": MAX_NEW_TOKENS}
    requests = [{"text": text, "params": params} for text in texts]
    answers = our_answers(translator, requests, folder)
    theirs = translator.generate(texts, beams, MAX_NEW_TOKENS)
    assert all(answer["coverage"]["chunks"] == 1 for answer in answers), "more than one sentence"
    ours = [answer["result"]["translation_text"] for answer in answers]
    different = [text for text, our, their in zip(texts, ours, theirs, strict=True) if our != their]
    return Comparison(different, len(set(ours)))


def main(
    count: int = 300, ensemble: str = "translation-en-de", member: int = 0, random: bool = False
) -> None:
    """Real sentences, greedily and with four beams; exit with 1 when a translation differs,
    or when so few of them differ from each other that this says little.

    random: instead of the ensemble's member, Marian, T5 and BART of random weights
    """
    texts = single_sentences(count)
    figures: dict[str, Any] = {"texts": len(texts)}
    good = True
    for kind in KINDS if random else (ensemble,):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            translator = (
                random_translator(kind, folder)
                if random
                else shipped_translator(ensemble, member, folder)
            )
            for beams in BEAMS:
                found = compare(translator, texts, beams, folder)
                name = f"{kind}_{beams}_beams"
                figures[f"{name}_different"] = len(found.different)
                figures[f"{name}_translations"] = found.translations
                good = good and not found.different and found.translations > len(texts) // 10
                say(f"{name}: {len(found.different)} differ {found.different[:3]}")
    tell("translations against transformers' generate", figures, good)


if __name__ == "__main__":
    typer.run(main)
