from __future__ import annotations

import hashlib
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from streamproc.errors import EvaluationError
from streamproc.offline.corpus.passages import Passage
from streamproc.offline.evaluation.eval_metrics import CALIBRATION, calibration_statistics
from streamproc.offline.evaluation.perplexity import METRICS, blocks, score_next_tokens
from streamproc.offline.evaluation.systems import systems_to_compare
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.gate_loading import read_gate
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import new_call
from streamproc.serving.tasks.catalogue import task_named
from streamproc.testing import tokenizer_json
from streamproc.testing.generative import build_byte_tokenizer, byte_tokenizer_json
from tests.support.causal_graphs import causal
from tests.support.onnx_models import write_ensemble

TASK = task_named("text-generation")
LETTERS = build_byte_tokenizer().vocabulary_size
END = LETTERS - 1
CONTEXT = 12


def stored(root: Path, name: str = "writers", tokenizer: bytes | None = None) -> StoredEnsemble:
    write_ensemble(
        root / name,
        [causal(LETTERS, seed=seed, divisor=4) for seed in (1, 3)],
        labels=(),
        task="text-generation",
        tokenizer=tokenizer or byte_tokenizer_json(),
        window=(CONTEXT, 0),
        sections=f"[decoding]\nend_tokens = [{END}]\nmax_tokens = {CONTEXT}\nmax_new_tokens = 4",
    )
    return Repository(root).open(name)


def test_reading_a_text_at_once_tells_what_stepping_through_it_does() -> None:
    model = CausalModel("m", causal(LETTERS), Provider(CPU))
    ids = np.random.default_rng(2).integers(LETTERS, size=(3, 7))
    read = model.read(ids, new_call())
    for row, own in zip(ids, read, strict=True):
        logits, rows = model.start(row[:1], new_call())
        stepped = [logits]
        for token in row[1:]:
            scores, rows = model.step(rows, np.array([token]), new_call())
            stepped.append(scores[0])
        np.testing.assert_allclose(own, stepped, rtol=1e-5, atol=1e-5)


def test_passages_follow_each_other_an_end_of_text_before_each(tmp_path: Path) -> None:
    ensemble = stored(tmp_path)
    tokenizer = build_byte_tokenizer()
    one, two = "abcdefgh", "ijklmnopqrstuvwxyz"
    ids = blocks([Passage(one, {}), Passage(two, {})], ensemble).ids
    joined = [END, *tokenizer.encode(one).ids, END, *tokenizer.encode(two).ids]
    assert ids.shape == (len(joined) // CONTEXT, CONTEXT)
    assert ids.ravel().tolist() == joined[: ids.size]


def test_a_block_has_the_fields_of_the_passage_that_it_begins_in(tmp_path: Path) -> None:
    # With the end of text before each, 9 and 20 letters: blocks begin at 0 and 12 of 29.
    passages = [Passage("abcdefgh", {"kind": "a"}), Passage("ijklmnopqrstuvwxyzi", {"kind": "b"})]
    found = blocks(passages, stored(tmp_path))
    assert [own["kind"] for own in found.fields] == ["a", "b"]


def test_texts_that_fill_no_block_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="do not fill a context of 12"):
        blocks([Passage("ab", {})], stored(tmp_path))


def test_perplexity_and_hits_are_those_of_the_members_mean_probabilities(tmp_path: Path) -> None:
    ensemble = stored(tmp_path)
    ids = np.random.default_rng(7).integers(LETTERS, size=(5, CONTEXT))
    progress: list[int] = []
    ticks = count()
    competing = systems_to_compare(ensemble, TASK)
    runs = score_next_tokens(
        competing, ids, Provider(CPU), progress.append, lambda: float(next(ticks))
    )

    probabilities = []
    for member in ensemble.manifest.members:
        model = CausalModel(member.name, ensemble.model(member), Provider(CPU))
        logits = model.read(ids, new_call())[:, :-1].astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities.append(exponentials / exponentials.sum(axis=-1, keepdims=True))
    opinions = [np.mean(probabilities, axis=0), *probabilities]
    for opinion, own in zip(opinions, runs, strict=False):
        right = np.take_along_axis(opinion, ids[:, 1:, None], axis=-1)
        hits = opinion.argmax(axis=-1) == ids[:, 1:]
        found = [m.value(s) for m, s in zip(METRICS, own.statistics, strict=True)]
        likeliest = opinion.max(axis=-1).ravel()
        calibration = CALIBRATION.value(calibration_statistics(likeliest, hits.ravel()))
        expected = [np.exp(-np.log(right).mean()), hits.mean(), calibration]
        assert found == pytest.approx(expected)
    agreed = np.mean([own.argmax(-1) == opinions[0].argmax(-1) for own in probabilities], axis=0)
    found_agreement = runs[0].agreement
    assert found_agreement is not None
    assert found_agreement.agreement == pytest.approx(agreed.ravel())
    right = opinions[0].argmax(axis=-1) == ids[:, 1:]
    assert found_agreement.statistics[:, 0].tolist() == right.ravel().tolist()
    assert found_agreement.record.tolist() == np.repeat(range(5), CONTEXT - 1).tolist()
    assert progress == [5]
    # A tick each for reading and for combining: both members' for the ensemble, one for a member.
    assert [own.seconds for own in runs] == [3, 2, 2, 3]
    assert [own.system.name for own in runs] == ["writers", "m0", "m1", "logit_mean"]


def test_ensembles_that_cut_texts_otherwise_are_not_compared(tmp_path: Path) -> None:
    other = stored(tmp_path, "others", tokenizer_json())
    competing = systems_to_compare(stored(tmp_path), TASK, [other])
    ids = np.zeros((1, CONTEXT), np.int64)
    with pytest.raises(EvaluationError, match="writers and others cut texts into other tokens"):
        score_next_tokens(competing, ids, Provider(CPU), lambda _: None)


def test_an_ensemble_is_not_measured_on_more_tokens_than_it_reads(tmp_path: Path) -> None:
    competing = systems_to_compare(stored(tmp_path), TASK, [stored(tmp_path, "others")])
    ids = np.zeros((1, CONTEXT + 1), np.int64)
    with pytest.raises(EvaluationError, match="writers reads 12 tokens, and blocks are of 13"):
        score_next_tokens(competing, ids, Provider(CPU), lambda _: None)


def test_a_gate_goes_by_the_tokens_before_and_by_no_others(tmp_path: Path) -> None:
    ensemble = gated(tmp_path)
    ids = np.random.default_rng(7).integers(LETTERS, size=(1, CONTEXT))
    other = ids.copy()
    other[0, -1] = (ids[0, -1] + 1) % LETTERS
    (whole, *_), (changed, *_) = (
        score_next_tokens(systems_to_compare(ensemble, TASK), rows, Provider(CPU), lambda _: None)
        for rows in (ids, other)
    )

    gate = read_gate(ensemble, LETTERS)
    assert gate is not None
    expected = []
    for rows in (ids, other):
        said = []
        for member in ensemble.manifest.members:
            model = CausalModel(member.name, ensemble.model(member), Provider(CPU))
            logits = np.asarray(model.read(rows, new_call())[0], np.float64)
            said.append(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
        loss = 0.0
        for place in range(CONTEXT - 1):
            weights = gate.weights(rows[0, : place + 1])
            loss -= np.log(weights @ [own[place, rows[0, place + 1]] for own in said])
        expected.append(loss)
    assert whole.statistics[0][0, 0] == pytest.approx(expected[0])
    assert changed.statistics[0][0, 0] == pytest.approx(expected[1])


def gated(root: Path) -> StoredEnsemble:
    """Members, one of which is heard more and more the more even tokens there were."""
    table = np.zeros((LETTERS, 2))
    table[::2] = 1, -1
    folder = root / "writers"
    stored(root)
    np.save(folder / "gate.npy", table)
    digest = hashlib.sha256((folder / "gate.npy").read_bytes()).hexdigest()
    manifest = folder / "manifest.toml"
    section = (
        '[combine]\nstrategy = "gated"\n[gate]\nfile = "gate.npy"\n'
        f'sha256 = "{digest}"\nmembers = ["m0", "m1"]\nsharpness = 3.0\n[decoding]'
    )
    manifest.write_text(manifest.read_text().replace("[decoding]", section))
    return Repository(root).open("writers")
