"""Hugging Face folders become members that answer as transformers' pipelines do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import ModelRefused, OperatorError, TrainingError
from streamproc.testing import tokenizer_json
from streamproc.testing.generative import byte_tokenizer_json
from tests.support.hub_imports import answers, imported, saved

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("logs_stay")]
pytest.importorskip("optimum")

FIXTURES = Path(__file__).parents[1] / "fixtures"
TEXTS = ("the good film", "bad film, the bad film!", "a film the film the good.")
CONTEXT = "the good film, the bad film. a bad end."


def bert(folder: Path, kind: str, **config: Any) -> Path:
    """A BERT of random weights for that class of transformers, and a WordPiece tokenizer."""
    import torch
    import transformers

    tokenizer = tokenizer_json()
    torch.manual_seed(1)
    shape = transformers.BertConfig(
        vocab_size=len(json.loads(tokenizer)["model"]["vocab"]),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
        **config,
    )
    return saved(folder, getattr(transformers, kind)(shape), tokenizer)


def pipeline(task: str, folder: Path, **options: Any) -> Any:
    """transformers' own answers, of the same folder."""
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        **{f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep")},
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    return transformers.pipeline(task, str(folder), tokenizer=tokenizer, device="cpu", **options)


def test_a_text_classifier_answers_as_its_pipeline(tmp_path: Path) -> None:
    labels = {0: "calm", 1: "angry", 2: "spam"}
    source = bert(tmp_path / "calls", "BertForSequenceClassification", id2label=labels)

    imported(source, tmp_path / "models")

    ask = pipeline("text-classification", source, top_k=None)
    found = answers(tmp_path / "models", "text-classification", [{"text": t} for t in TEXTS])
    for text, result in zip(TEXTS, found, strict=True):
        expected = {said["label"]: said["score"] for said in ask([text])[0]}
        assert result["scores"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("outputs", "more"),
    [(3, ()), (1, ("--label=toxic",))],
)
def test_a_classifier_of_several_labels_answers_as_its_pipeline(
    outputs: int, more: tuple[str, ...], tmp_path: Path
) -> None:
    labels = dict(enumerate(("refund", "delivery", "praise"))) if outputs > 1 else {0: "LABEL_0"}
    kind = "multi_label_classification"
    source = bert(
        tmp_path / "topics", "BertForSequenceClassification", id2label=labels, problem_type=kind
    )

    imported(source, tmp_path / "models", *more)

    ask = pipeline("text-classification", source, top_k=None)
    found = answers(tmp_path / "models", "text-classification", [{"text": t} for t in TEXTS])
    for text, result in zip(TEXTS, found, strict=True):
        # The pipeline's own default is the sigmoid here.
        said = ask([text])[0]
        assert said == ask([text], function_to_apply="sigmoid")[0]
        expected = {one["label"].replace("LABEL_0", "toxic"): one["score"] for one in said}
        assert result["scores"] == pytest.approx(expected, abs=1e-4)
        assert result["labels"] == [name for name, score in expected.items() if score >= 0.5]
        assert (result["label"], result["score"]) == next(iter(result["scores"].items()))


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_regression_answers_as_its_pipeline(outputs: int, tmp_path: Path) -> None:
    names = dict(enumerate(("valence", "arousal", "dominance"))) if outputs > 1 else {0: "LABEL_0"}
    source = bert(
        tmp_path / "mood",
        "BertForSequenceClassification",
        id2label=names,
        problem_type="regression",
    )

    imported(source, tmp_path / "models")

    ask = pipeline("text-classification", source, top_k=None)
    found = answers(tmp_path / "models", "text-classification", [{"text": t} for t in TEXTS])
    for text, result in zip(TEXTS, found, strict=True):
        said = ask([text])[0]
        assert said == ask([text], function_to_apply="none")[0]
        assert said != ask([text], function_to_apply="sigmoid")[0]
        expected = {one["label"]: one["score"] for one in said}
        own = result["values"] if outputs > 1 else {"LABEL_0": result}
        assert {name: one["value"] for name, one in own.items()} == pytest.approx(
            expected, abs=1e-4
        )
        assert all(one["spread"] == 0 for one in own.values())


def test_a_token_classifier_answers_as_its_pipeline(tmp_path: Path) -> None:
    labels = {0: "O", 1: "B-PER", 2: "I-PER"}
    source = bert(tmp_path / "names", "BertForTokenClassification", id2label=labels)

    imported(source, tmp_path / "models")

    ask = pipeline("token-classification", source, aggregation_strategy="simple")
    found = answers(tmp_path / "models", "token-classification", [{"text": t} for t in TEXTS])
    spans = 0
    for text, result in zip(TEXTS, found, strict=True):
        expected = ask(text)
        spans += len(expected)
        assert [(e["entity_group"], e["start"], e["end"]) for e in result["entities"]] == [
            (e["entity_group"], e["start"], e["end"]) for e in expected
        ]
        scores = [e["score"] for e in expected]
        assert [e["score"] for e in result["entities"]] == pytest.approx(scores, abs=1e-4)
    assert spans


def test_a_question_answerer_answers_as_its_pipeline(tmp_path: Path) -> None:
    source = bert(tmp_path / "reader", "BertForQuestionAnswering")

    imported(source, tmp_path / "models")

    expected = pipeline("question-answering", source)(question="film", context=CONTEXT)
    asked = {"question": "film", "context": CONTEXT}
    (found,) = answers(tmp_path / "models", "question-answering", [asked])
    assert (found["start"], found["end"]) == (expected["start"], expected["end"])
    assert found["score"] == pytest.approx(expected["score"], abs=1e-4)


def test_a_gpt2_writes_what_transformers_generates(tmp_path: Path) -> None:
    import torch

    from tests.support.causal_models import build_causal

    model = build_causal("gpt2")
    source = saved(tmp_path / "writer", model, byte_tokenizer_json())

    imported(source, tmp_path / "models", "--window=64")

    prompt, ask = "the film", {"do_sample": False, "max_new_tokens": 12}
    found = answers(
        tmp_path / "models", "text-generation", [{"text": prompt, "params": {"max_new_tokens": 12}}]
    )
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    written = model.generate(ids, attention_mask=torch.ones_like(ids), **ask)[0, ids.shape[1] :]
    assert found[0]["generated_text"] == tokenizer.decode(written.tolist())


def test_a_bart_translates_as_transformers_does(tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer

    from tests.support.seq2seq_models import build_seq2seq

    tokenizer = Tokenizer.from_buffer(tokenizer_json())
    padding, end = (tokenizer.token_to_id(token) for token in ("[PAD]", "[SEP]"))
    size = tokenizer.get_vocab_size()
    model = build_seq2seq("bart", vocabulary=size, end=end, padding=padding)
    source = saved(tmp_path / "translator", model, tokenizer_json())

    imported(source, tmp_path / "models", "--task=translation")

    params = {"max_new_tokens": 12, "num_beams": 1}
    (found,) = answers(tmp_path / "models", "translation", [{"text": "the film", "params": params}])
    ids = torch.tensor([tokenizer.encode("the film").ids])
    written = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, num_beams=1, do_sample=False
    )
    _, *tokens = (token for token in written[0].tolist() if token != end)
    assert found["translation_text"] == tokenizer.decode(tokens) != ""


def test_a_folder_that_optimum_exported_is_taken_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamproc.offline.training.hugging_face import export_folder

    source = bert(tmp_path / "tone", "BertForSequenceClassification", id2label={0: "x", 1: "y"})
    (tmp_path / "exported").mkdir()
    export_folder(source, "text-classification", tmp_path / "exported")
    for name in [name for name in sys.modules if name.startswith("streamproc.offline.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)

    imported(tmp_path / "exported", tmp_path / "models")

    with pytest.raises(OperatorError, match=r"torch.*install streamproc\[train\]"):
        imported(source, tmp_path / "models", "--member=again")
    member = tmp_path / "models" / "mine" / "exported" / "1" / "model.onnx"
    assert member.read_bytes() == (tmp_path / "exported" / "model.onnx").read_bytes()


def test_a_folder_of_weights_without_a_head_is_refused(tmp_path: Path) -> None:
    source = bert(tmp_path / "base", "BertModel")

    with pytest.raises(TrainingError, match=r"no weights for classifier"):
        imported(
            source, tmp_path / "models", "--task=text-classification", "--label=a", "--label=b"
        )
    assert not (tmp_path / "models").exists()


def test_another_tokenizer_than_the_ensembles_is_refused(tmp_path: Path) -> None:
    labels = {0: "calm", 1: "angry"}
    source = bert(tmp_path / "calls", "BertForSequenceClassification", id2label=labels)
    imported(source, tmp_path / "models")
    (source / "tokenizer.json").write_bytes(tokenizer_json(("other", "words")))

    with pytest.raises(ModelRefused, match="another tokenizer"):
        imported(source, tmp_path / "models", "--member=second")


def test_a_marian_without_a_tokenizer_json_translates_as_transformers_does(tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer

    from tests.support.seq2seq_models import build_seq2seq

    for name in ("source.spm", "target.spm", "vocab.json"):
        folder = tmp_path / "opus-mt"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes((FIXTURES / "marian" / name).read_bytes())
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    padding, end = vocabulary["<pad>"], vocabulary["</s>"]
    model = build_seq2seq("marian", vocabulary=len(vocabulary), end=end, padding=padding)
    model.save_pretrained(folder)

    imported(folder, tmp_path / "models")

    params = {"max_new_tokens": 12, "num_beams": 1}
    text = "Tom is not at home."
    (found,) = answers(tmp_path / "models", "translation", [{"text": text, "params": params}])
    said = json.loads((FIXTURES / "marian" / "said.json").read_text("utf-8"))["encoded"]
    ids = torch.tensor([next(one["ids"] for one in said if one["text"] == text)])
    written = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, num_beams=1, do_sample=False
    )
    tokenizer = Tokenizer.from_file(str(tmp_path / "models" / "mine" / "tokenizer.json"))
    assert found["translation_text"] == tokenizer.decode(written[0].tolist()) != ""


def test_a_tokenizer_in_transformers_older_files_is_made_into_one(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    source = bert(tmp_path / "tone", "BertForSequenceClassification", id2label={0: "x", 1: "y"})
    (source / "tokenizer.json").unlink()
    vocabulary = Tokenizer.from_buffer(tokenizer_json()).get_vocab()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    # BERT's own tokenizer has a token that ours has not; it takes the place of one never used.
    pieces[vocabulary["##-"]] = "[MASK]"
    (source / "vocab.txt").write_text("\n".join(pieces), "utf-8")

    imported(source, tmp_path / "models")

    made = Tokenizer.from_file(str(tmp_path / "models" / "mine" / "tokenizer.json"))
    own = Tokenizer.from_buffer(tokenizer_json())
    assert [made.encode(text).ids for text in TEXTS] == [own.encode(text).ids for text in TEXTS]

    (source / "vocab.txt").rename(source / "spiece.model")
    with pytest.raises(OperatorError, match=r"no tokenizer\.json.*It has spiece\.model: make one"):
        imported(source, tmp_path / "others")
