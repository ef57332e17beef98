"""From an ensemble on disk to its members, opened; not tried out yet."""

from __future__ import annotations

from collections.abc import Callable

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.decoding.model import AnyStepModel
from streamproc.serving.ensembling.combine import STRATEGIES
from streamproc.serving.ensembling.confidence import Confidence
from streamproc.serving.ensembling.heads import HEADS
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.gate_loading import read_gate
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.causal import CausalModel
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.model import Model, Staged
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.seq2seq import Seq2SeqModel
from streamproc.serving.inference.session import BackboneSession, OnnxSession
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberSpec
from streamproc.serving.tasks.task import ScoringTask, Task


def load_spec(stored: StoredEnsemble, task: Task) -> EnsembleSpec:
    """What the manifest says, its tokenizer read; raises ModelRefused."""
    manifest = stored.manifest
    if manifest.task != task.name:
        raise ModelRefused(f"ensemble {manifest.name} is for {manifest.task}, not {task.name}")
    if manifest.problem_type not in task.problem_types:
        raise ModelRefused(
            f"ensemble {manifest.name}: members of {task.name} are {', '.join(task.problem_types)};"
            f" found problem_type {manifest.problem_type}"
        )
    head = HEADS[manifest.problem_type]
    if task.labelled != bool(manifest.labels):
        wanted = "no labels"
        if task.labelled:
            wanted = "at least two labels" if head.least_labels == 2 else "at least one label"
        raise ModelRefused(
            f"ensemble {manifest.name}: {task.name} needs {wanted}; found {list(manifest.labels)}"
        )
    strategies = task.strategies_of(manifest.problem_type)
    if manifest.combine.strategy not in strategies:
        of = task.name + (f" ({manifest.problem_type})" if head.strategies != STRATEGIES else "")
        raise ModelRefused(
            f"ensemble {manifest.name}: members of {of} are combined by "
            f"{', '.join(strategies)}; found {manifest.combine.strategy}"
        )
    tokenizer = TextTokenizer(stored.tokenizer())
    return EnsembleSpec(
        name=manifest.name,
        digest=stored.digest,
        labels=manifest.labels,
        members=tuple(
            MemberSpec(
                member.name,
                member.version,
                member.weight,
                LabelMap.between(
                    member.name, member.labels, manifest.labels, least=head.least_labels
                )
                if task.labelled
                else LabelMap.none(),
            )
            for member in manifest.members
        ),
        strategy=manifest.combine.strategy,
        needed_members=manifest.needed_members,
        tokenizer=tokenizer,
        window=Window(manifest.window.max_tokens, manifest.window.overlap_tokens),
        decoding=manifest.decoding,
        gate=read_gate(stored, tokenizer.vocabulary_size),
        temperature=manifest.combine.temperature,
        confidence=Confidence(**manifest.confidence.model_dump()),
        aggregation=manifest.defaults.aggregation,
        problem_type=manifest.problem_type,
        version=stored.version,
        cascade_margin=manifest.served_profiles.cascade_margin,
        trusted_share=manifest.served_profiles.trusted_share,
    )


def load_sessions(
    stored: StoredEnsemble,
    task: ScoringTask,
    provider: Provider,
    residency: Residency | None = None,
) -> Members:
    """A session for each member, and for what runs before them; raises ModelRefused.

    residency: which stages are loaded, of members in stages; None: all
    """
    residency = residency or Residency()
    section = stored.manifest.prefix
    backbone = BackboneSession(stored.prefix(section), provider) if section else None
    sessions = []
    for number, member in enumerate(stored.manifest.members):
        own = _device_of(member, number, stored, provider)
        signature = task.signature(len(member.labels))
        if backbone:
            signature = signature.behind_backbone(backbone.width)
        model = member_model(stored, member, residency)
        sessions.append(OnnxSession(member.name, model, signature, own))
    return Members(sessions, backbone)


def load_step_models(
    stored: StoredEnsemble,
    task: DecodingTask,
    provider: Provider,
    residency: Residency,
    new_call: Callable[[], Call],
) -> list[AnyStepModel]:
    """Each member as something to step, in the manifest's order; raises ModelRefused.

    new_call: makes a call for each first step
    """
    name, decoding = stored.manifest.name, stored.manifest.decoding
    if decoding is None:
        raise ModelRefused(f"ensemble {name}: the manifest needs a section [decoding]")
    models: list[CausalModel | Seq2SeqModel] = []
    for number, member in enumerate(stored.manifest.members):
        own = _device_of(member, number, stored, provider)
        if task.architecture == "decoder":
            whole_or_staged = member_model(stored, member, residency)
            models.append(CausalModel(member.name, whole_or_staged, own))
            continue
        if decoding.start_token is None:
            raise ModelRefused(
                f"ensemble {name}: the manifest needs decoding.start_token, the "
                f"first token of an {task.architecture}'s output"
            )
        encoder, decoder = stored.model(member), stored.decoder(member)
        models.append(Seq2SeqModel(member.name, encoder, decoder, decoding.start_token, own))
    for model in models:
        model.try_longest(decoding.max_tokens, new_call())
    return list(models)


def _device_of(
    member: MemberSection, number: int, stored: StoredEnsemble, provider: Provider
) -> Provider:
    """Members are spread over devices; those behind shared layers stay where these leave their
    states, and the stages of one that is split are spread themselves."""
    if stored.manifest.prefix or member.stages:
        return provider
    return provider.of_part(number, len(stored.manifest.members))


def member_model(stored: StoredEnsemble, member: MemberSection, residency: Residency) -> Model:
    """A member's model, whole or in stages; raises ModelRefused.

    residency: which stages are loaded, of all members alike
    """
    if member.stages:
        return Staged(stored.stages(member), residency)
    return stored.model(member)
