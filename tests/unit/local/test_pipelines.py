"""`streamproc.pipeline`: what it takes, what it refuses. What transformers makes of the same calls
is in tests/acceptance/test_pipelines_of_transformers.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamproc
from streamproc.errors import Invalid, ModelRefused, SettingsError
from tests.support.small_ensembles import SMALL

Make = Callable[..., Any]

INPUTS: dict[str, Any] = {
    "text-classification": "good",
    "token-classification": "the good film",
    "question-answering": {"question": "what", "context": "the good film was good"},
    "translation": "A dog.",
    "summarization": "A dog.",
    "text-generation": "It was",
}


@pytest.mark.parametrize("task", SMALL)
def test_a_task_alone_is_enough_and_so_is_an_ensemble(task: str, pipeline: Make) -> None:
    by_task, by_ensemble = pipeline(task), pipeline(model=SMALL[task])

    assert by_task(INPUTS[task]) == by_ensemble(INPUTS[task])
    assert by_ensemble.task == task
    assert repr(by_task) == f"<streamproc.pipeline {task!r} of ensemble {SMALL[task]!r}>"


def test_tasks_have_their_other_names(pipeline: Make) -> None:
    tasks = [pipeline(name).task for name in ("sentiment-analysis", "ner", "translation_en_to_de")]

    assert tasks == ["text-classification", "token-classification", "translation"]


def test_an_ensemble_may_be_named_by_its_folder(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)
    with streamproc.pipeline(model=Path("sentiment")) as ask:
        (by_path,) = ask("good")
    with streamproc.pipeline(model="./../models0/sentiment".replace("models0", models.name)) as ask:
        (by_text,) = ask("good")
    # A name is that of an ensemble in the folder of models, wherever this runs.
    with streamproc.pipeline(model="sentiment") as ask:
        (by_name,) = ask("good")

    assert by_path == by_text != by_name


def test_what_is_no_ensemble_is_told(models: Path, settings: streamproc.Settings) -> None:
    with pytest.raises(ModelRefused, match=r"has no manifest\.toml"):
        streamproc.pipeline("ner", models / "nosuch", settings=settings)
    with pytest.raises(ModelRefused, match="found object"):
        streamproc.pipeline("ner", object(), settings=settings)  # type: ignore[call-overload]


def test_the_responses_say_what_an_answer_does_not(pipeline: Make) -> None:
    ask = pipeline("sentiment-analysis")

    whole, other = ask.responses(["good", "bad"], return_members=True)

    assert [{"label": whole["result"]["label"], "score": whole["result"]["score"]}] == ask("good")
    assert 0 <= whole["agreement"] <= 1
    assert len(other["members"]) == 2
    assert all("result" in member for member in other["members"])
    assert ask.responses([None])[0]["status"] == "error"


def test_a_generator_is_read_as_far_ahead_as_a_batch(pipeline: Make) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for number in range(10):
            read.append(f"good {number}")
            yield read[-1]

    ask = pipeline("sentiment-analysis")
    one_by_one = ask(texts())
    next(one_by_one)
    read_for_one = len(read)
    by_four = ask(texts(), batch_size=4)
    next(by_four)

    assert read_for_one == 1
    assert len(read) - read_for_one == 4
    assert len(list(one_by_one)) == 9


def test_what_has_items_by_number_is_read_like_a_generator(pipeline: Make) -> None:
    class Dataset:
        """As torch has them, and transformers' KeyDataset."""

        def __len__(self) -> int:
            return 3

        def __getitem__(self, place: int) -> str:
            return ["good", "bad", "film"][place]

    ask = pipeline("sentiment-analysis")

    assert list(ask(Dataset(), batch_size=2)) == ask(["good", "bad", "film"])


def test_texts_may_be_in_an_array(pipeline: Make) -> None:
    ask = pipeline("ner", ignore_labels=[])

    assert list(ask(np.array(["the good film", "bad"]))) == ask(["the good film", "bad"])


def test_a_question_gets_responses_however_it_is_asked(pipeline: Make) -> None:
    ask = pipeline("question-answering")
    asked = {"question": "what", "context": "the good film"}

    (by_keywords,) = ask.responses(**asked, top_k=2)
    (by_dict,) = ask.responses(asked, top_k=2)

    assert by_keywords["result"] == by_dict["result"]
    assert len(by_dict["result"]["answers"]) == 2


def test_what_a_generator_raises_comes_out(pipeline: Make) -> None:
    def texts() -> Iterator[str]:
        yield "good"
        raise OSError("the disk is gone")

    answers = pipeline("sentiment-analysis")(texts())

    assert next(answers)["label"]
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)


def test_an_input_that_can_not_be_answered_is_named(pipeline: Make) -> None:
    ask = pipeline("sentiment-analysis")

    with pytest.raises(Invalid, match=r"text: .* \(input 1, counted from 0\)"):
        ask(["good", None, "bad"])
    with pytest.raises(Invalid, match="can't be written as JSON"):
        ask("half a pair: \ud800")


def test_several_continuations_of_one_prompt_differ_and_come_again(pipeline: Make) -> None:
    write = pipeline("text-generation", do_sample=True, temperature=5.0, max_new_tokens=8)

    several = write("It was", num_return_sequences=3)

    assert len({one["generated_text"] for one in several}) == 3
    assert write("It was", num_return_sequences=3) == several
    assert write("It was", num_return_sequences=3, seed=7) != several


def test_params_of_streamproc_are_taken_too(pipeline: Make) -> None:
    write = pipeline("text-generation")

    (answer,) = write("It was", next_tokens=2, combine="logit_mean", max_new_tokens=2)

    assert [sorted(token) for token in answer["next_tokens"]] == [["probability", "token"]] * 2


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("sentiment-analysis", {"topk": 2}, "takes no topk=; did you mean top_k="),
        ("sentiment-analysis", {"function_to_apply": "sigmoid"}, "to which 'softmax' is applied"),
        ("sentiment-analysis", {"max_length": 16}, "pass truncation=True"),
        ("sentiment-analysis", {"max_length": 9**9, "truncation": True}, "tokens at most"),
        ("sentiment-analysis", {"max_length": "a", "truncation": True}, "a whole number"),
        ("sentiment-analysis", {"batch_size": 0}, "batch_size=0: must be a whole number"),
        ("ner", {"aggregation": "simple", "stride": 10_000}, "overlap by .* at most"),
        ("ner", {"aggregation_strategy": 5}, "aggregation_strategy=5: can't be that"),
        ("text-generation", {"handle_long_generation": "cut"}, "can't be that"),
        ("text-generation", {"num_return_sequences": 0}, "at least 1"),
        ("ner", {"stride": 2}, "compares entities"),
        ("ner", {"is_split_into_words": True}, "cut into words by the ensemble's tokenizer"),
        ("question-answering", {"max_answer_length": 3}, "did you mean max_answer_len="),
        ("translation", {"do_sample": True}, "searched for"),
        ("translation", {"truncation": True}, "nothing is cut off"),
        ("text-generation", {"max_length": 30}, "counts the prompt's tokens too"),
        ("text-generation", {"stop_sequence": "."}, r"pass stop=\[\.\.\.\]"),
        ("text-generation", {"return_tensors": True}, "token ids are not given"),
        ("ner", {"tokenizer": "bert-base-cased"}, "brings its own"),
        ("ner", {"device_map": {"": 0}}, "ONNX Runtime runs the models"),
        ("ner", {"torch_dtype": "float16"}, "precision"),
        ("ner", {"trust_remote_code": True}, "no model brings code"),
        ("ner", {"device": "tpu"}, "DEVICE"),
    ],
)
def test_what_is_not_possible_is_refused_before_anything_is_asked(
    task: str, options: dict[str, Any], said: str, pipeline: Make
) -> None:
    with pytest.raises(SettingsError, match=said):
        pipeline(task, **options)


def test_what_changes_nothing_is_taken(pipeline: Make) -> None:
    ask = pipeline(
        *("sentiment-analysis", "sentiment"),
        device="cpu",
        use_fast=True,
        framework="pt",
        torch_dtype="auto",
        trust_remote_code=False,
        model_kwargs={},
        tokenizer=None,
        batch_size=8,
    )

    assert ask("good", padding=True, num_workers=2) == ask("good")


def test_a_keyword_of_a_call_is_refused_too_and_lists_those_there_are(pipeline: Make) -> None:
    with pytest.raises(SettingsError, match=r"takes no tokp=; .* It takes: .*top_k"):
        pipeline("sentiment-analysis")("good", tokp=2)


def test_tasks_and_ensembles_that_are_not_there_are_told(settings: streamproc.Settings) -> None:
    with pytest.raises(SettingsError, match="did you mean 'token-classification'"):
        streamproc.pipeline("token-clasification", settings=settings)
    with pytest.raises(ModelRefused, match="did you mean 'sentiment'"):
        streamproc.pipeline("sentiment-analysis", "sentimant", settings=settings)
    with pytest.raises(ModelRefused, match="for token-classification there are: entities"):
        streamproc.pipeline("ner", "sentiment", settings=settings)
    with pytest.raises(SettingsError, match=r"needs a task, .* or model=, an ensemble"):
        streamproc.pipeline(settings=settings)


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("text-classification", {"text": "a", "text_pair": "b"}),
        ("text-classification", 5),
        ("text-classification", b"bytes"),
        ("token-classification", []),
        ("token-classification", [["a", "b"]]),
        ("question-answering", {"question": "what"}),
        ("question-answering", "what"),
        ("text-generation", [{"role": "user", "content": "hi"}]),
        ("translation", 5),
    ],
)
def test_an_input_of_another_kind_is_refused_with_one_sentence(
    task: str, wrong: Any, pipeline: Make
) -> None:
    with pytest.raises(Invalid):
        pipeline(task)(wrong)


def test_questions_and_contexts_must_be_as_many(pipeline: Make) -> None:
    ask = pipeline("question-answering")

    with pytest.raises(Invalid, match="2 questions and 1 contexts"):
        ask(question=["a", "b"], context=["c"])
    with pytest.raises(Invalid, match="question= and context= are needed"):
        ask(question="a")
