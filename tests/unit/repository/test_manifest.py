from __future__ import annotations

import re

import pytest

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import read_manifest
from tests.support.manifests import DIGEST, MANIFEST


def test_a_manifest_is_read_with_its_defaults() -> None:
    manifest = read_manifest(MANIFEST.encode(), "here")

    assert (manifest.name, manifest.combine.strategy, manifest.needed_members) == (
        "tiny", "weighted", 1
    )  # fmt: skip
    assert manifest.members[0].labels == ("negative", "positive")
    assert (manifest.members[0].precision, manifest.members[0].weight) == ("fp32", 2.5)


def test_of_entities_the_default_aggregation_is_stated() -> None:
    entities = MANIFEST.replace("text-classification", "token-classification")
    stated = entities.replace("[combine]", '[defaults]\naggregation = "first"\n[combine]')

    assert read_manifest(stated.encode(), "here").defaults.aggregation == "first"
    assert read_manifest(entities.encode(), "here").defaults.aggregation == "simple"


def test_all_members_are_needed_unless_a_quorum_is_given() -> None:
    manifest = read_manifest(MANIFEST.replace("quorum = 1", "").encode(), "here")

    assert manifest.needed_members == len(manifest.members)
    assert manifest.combine.strategy == "weighted"


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ("format = 1", "format = 2", "format"),
        ("format = 1", "", "format"),
        ('name = "tiny"', 'name = "../tiny"', "name"),
        ('name = "tiny"', 'name = "Tiny"', "name"),
        ('task = "text-classification"', "task = 1", "task"),
        ('labels = ["negative", "positive"]\nquorum', 'labels = ["one"]\nquorum', "labels"),
        ('labels = ["negative", "positive"]\nquorum', 'labels = ["a", "a"]\nquorum', "labels"),
        ("quorum = 1", "quorum = 0", "quorum"),
        ("quorum = 1", "quorum = 2", "quorum is 2, but there are 1 members"),
        ("quorum = 1", "quorum = true", "quorum"),
        ("quorum = 1", "unknown = 1", "unknown"),
        ('file = "tokenizer.json"', 'file = "/tokenizer.json"', "tokenizer.file"),
        ('file = "tokenizer.json"', 'file = "a/../../t.json"', "tokenizer.file"),
        ('file = "tokenizer.json"', r"file = 'a\b'", "tokenizer.file"),
        ('file = "tokenizer.json"', 'file = ""', "tokenizer.file"),
        (f'sha256 = "{DIGEST}"', 'sha256 = "00"', "tokenizer.sha256"),
        ("max_tokens = 16", "max_tokens = 7", "window.max_tokens"),
        ("overlap_tokens = 4", "overlap_tokens = 9", "overlap_tokens must be at most half"),
        ("overlap_tokens = 4", "overlap_tokens = -1", "window.overlap_tokens"),
        ('strategy = "weighted"', 'strategy = "sum"', "combine.strategy"),
        ("[combine]", '[defaults]\naggregation = "none"\n[combine]', "defaults.aggregation"),
        (
            "[combine]",
            '[defaults]\naggregation = "first"\n[combine]',
            "defaults.aggregation is for token-classification; text-classification makes no",
        ),
        ('name = "a"', 'name = "a/b"', "members.0.name"),
        ('version = "1"', 'version = "1/2"', "members.0.version"),
        ('file = "a/1/model.onnx"', 'file = "../a.onnx"', "members.0.file"),
        ("weight = 2.5", "weight = 0", "members.0.weight"),
        ("weight = 2.5", "weight = inf", "members.0.weight"),
        ("weight = 2.5", "weight = nan", "members.0.weight"),
        ("weight = 2.5", 'precision = "int4"', "members.0.precision"),
        ("weight = 2.5", "size_bytes = 0", "members.0.size_bytes"),
    ],
)
def test_every_field_that_is_wrong_is_named_with_the_file(
    right: str, wrong: str, field: str
) -> None:
    assert right in MANIFEST

    with pytest.raises(ModelRefused) as refused:
        read_manifest(MANIFEST.replace(right, wrong, 1).encode(), "models/tiny/manifest.toml")

    assert str(refused.value).startswith("models/tiny/manifest.toml: ")
    assert field in str(refused.value)


NUMBERS = MANIFEST.replace('["negative", "positive"]', '["stars"]').replace(
    "quorum = 1", 'quorum = 1\nproblem_type = "regression"'
)


def test_a_regression_may_give_one_number_and_several_labels_may_be_one() -> None:
    numbers = read_manifest(NUMBERS.encode(), "here")
    several = read_manifest(
        NUMBERS.replace("regression", "multi_label_classification").encode(), ""
    )

    assert (numbers.problem_type, numbers.labels) == ("regression", ("stars",))
    assert (several.problem_type, several.labels) == ("multi_label_classification", ("stars",))
    assert read_manifest(MANIFEST.encode(), "here").problem_type == "single_label_classification"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('"regression"', '"classification"', "problem_type"),
        ('strategy = "weighted"', "temperature = 2.0", "temperature calibrates probabilities"),
        ('labels = ["stars"]\nweight', 'labels = [""]\nweight', "must give every number"),
    ],
)
def test_what_numbers_can_not_be_is_refused(right: str, wrong: str, said: str) -> None:
    assert right in NUMBERS

    with pytest.raises(ModelRefused, match=said):
        read_manifest(NUMBERS.replace(right, wrong).encode(), "here")


def test_all_faults_are_told_at_once() -> None:
    text = MANIFEST.replace("max_tokens = 16", "max_tokens = 1").replace('"1"', "1")

    with pytest.raises(ModelRefused, match=r"window\.max_tokens.*members\.0\.version"):
        read_manifest(text.encode(), "here")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("quorum = 1", 'licence = "MIT"', "licence: unknown; did you mean 'license'? There are: "),
        (
            "max_tokens = 16",
            "max_token = 16",
            "window.max_token: unknown; did you mean 'max_tokens'",
        ),
        ("weight = 2.5", "weigth = 2.5", "members.0.weigth: unknown; did you mean 'weight'?"),
        ("weight = 2.5", "weight.own = 1", "members.0.weight: "),
    ],
)
def test_a_key_that_is_written_otherwise_is_told_with_its_name(
    right: str, wrong: str, told: str
) -> None:
    with pytest.raises(ModelRefused, match=re.escape(told)):
        read_manifest(MANIFEST.replace(right, wrong, 1).encode(), "here")


def test_two_members_of_one_name_are_refused() -> None:
    member = MANIFEST[MANIFEST.index("[[members]]") :]

    with pytest.raises(ModelRefused, match="must have different names"):
        read_manifest((MANIFEST + member).encode(), "here")


@pytest.mark.parametrize("content", [b"\xff", b"format = ", b"[[members]\n"])
def test_what_is_not_toml_is_refused(content: bytes) -> None:
    with pytest.raises(ModelRefused, match="here: not TOML"):
        read_manifest(content, "here")


@pytest.mark.parametrize("content", [b"", b"members = []"])
def test_an_empty_manifest_is_refused_with_what_it_lacks(content: bytes) -> None:
    with pytest.raises(ModelRefused, match="tokenizer: Field required"):
        read_manifest(content, "here")
