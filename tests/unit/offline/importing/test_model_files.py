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
from streamproc.offline.importing.checks import require_classes
from streamproc.offline.importing.hf_config import HfConfig
from streamproc.offline.importing.keras import convert
from streamproc.offline.importing.model_files import find_model_files


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
        find_model_files(tmp_path / name)


def test_the_export_that_is_shown_for_torch_is_python(tmp_path: Path) -> None:
    (tmp_path / "m.pt").touch()
    with pytest.raises(ModelRefused) as refused:
        find_model_files(tmp_path / "m.pt")
    lines = [line[4:] for line in str(refused.value).splitlines() if line.startswith("    ")]
    compile("\n".join(lines), "shown", "exec")


@pytest.mark.parametrize(
    ("files", "config", "said"),
    [
        ((), None, "what is to be imported"),
        (("pytorch_model.bin",), {}, "pytorch_model.bin, and no \\*.safetensors"),
        ((), {}, "no weights beside it.*downloaded whole"),
        (("a.onnx", "b.onnx"), {}, "a.onnx, b.onnx"),
    ],
)
def test_a_folder_that_holds_no_single_model_says_what_is_there(
    tmp_path: Path, files: tuple[str, ...], config: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(ModelRefused, match=said):
        find_model_files(folder(tmp_path / "f", *files, config=config))


@pytest.mark.parametrize(("name", "said"), [("m.safetensors", "its folder"), ("m.txt", ".onnx")])
def test_other_files_are_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ModelRefused, match=said):
        find_model_files(tmp_path / name)
    with pytest.raises(ModelRefused, match="no such file"):
        find_model_files(tmp_path / "gone.onnx")


def test_folders_are_told_apart_by_their_files(tmp_path: Path) -> None:
    weights = folder(tmp_path / "hf", "model.safetensors", config={})
    both = ("encoder_model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx")
    assert find_model_files(weights).format == "hugging-face"
    assert find_model_files(folder(tmp_path / "tf", "saved_model.pb")).format == "saved-model"
    assert find_model_files(folder(tmp_path / "s2s", *both, config={})).decoder is not None
    exported = find_model_files(folder(tmp_path / "My_Tone 2", "model.onnx", config={}))
    assert (exported.format, exported.name) == ("onnx", "my-tone-2")
    assert find_model_files(tmp_path / "My_Tone 2" / "model.onnx").name == "my-tone-2"


def test_onnx_files_in_a_folder_of_the_hub_are_found_with_what_lies_one_folder_up(
    tmp_path: Path,
) -> None:
    hub = folder(tmp_path / "Tone", "tokenizer.json", config={})
    graph = folder(hub / "onnx", "model.onnx", "model_quantized.onnx") / "model.onnx"
    for named in (hub, graph, hub / "onnx"):
        found = find_model_files(named)
        assert (found.format, found.model, found.folder) == ("onnx", graph, hub)
        assert found.name == "tone"
    assert find_model_files(hub / "onnx" / "model_quantized.onnx").folder == hub

    both = folder(tmp_path / "Opus", config={})
    parts = ("encoder_model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx")
    inside = folder(both / "onnx", *parts)
    for named in (both, inside, inside / parts[0]):
        found = find_model_files(named)
        assert (found.model, found.decoder) == (inside / parts[0], inside / parts[1])
        assert (found.folder, found.name) == (both, "opus")


def test_weights_of_torch_are_preferred_to_graphs_that_the_hub_made_of_them(tmp_path: Path) -> None:
    hub = folder(tmp_path / "hub", "model.safetensors", config={})
    folder(hub / "onnx", "model.onnx")
    assert find_model_files(hub).format == "hugging-face"


@pytest.mark.parametrize("name", ["tone.keras", "saved"])
def test_where_tensorflow_is_not_installed_the_commands_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("streamproc.offline.importing.keras.find_spec", lambda package: None)
    path = tmp_path / name
    if name == "saved":
        folder(path, "saved_model.pb")
    else:
        path.touch()
    with pytest.raises(ModelRefused) as refused:
        convert(find_model_files(path), tmp_path / "model.onnx")
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
        ("T5ForConditionalGeneration", None),
        ("BertModel", None),
    ],
)
def test_the_architecture_tells_the_task(
    tmp_path: Path, architecture: str, task: str | None
) -> None:
    there = folder(tmp_path / "f", config={"architectures": [architecture]})
    assert HfConfig(there).task == task


@pytest.mark.parametrize(
    ("config", "card", "task"),
    [
        ({"model_type": "m2m_100"}, "", "translation"),
        ({"model_type": "pegasus"}, "", "summarization"),
        ({"model_type": "bart"}, "", None),
        ({"task_specific_params": {"summarization_cnn": {}}}, "", "summarization"),
        ({"task_specific_params": {"translation_en_to_de": {}}}, "", "translation"),
        ({"task_specific_params": {"summarization": {}, "translation_en_to_de": {}}}, "", None),
        ({"model_type": "bart"}, "pipeline_tag: summarization", "summarization"),
        ({"model_type": "mt5"}, "tags: [summarization, mT5]", "summarization"),
        ({"model_type": "mt5"}, "tags: [summarization, translation]", None),
        ({"model_type": "mt5"}, "tags: summarization", None),
        (
            {"task_specific_params": {"summarization": {}, "translation_en_to_de": {}}},
            "pipeline_tag: translation",
            "translation",
        ),
    ],
)
def test_what_an_encoder_decoder_writes_is_told_by_its_family_its_settings_or_its_card(
    tmp_path: Path, config: dict[str, Any], card: str, task: str | None
) -> None:
    said = {"architectures": ["SomeForConditionalGeneration"], **config}
    there = folder(tmp_path / "f", config=said)
    (there / "README.md").write_text(f"---\n{card}\n---\n# Model\n", "utf-8")
    assert HfConfig(there).task == task


def test_labels_come_in_the_order_of_outputs_and_are_named_unless_nobody_did(
    tmp_path: Path,
) -> None:
    names = {str(number): f"kind {number}" for number in range(11)}
    there = HfConfig(folder(tmp_path / "a", config={"id2label": names}))
    assert there.labels == tuple(names.values())
    assert there.labels_are_named
    nameless = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    assert not HfConfig(folder(tmp_path / "b", config=nameless)).labels_are_named


NUMBERS = {"id2label": {"0": "valence", "1": "arousal", "2": "dominance"}}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**NUMBERS, "problem_type": "regression"}, "regression: the head gives numbers"),
        ({**NUMBERS, "problem_type": "multi_label_classification"}, "do not exclude each other"),
        ({**NUMBERS, "problem_type": "ranking"}, "'ranking'"),
        ({**NUMBERS, "function_to_apply": "sigmoid"}, "function_to_apply sigmoid"),
        ({"id2label": {"0": "LABEL_0"}}, "one output, which transformers trains as a regression"),
    ],
)
def test_heads_whose_scores_are_no_softmax_are_refused(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelRefused, match=said):
        require_classes(HfConfig(folder(tmp_path / "f", config=config)), None)


@pytest.mark.parametrize("kind", [None, "single_label_classification"])
def test_heads_of_classes_are_not_refused(tmp_path: Path, kind: str | None) -> None:
    said = {**NUMBERS, "problem_type": kind, "model_type": "bert"}
    require_classes(HfConfig(folder(tmp_path / "f", config=said)), None)


def test_one_output_is_taken_for_two_labels_only_where_somebody_says_so(tmp_path: Path) -> None:
    one = HfConfig(folder(tmp_path / "f", config={"id2label": {"0": "LABEL_0"}}))
    require_classes(one, "logits")


def test_positions_license_and_ways_of_writing_are_read(tmp_path: Path) -> None:
    roberta = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert HfConfig(folder(tmp_path / "a", config=roberta)).positions == 512
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
    found = HfConfig(there)
    decoding = found.decoding(encoder_decoder=True)
    assert (decoding.start_token, decoding.end_tokens, decoding.banned_tokens) == (7, (2,), (7,))
    assert (decoding.forced_end_token, decoding.beams, decoding.max_tokens) == (2, 4, 200)
    assert found.license == "apache-2.0"
    # As in transformers, settings in a file of their own are all there are, but for tokens.
    (there / "generation_config.json").write_text('{"num_beams": 6, "eos_token_id": [2, 3]}')
    decoding = HfConfig(there).decoding(encoder_decoder=True)
    assert (decoding.start_token, decoding.end_tokens, decoding.banned_tokens) == (7, (2, 3), ())
    assert (decoding.forced_end_token, decoding.beams) == (None, 6)


def test_labels_without_names_are_as_many_as_is_said(tmp_path: Path) -> None:
    said = {"model_type": "bert", "num_labels": 3}
    assert HfConfig(folder(tmp_path / "a", config=said)).outputs == 3
    assert HfConfig(folder(tmp_path / "b", config={"model_type": "bert"})).outputs == 2


def test_what_python_writes_and_a_card_with_a_day_that_is_none_are_read(tmp_path: Path) -> None:
    there = folder(tmp_path / "f", config={"vocab_size": 9, "time_step_limit": [0, float("inf")]})
    (there / "README.md").write_text("---\nlicense: mit\ndate: 2024-13-45\n---\n", "utf-8")
    found = HfConfig(there)
    assert found.model.vocab_size == 9
    assert found.license == ""


def test_a_configuration_that_is_not_json_is_named(tmp_path: Path) -> None:
    (folder(tmp_path / "f") / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelRefused, match=r"config\.json: not JSON"):
        HfConfig(tmp_path / "f")
