from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

import onnxruntime
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, pipeline

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByField
from streamproc.offline.corpus.records import Columns, read_labelled_texts
from streamproc.offline.training.events import Event, MemberExported
from streamproc.offline.training.labelled_chunks import LabelledChunk
from streamproc.offline.training.member import Member
from streamproc.offline.training.record_requests import one_member_spec
from streamproc.offline.training.scoring import onnx_scorer
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.tasks.text_classification import TextClassification as Served
from streamproc.serving.verification.scores import count_batch_variant, largest_difference
from tests.support.training_plans import review_recipe, reviews
from tests.support.trainings import changed, epochs, events_of

pytestmark = pytest.mark.train


def chunks(path: Path, base: Path, folder: Path) -> list[LabelledChunk[Chunk]]:
    """Of the texts of a file, as members of the ensemble in the folder are handed them."""
    task, tokenizer = review_recipe(base), TextTokenizer((folder / "tokenizer.json").read_bytes())
    spec = one_member_spec(tokenizer, task.labels(), task.window)
    return list(task.chunks(enumerate(read_labelled_texts(path)), spec))


@pytest.fixture(scope="module")
def trained(
    corpus: Path, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Event]]:
    out = tmp_path_factory.mktemp("trained")
    return out, events_of(reviews(corpus, base, out))


def test_members_learn_what_the_corpus_teaches(trained: tuple[Path, list[Event]]) -> None:
    exported = [told.exported for told in trained[1] if isinstance(told, MemberExported)]

    assert len(exported) == 2
    for one in exported:
        assert one.validation_fp32.metrics["accuracy"] > 0.9
        assert one.validation.metrics["accuracy"] > 0.9


def test_the_manifest_describes_the_files_beside_it(trained: tuple[Path, list[Event]]) -> None:
    folder = trained[0] / "models" / "tiny"
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))

    assert manifest["license"] == 'made "here"'
    assert manifest["labels"] == ["negative", "positive"]
    assert manifest["window"] == {"max_tokens": 32, "overlap_tokens": 8}
    assert [member["name"] for member in manifest["members"]] == ["part-1-of-2", "part-2-of-2"]
    assert sum(member["weight"] for member in manifest["members"]) == pytest.approx(1, abs=1e-3)
    for entry in (manifest["tokenizer"], *manifest["members"]):
        content = (folder / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert entry.get("size_bytes", len(content)) == len(content)


def test_torch_and_onnx_agree_and_int8_does_not_depend_on_the_batch(
    trained: tuple[Path, list[Event]], corpus: Path, base: Path
) -> None:
    folder = trained[0] / "models" / "tiny"
    cut = [one.chunk for one in chunks(corpus / "valid.jsonl", base, folder)]
    mixed = [cut[n : n + 16] for n in range(0, len(cut), 16)]
    signature = Served().signature(labels=2)
    work = trained[0] / "work" / "part-1-of-2"
    torch_model = AutoModelForSequenceClassification.from_pretrained(work)

    assert largest_difference(
        Member(torch_model, "text-classification", None).score,
        onnx_scorer(work / "model.onnx", signature),
        mixed,
    ) < (1e-5)
    int8 = onnx_scorer(folder / "part-1-of-2" / "1" / "model.onnx", signature)
    assert count_batch_variant(int8, mixed) == 0
    assert len({np.stack(int8(batch)).tobytes() for batch in mixed}) == len(mixed)


def test_the_int8_graph_has_the_inputs_and_outputs_that_a_worker_expects(
    trained: tuple[Path, list[Event]],
) -> None:
    path = trained[0] / "models" / "tiny" / "part-2-of-2" / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    assert {(i.name, i.type, len(i.shape)) for i in session.get_inputs()} == {
        (name, "tensor(int64)", 2) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    (output,) = session.get_outputs()
    assert (output.name, output.type, output.shape[1]) == ("logits", "tensor(float)", 2)


def test_the_tokenizer_neither_cuts_nor_pads_nor_loses_words(
    trained: tuple[Path, list[Event]],
) -> None:
    tokenizer = Tokenizer.from_file(str(trained[0] / "models" / "tiny" / "tokenizer.json"))

    encoding = tokenizer.encode("good " * 50 + "zyzzyva!")

    assert (tokenizer.truncation, tokenizer.padding) == (None, None)
    assert tokenizer.get_vocab_size() <= 170
    assert encoding.tokens[:2] == ["[CLS]", "good"]
    assert encoding.tokens[-9:] == ["z", *(f"##{c}" for c in "yzzyva"), "!", "[SEP]"]


def test_the_fp32_folder_is_one_that_transformers_reads(
    trained: tuple[Path, list[Event]],
) -> None:
    from transformers import PreTrainedTokenizerFast

    work = trained[0] / "work" / "part-1-of-2"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(work / "tokenizer.json"),
        pad_token="[PAD]",  # noqa: S106  # no password
    )
    classify = pipeline("text-classification", model=str(work), tokenizer=tokenizer)

    assert [one["label"] for one in classify(["it was lovely", "it was awful"])] == [
        "positive",
        "negative",
    ]


def test_the_same_seed_gives_the_same_ensemble_and_another_seed_another(
    trained: tuple[Path, list[Event]], corpus: Path, base: Path, tmp_path: Path
) -> None:
    once = reviews(corpus, base, tmp_path / "again")
    events_of(once)
    other = changed(reviews(corpus, base, tmp_path / "other"), seed=2)
    events_of(other)

    def manifest(out: Path) -> str:
        return (out / "models" / "tiny" / "manifest.toml").read_text(encoding="utf-8")

    assert manifest(tmp_path / "again") == manifest(trained[0])
    assert manifest(tmp_path / "other") != manifest(trained[0])


def test_training_stops_when_validation_no_longer_improves(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    patient = dataclasses.replace(
        changed(
            reviews(corpus, base, tmp_path), epochs=30, patience=2, batch=32, learning_rate=0.0
        ),
        partitioning=ByField("shop"),
    )
    told = events_of(patient)

    assert [(one.best, one.converged) for one in epochs(told, "a")] == [
        (True, False),
        (False, False),
        (False, True),
    ]


def test_a_label_without_a_name_is_an_error_that_names_it(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    wrong = reviews(corpus, base, tmp_path, columns=Columns(label="shop"))

    with pytest.raises(TrainingError, match=r"train\.jsonl: labels a, b are not named"):
        events_of(wrong)

    assert not (tmp_path / "models").exists()


def test_windows_longer_than_the_model_are_refused(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    wrong = reviews(corpus, base, tmp_path, window=Window(33, 8))

    with pytest.raises(TrainingError, match="33 tokens do not fit a model of 32 positions"):
        events_of(wrong)


def test_long_texts_are_covered_by_windows_that_overlap_as_asked(
    trained: tuple[Path, list[Event]], corpus: Path, base: Path
) -> None:
    folder = trained[0] / "models" / "tiny"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cut = chunks(corpus / "train.jsonl", base, folder)
    texts = [record.text for record in read_labelled_texts(corpus / "train.jsonl")]
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    for index, expected in enumerate(ids):
        pieces = [one.chunk.ids[1:-1] for one in cut if one.record == index]
        whole = np.concatenate([pieces[0], *(piece[8:] for piece in pieces[1:])])
        assert whole.tolist() == expected
    assert max(map(len, ids)) > 60
