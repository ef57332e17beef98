"""The tokenizer made of Marian's files numbers texts as transformers' MarianTokenizer does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from streamproc.errors import ModelRefused
from streamproc.offline.importing.marian import has_marian_tokenizer, marian_tokenizer
from streamproc.serving.chunking.tokens import TextTokenizer

FIXTURE = Path(__file__).parents[3] / "fixtures" / "marian"
SAID: dict[str, list[dict[str, Any]]] = json.loads((FIXTURE / "said.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_buffer(marian_tokenizer(FIXTURE))


@pytest.mark.parametrize("said", SAID["encoded"], ids=lambda said: str(said["text"])[:20])
def test_a_text_has_the_ids_that_sentencepiece_gives_it(
    tokenizer: Tokenizer, said: dict[str, Any]
) -> None:
    assert tokenizer.encode(said["text"]).ids == said["ids"]


@pytest.mark.parametrize("said", SAID["decoded"], ids=lambda said: str(said["text"])[:20])
def test_what_was_written_reads_as_sentencepiece_reads_it(
    tokenizer: Tokenizer, said: dict[str, Any]
) -> None:
    assert tokenizer.decode(said["ids"]) == said["text"]


def test_a_worker_can_use_it_and_finds_the_end_behind_a_text() -> None:
    tokenizer = TextTokenizer(marian_tokenizer(FIXTURE))
    vocabulary = json.loads((FIXTURE / "vocab.json").read_text("utf-8"))
    assert tokenizer.vocabulary_size == len(vocabulary)
    assert tokenizer.frame.after.tolist() == [vocabulary["</s>"]]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("vocab.json", b"[]", "not a vocabulary"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 2}', "from 0 on"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 1}', "lacks <pad>"),
        ("source.spm", b"\xff\xff", "not a model of sentencepiece"),
        ("target.spm", b"", "not a model of sentencepiece"),
        ("target_vocab.json", b"{}", "a vocabulary for each language"),
    ],
)
def test_files_that_are_something_else_are_refused(
    tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    shutil.copytree(FIXTURE, tmp_path, dirs_exist_ok=True)
    assert has_marian_tokenizer(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelRefused, match=said):
        marian_tokenizer(tmp_path)
