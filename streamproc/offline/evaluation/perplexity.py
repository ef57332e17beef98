"""Text generation: perplexity and accuracy of the next token, given the right ones before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from streamproc.errors import EvaluationError
from streamproc.offline.corpus.passages import Passage, read_passages
from streamproc.offline.evaluation.eval_metrics import (
    CALIBRATION,
    CALIBRATION_BINS,
    Metric,
    calibration_statistics,
    perplexity,
    ratio,
)
from streamproc.offline.evaluation.eval_task import subsample_evenly
from streamproc.offline.evaluation.eval_tasks import Data
from streamproc.offline.evaluation.results import Agreement, EvalRun
from streamproc.offline.evaluation.systems import System
from streamproc.offline.evaluation.token_blocks import token_blocks
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.ensembling.steps import STEP_STRATEGIES, StepStrategy, combine_step
from streamproc.serving.gate_loading import read_gate
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session import new_call
from streamproc.serving.loading import member_model
from streamproc.types import FloatArray, Int64Array

ACCURACY = Metric("next-token accuracy", ratio)
METRICS: Sequence[Metric] = (
    Metric("perplexity", perplexity, higher_is_better=False, per_cent=False, unit=""),
    ACCURACY,
    CALIBRATION,
)
_ITEMS = "next tokens"
# Tokens that are read, and of these that are combined, at a time.
_READ_TOKENS = 2048
_COMBINED_TOKENS = 256

_VotingWeights = Callable[[Int64Array], FloatArray]
"""(members, tokens) the weight of each member on what follows each of the tokens (tokens,)."""

OnProgress = Callable[[int], None]
"""Called with how many blocks are done."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Texts cut into pieces as long as a model reads.

    ids:    (blocks, context)
    fields: of each block, those of the passage that it begins in
    """

    ids: Int64Array
    fields: Sequence[Mapping[str, str]]
    metrics: ClassVar[Sequence[Metric]] = METRICS
    confidence_of: ClassVar[str] = _ITEMS

    @property
    def unit(self) -> str:
        """What one is called."""
        return f"blocks of {self.ids.shape[1]} tokens"

    timed = unit

    def subsample(self, limit: int | None) -> Blocks:
        """At most `limit` of them, spread evenly over all."""
        chosen = subsample_evenly(range(len(self.ids)), limit)
        return Blocks(self.ids[np.array(chosen)], [self.fields[number] for number in chosen])


def read_blocks(stored: StoredEnsemble, data: Data) -> Blocks:
    """The texts of all files, as `blocks` cuts them; raises EvaluationError, TrainingError."""
    passages = [p for source in data.sources for p in read_passages(source, data.columns.text)]
    return blocks(passages, stored)


def blocks(passages: Sequence[Passage], stored: StoredEnsemble) -> Blocks:
    """The passages one after another, an end of text before each, as members were trained on them;
    what is left over at the end and fills no block is left out.

    Raises EvaluationError when nothing fills one.
    """
    decoding = stored.manifest.decoding
    if decoding is None:
        raise EvaluationError(f"ensemble {stored.manifest.name} has no section [decoding].")
    found = token_blocks(
        (passage.text for passage in passages),
        TextTokenizer(stored.tokenizer()),
        decoding.end_tokens[0],
        decoding.max_tokens,
        EvaluationError,
    )
    ids, begun_in = zip(*found, strict=True)
    return Blocks(np.stack(ids), [passages[place].fields for place in begun_in])


def score_next_tokens(
    systems: Sequence[System],
    ids: Int64Array,
    provider: Provider,
    on_progress: OnProgress,
    now_s: Callable[[], float] = time.perf_counter,
    residency: Residency | None = None,
) -> list[EvalRun]:
    """The run of each system, by teacher forcing; a block of `ids` counts as a record.

    A member reads a block once, whoever it is combined with; a system's time is that of its
    members, one after another, and of combining them.
    ids: (blocks, context)
    residency: which stages are loaded, of members in stages; None: all
    Raises EvaluationError when systems do not share a tokenizer, or one can't read a whole block.
    """
    _require_one_tokenizer(systems)
    _require_context(systems, ids.shape[1])
    residency = residency or Residency()
    models = {
        member.digests: CausalModel(
            member.name, member_model(system.stored, member, residency), provider
        )
        for system in systems
        for member in system.stored.manifest.members
    }
    voting_weights = [_voting_weights(system) for system in systems]
    found: list[list[_BlockStatistics]] = [[] for _ in systems]
    seconds = [0.0] * len(systems)
    at_once = max(1, _READ_TOKENS // ids.shape[1])
    for first in range(0, len(ids), at_once):
        rows = ids[first : first + at_once]
        logits, took = {}, {}
        for digests, model in models.items():
            began_s = now_s()
            logits[digests] = model.read(rows, new_call())
            took[digests] = now_s() - began_s
        for place, system in enumerate(systems):
            members = system.stored.manifest.members
            said = [logits[member.digests] for member in members]
            began_s = now_s()
            found[place].append(
                _block_statistics(rows, said, voting_weights[place], _step_strategy(system))
            )
            seconds[place] += now_s() - began_s + sum(took[member.digests] for member in members)
        on_progress(first + len(rows))
    runs = []
    for system, own, spent_s in zip(systems, found, seconds, strict=True):
        *statistics, agreed, right = (np.concatenate(parts) for parts in zip(*own, strict=True))
        agreement = Agreement(
            _ITEMS,
            ACCURACY,
            agreed.ravel(),
            np.stack((right.ravel(), np.ones(right.size)), axis=1),
            np.repeat(np.arange(len(right)), right.shape[1]),
        )
        runs.append(EvalRun(system, statistics, spent_s, len(ids), agreement=agreement))
    return runs


_BlockStatistics = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def _block_statistics(
    rows: Int64Array,
    logits: Sequence[FloatArray],
    voting_weights: _VotingWeights,
    strategy: StepStrategy,
) -> _BlockStatistics:
    """Statistics of each block for each of METRICS; agreement and rightness, (rows, tokens - 1).

    Of all tokens but the first, before which there is nothing to predict them from.
    logits: of each member, (rows, tokens, vocabulary)
    """
    asked = rows.shape[1] - 1
    losses = np.zeros(len(rows))
    agreed, hits = np.zeros((2, len(rows), asked))
    calibration = np.zeros((len(rows), 3 * CALIBRATION_BINS))
    for number, row in enumerate(rows):
        weights = voting_weights(row[:-1])
        for part in _parts(asked):
            targets = row[1:][part]
            said = np.stack([own[number, :-1][part] for own in logits]).astype(np.float64)
            combined = combine_step(strategy, said, weights[:, part])
            log_probabilities = combined.log_probabilities
            losses[number] -= log_probabilities[np.arange(len(targets)), targets].sum()
            right = log_probabilities.argmax(axis=-1) == targets
            hits[number, part] = right
            agreed[number, part] = combined.agreement
            likeliest = np.exp(log_probabilities.max(axis=-1))
            calibration[number] += calibration_statistics(likeliest, right).sum(axis=0)
    count = np.full(len(rows), float(asked))
    loss, hit = (np.stack((sums, count), axis=1) for sums in (losses, hits.sum(axis=1)))
    return loss, hit, calibration, agreed, hits


def _voting_weights(system: System) -> _VotingWeights:
    """As in serving: a gate goes by the tokens that were read so far, no others."""
    vocabulary = TextTokenizer(system.stored.tokenizer()).vocabulary_size
    gate = read_gate(system.stored, vocabulary)
    weights = np.array([[member.weight] for member in system.stored.manifest.members])

    def weights_of(ids: Int64Array) -> FloatArray:
        if system.strategy == "gated" and gate is not None:
            return weights * gate.weights_along(ids).T
        return np.broadcast_to(weights, (len(weights), len(ids)))

    return weights_of


def _parts(tokens: int) -> Iterator[slice]:
    for first in range(0, tokens, _COMBINED_TOKENS):
        yield slice(first, min(tokens, first + _COMBINED_TOKENS))


def _step_strategy(system: System) -> StepStrategy:
    for strategy in STEP_STRATEGIES:
        if strategy == system.strategy:
            return strategy
    raise EvaluationError(f"{system.name}: {system.strategy} can't combine next tokens.")


def _require_one_tokenizer(systems: Sequence[System]) -> None:
    manifests = [one.stored.manifest for one in systems]
    if len({manifest.tokenizer.sha256 for manifest in manifests}) > 1:
        names = dict.fromkeys(manifest.name for manifest in manifests)
        raise EvaluationError(
            f"{' and '.join(names)} cut texts into other tokens, so that what they "
            "predict per token can't be compared; train them with one tokenizer."
        )


def _require_context(systems: Sequence[System], tokens: int) -> None:
    for system in systems:
        decoding = system.stored.manifest.decoding
        if decoding is not None and decoding.max_tokens < tokens:
            raise EvaluationError(
                f"{system.name} reads {decoding.max_tokens} tokens, and blocks are of {tokens}, as "
                f"many as {systems[0].name} reads; evaluate {system.name} --against "
                f"{systems[0].name} instead."
            )
