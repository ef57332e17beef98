from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from streamproc.cli.export import export
from streamproc.cli.train import train
from streamproc.errors import OperatorError, SettingsError, TrainingError
from streamproc.offline.corpus.partition_plan import PartitionPlan
from streamproc.offline.corpus.partitioner import partition_corpus
from streamproc.offline.corpus.rows import Source
from streamproc.repository.manifest import read_manifest

pytestmark = pytest.mark.train

app = typer.Typer()
app.command()(train)


def arguments(corpus: Path, base: Path, out: Path) -> list[str]:
    return [
        f"--corpus={corpus / 'train.jsonl'}",
        f"--valid={corpus / 'valid.jsonl'}",
        f"--base={base}",
        f"--out={out / 'models'}",
        f"--work={out / 'work'}",
        "--ensemble=tiny",
        "--partition-by=hash:1",
        "--label=0=negative",
        "--label=1=positive",
    ]


def test_the_missing_extra_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("streamproc.offline.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(OperatorError, match=r"torch.*install streamproc\[train\]"):
        train(ensemble="tiny", corpus=["gone.jsonl"], valid=["gone.jsonl"], label=["0=a", "1=b"])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--label=1=again", "each spelling once"),
        ("--label=2", "SPELLING=NAME"),
        ("--layers=0,x", "--layers"),
        ("--layers=0,9", "3 layers"),
        ("--ffn-width=65", "64 feed-forward neurons"),
        ("--heads=5", "4 heads"),
        ("--task=summarization", "one of text-classification"),
        ("--ensemble=../up", "lower-case"),
        ("--ensemble=tiny@../up", "lower-case"),
        (f"--ensemble={'long' * 17}", "at most 64"),
        ("--version=1/2", "--version"),
        ("--partition-by=nowhere", "'nowhere'"),
        ("--corpus=also=gone.jsonl", "no such corpus"),
        ("--base=nowhere", "no config.json"),
    ],
)
def test_a_wrong_option_is_an_operators_error_that_says_what_is_wrong(
    corpus: Path, base: Path, tmp_path: Path, option: str, said: str
) -> None:
    result = CliRunner().invoke(app, [*arguments(corpus, base, tmp_path), option])

    assert isinstance(result.exception, TrainingError)
    assert said in str(result.exception)
    assert not (tmp_path / "models").exists()


def test_spellings_of_one_name_are_no_two_labels(corpus: Path, base: Path, tmp_path: Path) -> None:
    unnamed = [one for one in arguments(corpus, base, tmp_path) if not one.startswith("--label")]

    result = CliRunner().invoke(app, [*unnamed, "--label=0=same", "--label=1=same"])

    assert isinstance(result.exception, TrainingError)
    assert "2 or more names" in str(result.exception)


def test_a_corpus_becomes_an_ensemble_on_disk(corpus: Path, base: Path, tmp_path: Path) -> None:
    shape = ["--layers=0", "--ffn-width=32", "--vocabulary=300", "--epochs=1", "--threads=1"]
    unnamed = [one for one in arguments(corpus, base, tmp_path) if not one.startswith("--label")]

    result = CliRunner().invoke(app, [*unnamed, *shape])

    assert result.exception is None
    manifest = (tmp_path / "models" / "tiny" / "manifest.toml").read_bytes()
    assert read_manifest(manifest, "tiny").labels == ("0", "1")
    run = tomllib.loads((tmp_path / "work" / "tiny" / "run.toml").read_text(encoding="utf-8"))
    assert run["arguments"]["label"] == ["0=0", "1=1"]
    assert "part-1-of-1 (1 of 1): 300 records" in result.output
    assert (tmp_path / "models" / "tiny" / "part-1-of-1" / "1" / "model.onnx").is_file()
    assert (tmp_path / "work" / "tiny" / "part-1-of-1" / "model.safetensors").is_file()


def test_partitions_cut_before_become_a_member_each_with_the_labels_they_have(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    sources = {split: [Source("tiny", corpus / f"{split}.jsonl")] for split in ("train", "valid")}
    cut = PartitionPlan(sources, "shop", tmp_path / "cut", duplicates="drop")
    done = partition_corpus(cut)
    shape = ["--layers=0", "--ffn-width=32", "--vocabulary=300", "--epochs=1", "--threads=1"]
    places = [f"--base={base}", f"--out={tmp_path / 'models'}", f"--work={tmp_path / 'work'}"]

    result = CliRunner().invoke(
        app, ["--ensemble=tiny@2", f"--partitions={cut.out}", *places, *shape]
    )

    assert result.exception is None
    rows = {name: own.rows["train"] for name, own in done.stats.items()}
    assert f"a (1 of 2): {rows['a']} records" in result.output
    assert f"b (2 of 2): {rows['b']} records" in result.output
    # As a version of it, which other versions may lie beside.
    written = tmp_path / "models" / "tiny@2" / "manifest.toml"
    manifest = tomllib.loads(written.read_text(encoding="utf-8"))
    assert manifest["name"] == "tiny"
    assert manifest["labels"] == ["0", "1"]
    assert [member["name"] for member in manifest["members"]] == ["a", "b"]
    assert "by field 'shop'" in manifest["members"][0]["provenance"]["corpus"]


def test_a_corpus_without_labels_is_refused_before_anything_is_learned(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    unnamed = [one for one in arguments(corpus, base, tmp_path) if not one.startswith("--label")]

    result = CliRunner().invoke(app, [*unnamed, "--label-field=verdict"])

    assert isinstance(result.exception, TrainingError)
    assert "--label-field" in str(result.exception)


@pytest.mark.parametrize(
    "given",
    [[], ["--corpus=c"], ["--partitions=p", "--valid=v"], ["--partitions=p", "--partition-by=x"]],
)
def test_what_to_learn_from_is_named_in_one_way(given: list[str]) -> None:
    result = CliRunner().invoke(app, ["--ensemble=tiny", *given])

    assert isinstance(result.exception, SettingsError)
    assert "--partitions" in str(result.exception)


def test_what_was_trained_is_exported_by_a_command_of_its_own(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("train", "valid"):
        (mine / f"{name}.jsonl").write_bytes((corpus / f"{name}.jsonl").read_bytes())
    shape = ["--layers=0", "--ffn-width=32", "--vocabulary=300", "--epochs=1", "--threads=1"]
    said = arguments(mine, base, tmp_path)
    run = tmp_path / "work" / "tiny"

    trained = CliRunner().invoke(app, [*said, *shape, "--no-export"])

    assert trained.exception is None
    assert not (tmp_path / "models").exists()
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")
    export(run)
    export(run, tmp_path / "others")
    for models in ("models", "others"):
        manifest = (tmp_path / models / "tiny" / "manifest.toml").read_bytes()
        assert len(read_manifest(manifest, "tiny").members) == 1

    with (mine / "valid.jsonl").open("a") as file:
        file.write('{"text": "one more", "label": 1}\n')
    with pytest.raises(TrainingError, match=r"valid\.jsonl is not what was learned from"):
        export(run)
    (run / "part-1-of-1" / "finished.json").unlink()
    (mine / "valid.jsonl").write_bytes((corpus / "valid.jsonl").read_bytes())
    with pytest.raises(TrainingError, match="part-1-of-1 not trained to the end"):
        export(run)
    with pytest.raises(TrainingError, match=r"run\.toml: not there"):
        export(tmp_path / "nowhere")
