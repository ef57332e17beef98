"""One member of an ensemble, as an ensemble of its own and as transformers reads it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import orjson

from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import MANIFEST, PREFIXES, Repository, StoredEnsemble
from streamproc.settings import read_settings


def copy_with_one_member(
    ensemble: str, member: int, models: Path
) -> tuple[StoredEnsemble, MemberSection]:
    """Copy an ensemble from the models folder into another, with one member left.

    Returns the original and that member.
    """
    stored = Repository(read_settings().models_dir).open(ensemble)
    shutil.copytree(stored.folder, models / ensemble)
    if stored.manifest.prefix:
        name = f"{stored.manifest.prefix.sha256}.onnx"
        (models / PREFIXES).mkdir(exist_ok=True)
        shutil.copy(stored.folder.parent / PREFIXES / name, models / PREFIXES / name)
    manifest = models / ensemble / MANIFEST
    head, *members = manifest.read_text("utf-8").split("[[members]]")
    # transformers calibrates nothing either.
    head = re.sub(r"(?m)^(quorum|temperature|slope|offset) *=.*$", "", head)
    manifest.write_text(f"{head}[[members]]{members[member]}", "utf-8")
    return stored, stored.manifest.members[member]


def encoder_for_transformers(
    stored: StoredEnsemble, member: MemberSection, architecture: str, folder: Path
) -> Any:
    """Write a member as a folder that optimum loads a BERT from; returns its tokenizer.

    architecture: the class of transformers, such as BertForTokenClassification
    """
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(whole_model(stored, member))
    if stored.manifest.prefix:
        (folder / "prefix.onnx").write_bytes(stored.prefix(stored.manifest.prefix))
        (folder / "member.onnx").write_bytes(stored.model(member))
    labels = dict(enumerate(member.labels))
    config = {
        "model_type": "bert",
        "architectures": [architecture],
        "id2label": labels,
        "label2id": {label: number for number, label in labels.items()},
    }
    (folder / "config.json").write_bytes(orjson.dumps(config, option=orjson.OPT_NON_STR_KEYS))
    (folder / "tokenizer.json").write_bytes(stored.tokenizer())
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        model_max_length=stored.manifest.window.max_tokens,
        pad_token="[PAD]",  # noqa: S106 - no password
        unk_token="[UNK]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
    )


def whole_model(stored: StoredEnsemble, member: MemberSection) -> bytes:
    """A member's graph, with what runs before it in front."""
    if stored.manifest.prefix is None:
        return stored.model(member)
    before = onnx.load_from_string(stored.prefix(stored.manifest.prefix))
    behind = onnx.load_from_string(stored.model(member))
    graph = before.graph
    # The two may use the same names inside; at their ends they mean the same by them.
    kept = {"", *(value.name for value in (*behind.graph.input, *behind.graph.output))}

    def own(name: str) -> str:
        return name if name in kept else f"member/{name}"

    for node in behind.graph.node:
        node.name = own(node.name)
        node.input[:], node.output[:] = map(own, node.input), map(own, node.output)
    for constant in behind.graph.initializer:
        constant.name = own(constant.name)
    graph.node.extend(behind.graph.node)
    graph.initializer.extend(behind.graph.initializer)
    del graph.output[:]
    graph.output.extend(behind.graph.output)
    return bytes(before.SerializeToString())


class Stages:
    """What stands before a member, and the member, as one session."""

    def __init__(self, folder: Path) -> None:
        self._prefix, self._member = (
            onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("prefix", "member")
        )

    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        """All outputs of the member."""
        (hidden,) = self._prefix.run(None, inputs)
        behind = {"hidden_states": hidden, "attention_mask": inputs["attention_mask"]}
        return list(self._member.run(None, behind))


def in_stages(model: Any, folder: Path) -> Any:
    """The model that optimum loaded from a folder, run as it is served where it has a prefix.

    ONNX Runtime joins other operations where the two are one graph; what that does to the last
    bit, int8 makes a quantum.
    """
    if (folder / "prefix.onnx").exists():
        model.use_io_binding = False
        model.session = Stages(folder)
    return model
