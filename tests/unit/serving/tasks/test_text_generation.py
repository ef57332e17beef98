from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from streamproc.errors import Invalid, MemberFailed
from streamproc.messages.response import Usage
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.engine import Engine
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.testing.generative import (
    Histories,
    ScriptedStepModel,
    build_byte_tokenizer,
    build_decoding_engine,
    build_decoding_spec,
    byte_tokenizer_json,
)
from tests.support.asking import answered

TOKENIZER = build_byte_tokenizer()
END = TOKENIZER.vocabulary_size - 1


class Writer(ScriptedStepModel):
    """A member that goes on from any prompt with one text, and then ends."""

    def __init__(self, name: str, text: str, prompt: str = "p", before: Any = None) -> None:
        super().__init__(name, TOKENIZER.vocabulary_size, before)
        self._text = ids(text)
        self._read = len(ids(prompt))

    def logits(self, tokens: Any) -> Any:
        written = len(tokens) - self._read
        following = self._text[written] if written < len(self._text) else END
        logits = np.zeros(TOKENIZER.vocabulary_size)
        logits[following] = 9.0
        return logits


def ids(text: str) -> list[int]:
    return [token for tokens in TOKENIZER.stream(text) for token in tokens.ids.tolist()]


def writing(text: str, prompt: str = "p", **spec: Any) -> Engine:
    """An engine of one member that writes a text after a prompt."""
    return build_decoding_engine(
        build_decoding_spec(["a"], **{"max_new_tokens": 40, **spec}),
        [Writer("a", text, prompt)],
    )


async def test_the_text_ends_where_the_members_end_it() -> None:
    answer = await answered(writing("all of it"), "p")

    assert answer.result == {"generated_text": "all of it", "finish_reason": "stop"}
    assert answer.coverage.characters_covered == answer.coverage.characters == 1
    assert not answer.coverage.truncated


async def test_the_text_ends_after_as_many_tokens_as_are_allowed() -> None:
    answer = await answered(writing("all of it"), "p", max_new_tokens=3)

    assert answer.result == {"generated_text": "all", "finish_reason": "length"}


@pytest.mark.parametrize(
    ("prompt", "params", "completion_tokens"),
    [
        ("p", {}, len("all of it")),
        ("a longer one", {}, len("all of it")),
        ("p", {"max_new_tokens": 3}, 3),
        ("p", {"return_full_text": True, "return_members": True}, len("all of it")),
    ],
    ids=["to its end", "a longer prompt", "cut", "with the prompt and each member's own"],
)
async def test_tokens_are_counted_as_the_models_read_and_wrote_them(
    prompt: str, params: dict[str, Any], completion_tokens: int
) -> None:
    answer = await answered(writing("all of it", prompt), prompt, **params)

    assert answer.usage == Usage(len(ids(prompt)), completion_tokens)


async def test_the_manifest_says_how_long_a_text_gets_otherwise() -> None:
    answer = await answered(writing("all of it", max_new_tokens=5), "p")

    assert answer.result == {"generated_text": "all o", "finish_reason": "length"}


async def test_the_text_is_cut_before_a_stop_string() -> None:
    answer = await answered(writing("one, two; three"), "p", stop=["; t", "three"])

    assert answer.result == {"generated_text": "one, two", "finish_reason": "stop"}


@pytest.mark.parametrize("text", ["é 中 🎉 👩‍👩‍👧", "e\u0301\u200d", "שלום", "a\r\n\tb"])
async def test_characters_of_several_tokens_are_written_whole(text: str) -> None:
    answer = await answered(writing(text, "é中"), "é中", return_full_text=True)

    assert answer.result["generated_text"] == "é中" + text


async def test_next_tokens_are_the_likeliest_with_their_combined_probabilities() -> None:
    spec = build_decoding_spec(["a", "b"])
    models = [ScriptedStepModel(name, TOKENIZER.vocabulary_size) for name in "ab"]
    odds = [np.exp(model.logits(ids("hello"))) for model in models]
    mean = sum(one / one.sum() for one in odds) / 2

    answer = await answered(
        build_decoding_engine(spec, models), "hello", next_tokens=4, max_new_tokens=1
    )

    found = answer.result["next_tokens"]
    likeliest = np.argsort(-mean)[:4]
    assert [one["probability"] for one in found] == pytest.approx(mean[likeliest])
    assert [one["token"] for one in found] == [TOKENIZER.decode([token]) for token in likeliest]


async def test_a_word_that_follows_has_its_space() -> None:
    answer = await answered(writing(" word"), "p", next_tokens=1)

    (likeliest,) = answer.result["next_tokens"]
    assert likeliest == {"token": " ", "probability": pytest.approx(0.97, abs=0.02)}


async def test_the_same_seed_gives_the_same_text_and_another_gives_another() -> None:
    engine = build_decoding_engine()
    texts = [
        (await answered(engine, "p", do_sample=True, seed=seed)).result["generated_text"]
        for seed in (1, 1, 2)
    ]

    assert texts[0] == texts[1] != texts[2]


async def test_without_a_seed_the_same_request_gets_the_same_text() -> None:
    engine = build_decoding_engine()
    same, again, other = [
        (await answered(engine, text, do_sample=True)).result["generated_text"]
        for text in ("p", "p", "q")
    ]

    assert same == again != other


async def test_each_members_own_text_is_what_it_writes_alone() -> None:
    engine = build_decoding_engine()
    alone = [
        await answered(build_decoding_engine(build_decoding_spec([name])), "p") for name in "abc"
    ]

    answer = await answered(engine, "p", return_members=True)

    assert [member.result for member in answer.members] == [one.result for one in alone]
    assert answer.result == (await answered(engine, "p")).result


async def test_a_member_that_fails_has_no_text_of_its_own_and_the_others_answer() -> None:
    def refuse(rows: Histories) -> None:
        if any(row[: len(ids("p"))] == tuple(ids("p")) for row in rows):
            raise MemberFailed("a", "broken")

    models = [
        ScriptedStepModel("a", TOKENIZER.vocabulary_size, refuse),
        ScriptedStepModel("b", TOKENIZER.vocabulary_size),
    ]
    spec = build_decoding_spec(["a", "b"], quorum=1)

    answer = await answered(build_decoding_engine(spec, models), "p", return_members=True)

    assert [member.status for member in answer.members] == ["failed", "ok"]
    assert answer.members[0].result is None
    assert answer.members[1].result == answer.result


async def test_a_member_lost_while_it_writes_alone_is_not_said_to_be_well() -> None:
    mine = tuple(ids("pX"))

    def refuse_its_own(rows: Histories) -> None:
        if any(row[: len(mine)] == mine for row in rows):
            raise MemberFailed("a", "its own text upsets it")

    spec = build_decoding_spec(["a", "b"], weights={"b": 9.0}, strategy="weighted")
    upset = Writer("a", "Xa", before=refuse_its_own)
    engine = build_decoding_engine(spec, [upset, Writer("b", "from b")])

    answer = await answered(engine, "p", return_members=True)

    assert answer.result["generated_text"] == "from b"
    assert [member.status for member in answer.members] == ["failed", "ok"]
    assert answer.members[0].result is None


async def test_weights_count_under_the_strategy_weighted() -> None:
    def engine(**weights: float) -> Engine:
        spec = build_decoding_spec(["a", "b"], weights=weights, strategy="weighted")
        return build_decoding_engine(spec, [Writer("a", "from a"), Writer("b", "from b")])

    heavy_a = await answered(engine(a=3.0), "p")
    heavy_b = await answered(engine(b=3.0), "p")

    assert heavy_a.result["generated_text"] == "from a"
    assert heavy_b.result["generated_text"] == "from b"
    # They part at the last letter only; until then all agree.
    assert heavy_a.agreement is not None
    assert 0.75 < heavy_a.agreement < 1


class TestPromptsTooLong:
    PROFILE = build_decoding_spec(["a"], max_tokens=20, max_new_tokens=8)

    async def test_are_refused_naming_both_lengths(self) -> None:
        with pytest.raises(Invalid, match=r"text: 30 tokens and 5 new ones; .* takes 20 together"):
            await answered(build_decoding_engine(self.PROFILE), "x" * 30, max_new_tokens=5)

    async def test_are_answered_by_fewer_new_tokens_where_none_were_asked_for(self) -> None:
        answer = await answered(writing("0123456789", "x" * 16, max_tokens=20), "x" * 16)

        assert answer.result == {"generated_text": "0123", "finish_reason": "length"}

    async def test_that_leave_no_room_at_all_are_refused(self) -> None:
        with pytest.raises(Invalid, match="text: 20 tokens and 1 new ones"):
            await answered(build_decoding_engine(self.PROFILE), "x" * 20)

    @pytest.mark.parametrize(
        ("truncate", "kept"), [("end", "abcdefghijklmno"), ("start", "fghijklmnopqrst")]
    )
    async def test_are_cut_at_the_end_that_is_named(self, truncate: str, kept: str) -> None:
        text = "abcdefghijklmnopqrst"
        seen: list[Histories] = []
        model = ScriptedStepModel("a", TOKENIZER.vocabulary_size, seen.append)

        answer = await answered(
            build_decoding_engine(self.PROFILE, [model]), text, truncate=truncate, max_new_tokens=5
        )

        assert seen[0][0] == tuple(ids(kept))
        assert answer.coverage.truncated
        assert (answer.coverage.characters, answer.coverage.characters_covered) == (20, 15)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == 15

    async def test_are_left_whole_where_there_is_room(self) -> None:
        answer = await answered(build_decoding_engine(self.PROFILE), "abc", truncate="start")

        assert answer.coverage.characters_covered == 3
        assert not answer.coverage.truncated

    async def test_new_tokens_beyond_what_the_model_takes_are_refused(self) -> None:
        with pytest.raises(Invalid, match=r"params\.max_new_tokens: 20 .* takes 20"):
            await answered(build_decoding_engine(self.PROFILE), "a", max_new_tokens=20)


class TestEmptyPrompts:
    async def test_are_refused_without_a_token_to_start_with(self) -> None:
        with pytest.raises(Invalid, match="text: must not be empty"):
            await answered(build_decoding_engine(), "")

    async def test_start_with_the_manifests_token(self) -> None:
        spec = with_start(build_decoding_spec(["a"]), END)
        seen: list[Histories] = []
        model = ScriptedStepModel("a", TOKENIZER.vocabulary_size, seen.append)

        answer = await answered(build_decoding_engine(spec, [model]), "")

        assert seen[0] == ((END,),)
        assert answer.coverage.characters == 0

    async def test_start_with_what_the_tokenizer_frames_a_text_by(self) -> None:
        seen: list[Histories] = []
        spec = build_decoding_spec(["a"], tokenizer=framing_tokenizer())
        model = ScriptedStepModel("a", spec.tokenizer.vocabulary_size, seen.append)

        await answered(build_decoding_engine(spec, [model]), "")

        assert seen[0] == ((END,),)


def with_start(spec: EnsembleSpec, token: int) -> EnsembleSpec:
    return replace(spec, decoding=spec.decodes.model_copy(update={"start_token": token}))


def framing_tokenizer() -> TextTokenizer:
    tokenizer = Tokenizer.from_buffer(byte_tokenizer_json())
    tokenizer.post_processor = TemplateProcessing(
        single="<end> $A", special_tokens=[("<end>", END)]
    )
    return TextTokenizer(tokenizer.to_str().encode())


def saying(**decoding: Any) -> Engine:
    """An engine whose manifest says how it writes."""
    spec = build_decoding_spec()
    section = spec.decodes.model_copy(update=decoding)
    return build_decoding_engine(replace(spec, decoding=section))


async def test_lots_are_drawn_where_the_manifest_says_so_and_no_request_otherwise() -> None:
    drawing, plain = saying(do_sample=True, temperature=3.0), saying()

    drawn = await answered(drawing, "p", seed=1)
    likeliest = await answered(plain, "p")

    asked = await answered(plain, "p", do_sample=True, temperature=3.0, seed=1)
    assert drawn.result == asked.result != likeliest.result
    assert (await answered(drawing, "p", do_sample=False)).result == likeliest.result


@pytest.mark.parametrize("asked", [{}, {"do_sample": False}])
async def test_how_lots_are_drawn_means_nothing_where_none_are(asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="temperature has a meaning only with do_sample: true"):
        await answered(saying(), "p", temperature=0.5, **asked)


async def test_rules_of_the_manifest_hold_unless_a_request_says_otherwise() -> None:
    text = "abababababab"
    spec = build_decoding_spec(["a"], max_new_tokens=40)
    section = spec.decodes.model_copy(update={"no_repeat_ngram_size": 2})
    engine = build_decoding_engine(replace(spec, decoding=section), [Writer("a", text)])

    bound = await answered(engine, "p", max_new_tokens=12)
    free = await answered(engine, "p", max_new_tokens=12, no_repeat_ngram_size=0)

    assert bound.result["generated_text"] != free.result["generated_text"] == text


async def test_a_length_of_prompt_and_text_together_is_kept() -> None:
    engine = writing("all of it and more", prompt="prompt")
    spec = replace(engine.spec, decoding=engine.spec.decodes.model_copy(update={"max_length": 10}))
    engine = build_decoding_engine(spec, [Writer("a", "all of it and more", "prompt")])

    assert (await answered(engine, "prompt")).result["generated_text"] == "all "
    longer = await answered(engine, "prompt", max_new_tokens=9)
    assert longer.result["generated_text"] == "all of it"
