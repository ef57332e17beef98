"""Which families of transformers' models are served, held against its pipelines, and which not.

A family that is not listed is tried: the export is held against torch whatever it is. The table in
docs/bring-your-own.md is this list, and `make test-nightly` compares every entry with transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamproc.errors import ModelRefused

CLASSIFIES, TAGS, ANSWERS = "text-classification", "token-classification", "question-answering"
WRITES, TRANSLATES, SUMMARIZES = "text-generation", "translation", "summarization"

_NO_EXPORT = "optimum has no export of it"
_BATCH_DIFFERS = "in a batch, optimum's export gives other scores than torch"
_DEPENDS_ON_PADDING = "its scores depend on the padding in a batch"
_SUM_ORDER = "ONNX Runtime sums its shared heads in another order in a batch than alone"
_EITHER = (
    "Take a model of another family, or one exported elsewhere that takes input_ids and "
    "attention_mask alone"
)


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one kind, as transformers names it.

    served:  tasks whose answers equal transformers' pipelines'
    refused: tasks that it has a head for, and why they are not served
    """

    name: str
    model_type: str
    served: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


_ENCODES = (CLASSIFIES, TAGS, ANSWERS)
_WRITES_ANEW = (TRANSLATES, SUMMARIZES)


def _none(tasks: tuple[str, ...], why: str) -> Mapping[str, str]:
    return dict.fromkeys(tasks, why)


FAMILIES = (
    Family("BERT", "bert", _ENCODES),
    Family("DistilBERT", "distilbert", _ENCODES),
    Family("ALBERT", "albert", _ENCODES),
    Family("RoBERTa", "roberta", _ENCODES),
    Family("XLM-RoBERTa", "xlm-roberta", _ENCODES),
    Family("CamemBERT", "camembert", _ENCODES),
    Family("ELECTRA", "electra", _ENCODES),
    Family("MPNet", "mpnet", _ENCODES),
    Family("DeBERTa", "deberta", _ENCODES),
    Family("DeBERTa-v2, v3", "deberta-v2", _ENCODES),
    Family("ModernBERT", "modernbert", (CLASSIFIES, TAGS), _none((ANSWERS,), _NO_EXPORT)),
    Family("MobileBERT", "mobilebert", _ENCODES),
    Family("SqueezeBERT", "squeezebert", _ENCODES),
    Family("RemBERT", "rembert", _ENCODES),
    Family("RoFormer", "roformer", _ENCODES),
    Family("Data2Vec", "data2vec-text", _ENCODES),
    Family("I-BERT", "ibert", _ENCODES),
    Family("Megatron-BERT", "megatron-bert", _ENCODES),
    Family("BigBird", "big_bird", _ENCODES),
    Family("ESM", "esm", (CLASSIFIES, TAGS)),
    Family("XLNet", "xlnet", (), _none(_ENCODES, _NO_EXPORT)),
    Family("Funnel", "funnel", (), _none(_ENCODES, _NO_EXPORT)),
    Family("LUKE", "luke", (), _none(_ENCODES, _NO_EXPORT)),
    Family("FNet", "fnet", (), _none(_ENCODES, _DEPENDS_ON_PADDING)),
    Family("XLM", "xlm", (), _none(_ENCODES, _BATCH_DIFFERS)),
    Family("FlauBERT", "flaubert", (), _none(_ENCODES, _BATCH_DIFFERS)),
    Family("ConvBERT", "convbert", (), _none(_ENCODES, _DEPENDS_ON_PADDING)),
    Family("Nyströmformer", "nystromformer", (), _none(_ENCODES, _DEPENDS_ON_PADDING)),
    Family("Longformer", "longformer", (), _none(_ENCODES, "it takes a global_attention_mask")),
    Family("GPT-2", "gpt2", (CLASSIFIES, TAGS, WRITES)),
    Family("GPT-Neo", "gpt_neo", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("GPT-NeoX, Pythia", "gpt_neox", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("GPT-J", "gptj", (CLASSIFIES, WRITES)),
    Family("GPTBigCode", "gpt_bigcode", (CLASSIFIES, TAGS, WRITES)),
    Family("CodeGen", "codegen", (WRITES,)),
    Family("Llama", "llama", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("Mistral", "mistral", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("Qwen2, Qwen2.5", "qwen2", (CLASSIFIES, TAGS, WRITES)),
    Family("Qwen3", "qwen3", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("Gemma", "gemma", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("Gemma 2", "gemma2", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("Gemma 3", "gemma3_text", (WRITES,), _none((CLASSIFIES,), _NO_EXPORT)),
    Family("Phi", "phi", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("Phi-3", "phi3", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("OPT", "opt", (CLASSIFIES, WRITES)),
    Family("BLOOM", "bloom", (CLASSIFIES, TAGS, WRITES)),
    Family("MPT", "mpt", (CLASSIFIES, TAGS, WRITES)),
    Family("Falcon", "falcon", (TAGS,), {CLASSIFIES: _NO_EXPORT, WRITES: _SUM_ORDER}),
    Family("OLMo", "olmo", (WRITES,)),
    Family("Granite", "granite", (WRITES,)),
    Family("StableLM", "stablelm", (WRITES,), _none((CLASSIFIES, TAGS), _NO_EXPORT)),
    Family("SmolLM3", "smollm3", (CLASSIFIES, WRITES), _none((TAGS,), _NO_EXPORT)),
    Family("StarCoder2", "starcoder2", (), _none((CLASSIFIES, TAGS, WRITES), _NO_EXPORT)),
    Family("GPT", "openai-gpt", (), _none((CLASSIFIES, WRITES), _NO_EXPORT)),
    Family("XGLM", "xglm", (), _none((WRITES,), _NO_EXPORT)),
    Family("Mamba", "mamba", (), _none((WRITES,), _NO_EXPORT)),
    Family("Marian, OPUS-MT", "marian", (TRANSLATES,)),
    Family("BART", "bart", (CLASSIFIES, *_WRITES_ANEW)),
    Family("mBART", "mbart", (CLASSIFIES, *_WRITES_ANEW)),
    Family("M2M100, NLLB", "m2m_100", (TRANSLATES,)),
    Family("T5", "t5", _WRITES_ANEW, _none((CLASSIFIES, TAGS), _NO_EXPORT)),
    Family("mT5", "mt5", _WRITES_ANEW, _none((CLASSIFIES, TAGS), _NO_EXPORT)),
    Family("LongT5", "longt5", _WRITES_ANEW),
    Family("Pegasus", "pegasus", _WRITES_ANEW),
    Family("Blenderbot", "blenderbot", (TRANSLATES,)),
    Family("Blenderbot small", "blenderbot-small", (TRANSLATES,)),
    Family("UMT5", "umt5", (), _none((*_WRITES_ANEW, CLASSIFIES, TAGS), _NO_EXPORT)),
    Family("LED", "led", (), _none((*_WRITES_ANEW, CLASSIFIES), _NO_EXPORT)),
    Family("ProphetNet", "prophetnet", (), _none(_WRITES_ANEW, _NO_EXPORT)),
    Family("FSMT", "fsmt", (), _none((TRANSLATES,), _NO_EXPORT)),
)


def require_served(model_type: str | None, task: str) -> None:
    """Raise ModelRefused where a family is known not to be served for the task."""
    for family in FAMILIES:
        if family.model_type == model_type and (why := family.refused.get(task)):
            raise ModelRefused(f"{family.name} is not served for {task}: {why}. {_EITHER}")


def families_table() -> str:
    """The list as a table of Markdown: what is equal to transformers, and what is refused."""
    tasks = (*_ENCODES, WRITES, *_WRITES_ANEW)
    lines = [
        f"| family | `model_type` | {' | '.join(tasks)} |",
        f"|---|---|{'---|' * len(tasks)}",
    ]
    for family in FAMILIES:
        cells = [_cell(family, task) for task in tasks]
        lines.append(f"| {family.name} | `{family.model_type}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(family: Family, task: str) -> str:
    if task in family.served:
        return "equal"
    return f"refused: {family.refused[task]}" if task in family.refused else ""
