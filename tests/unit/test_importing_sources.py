"""What is brought in is told by what it is, and what can't be says what to do instead."""

from __future__ import annotations

import json
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import ModelRefused
from streamproc.importing.configuration import Configuration
from streamproc.importing.keras import convert
from streamproc.importing.sources import find_source


def folder(path: Path, *files: str, config: dict[str, Any] | None = None) -> Path:
    path.mkdir(exist_ok=True)
    for file in files:
        (path / file).write_bytes(b"")
    if config is not None:
        (path / "config.json").write_text(json.dumps(config), "utf-8")
    return path


class Trap:
    """Does harm when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return sys.exit, ("a pickle was opened",)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "model.pt2"])
def test_pickled_models_are_not_opened_and_the_export_is_shown(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelRefused, match=r"is not opened[\s\S]*torch\.onnx\.export"):
        find_source(tmp_path / name)


def test_the_export_that_is_shown_for_torch_is_python(tmp_path: Path) -> None:
    (tmp_path / "m.pt").touch()
    with pytest.raises(ModelRefused) as refused:
        find_source(tmp_path / "m.pt")
    lines = [line[4:] for line in str(refused.value).splitlines() if line.startswith("    ")]
    compile("\n".join(lines), "shown", "exec")


@pytest.mark.parametrize(
    ("files", "config", "said"),
    [
        ((), None, "what is to be imported"),
        (("pytorch_model.bin",), {}, "no \\*.safetensors"),
        (("a.onnx", "b.onnx"), {}, "a.onnx, b.onnx"),
    ],
)
def test_a_folder_that_holds_no_single_model_says_what_is_there(
    tmp_path: Path, files: tuple[str, ...], config: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(ModelRefused, match=said):
        find_source(folder(tmp_path / "f", *files, config=config))


@pytest.mark.parametrize(("name", "said"), [("m.safetensors", "its folder"), ("m.txt", ".onnx")])
def test_other_files_are_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ModelRefused, match=said):
        find_source(tmp_path / name)
    with pytest.raises(ModelRefused, match="no such file"):
        find_source(tmp_path / "gone.onnx")


def test_folders_are_told_apart_by_their_files(tmp_path: Path) -> None:
    weights = folder(tmp_path / "hf", "model.safetensors", config={})
    both = ("encoder_model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx")
    assert find_source(weights).form == "hugging-face"
    assert find_source(folder(tmp_path / "tf", "saved_model.pb")).form == "saved-model"
    assert find_source(folder(tmp_path / "s2s", *both, config={})).decoder is not None
    exported = find_source(folder(tmp_path / "My_Tone 2", "model.onnx", config={}))
    assert (exported.form, exported.name) == ("onnx", "my-tone-2")
    assert find_source(tmp_path / "My_Tone 2" / "model.onnx").name == "my-tone-2"


@pytest.mark.parametrize("name", ["tone.keras", "saved"])
def test_where_tensorflow_is_not_installed_the_commands_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("streamproc.importing.keras.find_spec", lambda package: None)
    path = tmp_path / name
    if name == "saved":
        folder(path, "saved_model.pb")
    else:
        path.touch()
    with pytest.raises(ModelRefused) as refused:
        convert(find_source(path), tmp_path / "model.onnx")
    shown = str(refused.value)
    assert "pip install tensorflow tf2onnx" in shown
    assert re.search(rf"keras-onnx/bin/python .*{re.escape(str(path))}.*model\.onnx", shown)


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("BertForSequenceClassification", "text-classification"),
        ("RobertaForTokenClassification", "token-classification"),
        ("DistilBertForQuestionAnswering", "question-answering"),
        ("GPT2LMHeadModel", "text-generation"),
        ("LlamaForCausalLM", "text-generation"),
        ("MarianMTModel", "translation"),
        ("T5ForConditionalGeneration", "translation"),
        ("BertModel", None),
    ],
)
def test_the_architecture_tells_the_task(
    tmp_path: Path, architecture: str, task: str | None
) -> None:
    there = folder(tmp_path / "f", config={"architectures": [architecture]})
    assert Configuration(there).task == task


def test_labels_come_in_the_order_of_outputs_and_are_named_unless_nobody_did(
    tmp_path: Path,
) -> None:
    names = {str(number): f"kind {number}" for number in range(11)}
    there = Configuration(folder(tmp_path / "a", config={"id2label": names}))
    assert there.labels == tuple(names.values())
    assert there.labels_are_named
    nameless = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    assert not Configuration(folder(tmp_path / "b", config=nameless)).labels_are_named
    several = {**nameless, "problem_type": "multi_label_classification"}
    with pytest.raises(ModelRefused, match="multi_label"):
        _ = Configuration(folder(tmp_path / "c", config=several)).labels


def test_positions_licence_and_ways_of_writing_are_read(tmp_path: Path) -> None:
    roberta = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert Configuration(folder(tmp_path / "a", config=roberta)).positions == 512
    config = {
        "max_position_embeddings": 200,
        "decoder_start_token_id": 7,
        "eos_token_id": 2,
        "bad_words_ids": [[7]],
        "forced_eos_token_id": 2,
        "num_beams": 4,
    }
    there = folder(tmp_path / "b", config=config)
    (there / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Model\n")
    found = Configuration(there)
    decoding = found.decoding(encoder_decoder=True)
    assert (decoding.start_token, decoding.end_tokens, decoding.banned_tokens) == (7, (2,), (7,))
    assert (decoding.forced_end_token, decoding.beams, decoding.max_tokens) == (2, 4, 200)
    assert found.licence == "apache-2.0"
    # As in transformers, settings in a file of their own are all there are, but for tokens.
    (there / "generation_config.json").write_text('{"num_beams": 6, "eos_token_id": [2, 3]}')
    decoding = Configuration(there).decoding(encoder_decoder=True)
    assert (decoding.start_token, decoding.end_tokens, decoding.banned_tokens) == (7, (2, 3), ())
    assert (decoding.forced_end_token, decoding.beams) == (None, 6)


def test_a_configuration_that_is_not_json_is_named(tmp_path: Path) -> None:
    (folder(tmp_path / "f") / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelRefused, match=r"config\.json: not JSON"):
        Configuration(tmp_path / "f")
