"""Whatever a folder's JSON files hold, an import is refused with a message or goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import OperatorError
from streamproc.offline.importing.import_options import ImportOptions
from streamproc.offline.importing.imports import import_model
from streamproc.testing import tokenizer_json
from tests.support.foreign_models import Said
from tests.support.hub_folders import GOOD, hub

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
KEYS = (
    *GOOD,
    *("problem_type", "function_to_apply", "pad_token_id", "eos_token_id", "bad_words_ids"),
    *("decoder_start_token_id", "forced_bos_token_id", "num_beams", "length_penalty", "prefix"),
    *("suppress_tokens", "task_specific_params", "n_positions", "max_new_tokens", "max_length"),
)
TASKS = ("text-classification", "text-generation", "translation")


class Exported(Exception):
    """Nothing was found to be wrong."""


def export(source: Path, task: str, target: Path) -> None:
    raise Exported


def verify(root: Path, name: str) -> None:
    raise AssertionError("nothing was exported")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    config=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
    generation=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    task=st.sampled_from(TASKS),
)
def test_no_configuration_ends_in_a_traceback(
    tmp_path: Path, config: dict[str, Any], generation: dict[str, Any], task: str
) -> None:
    source = hub(tmp_path, **config)
    (source / "generation_config.json").write_text(json.dumps(generation), "utf-8")
    options = ImportOptions(source, "tone", tmp_path / "models", task=task)
    with pytest.raises((OperatorError, Exported)):
        import_model(options, Said(), export=export, verify=verify)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"model": 1}', b"null", b"{}"])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json"])
def test_no_file_of_a_folder_ends_in_a_traceback(tmp_path: Path, name: str, content: bytes) -> None:
    source = hub(tmp_path)
    (source / "tokenizer.json").write_bytes(tokenizer_json())
    (source / name).write_bytes(content)
    with pytest.raises((OperatorError, Exported)):
        import_model(
            ImportOptions(source, "tone", tmp_path / "models"), Said(), export=export, verify=verify
        )
