"""The commands that need no Kafka, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

from streamproc.settings import Settings, read_settings
from tests.support.command import streamproc
from tests.support.onnx_answerers import answerer
from tests.support.onnx_models import classifier, write_ensemble


def answers(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_help_names_every_command() -> None:
    shown = streamproc("--help")
    assert shown.returncode == 0
    for command in (
        "demo",
        "broker",
        "worker",
        "topics",
        "dlq",
        "models",
        "submit",
        "run",
        "train",
        "evaluate",
    ):
        assert f" {command} " in shown.stdout


def test_every_setting_is_shown_flags_first_and_no_password() -> None:
    shown = streamproc(
        *("worker", "--show-settings", "--group-id", "flag"),
        settings={"GROUP_ID": "environment", "TASKS": "a,b", "KAFKA_SASL_PASSWORD": "horse"},
    )
    assert shown.returncode == 0
    lines = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    assert lines.keys() == {f"STREAMPROC_{name.upper()}" for name in Settings.model_fields}
    assert lines["STREAMPROC_GROUP_ID"] == "flag"
    assert lines["STREAMPROC_TASKS"] == "a,b"
    assert "horse" not in shown.stdout


def test_wrong_settings_name_themselves_all_at_once() -> None:
    wrong = {"BATCH_BUDGET_TOKENS": "many", "DEVICE": "tpu", "WEB_PORT": "70000", "GROUP_ID": ""}
    shown = streamproc("worker", settings=wrong)
    assert shown.returncode == 2
    for name, value in wrong.items():
        assert f"STREAMPROC_{name}='{value}'" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_an_address_of_kafka_that_is_none_is_a_wrong_setting_and_no_traceback() -> None:
    for address in ("127.0.0.1:notaport", "127.0.0.1:99999", "shop:horse@kafka:9092"):
        shown = streamproc("topics", "check", settings={"KAFKA_BOOTSTRAP_SERVERS": address})
        assert shown.returncode == 2
        assert "wrong settings:\n  STREAMPROC_KAFKA_BOOTSTRAP_SERVERS=" in shown.stderr
        assert "Traceback" not in shown.stderr
        assert "horse" not in shown.stderr


def test_a_variable_that_is_no_setting_is_told_and_stops_nothing() -> None:
    for command in (["models", "list"], ["worker", "--show-settings"]):
        shown = streamproc(*command, settings={"MODEL_DIR": "horse", "SERVICE_HOST": "10.0.0.1"})
        assert shown.returncode == 0
        assert shown.stderr == (
            "warning: STREAMPROC_MODEL_DIR is not a setting; did you mean STREAMPROC_MODELS_DIR?\n"
        )


def test_a_misspelt_ensemble_or_task_of_run_is_told_with_those_there_are(tmp_path: Path) -> None:
    lines = tmp_path / "texts.txt"
    lines.write_text("fine\n")

    ensemble = streamproc("run", lines, "--ensemble", "sentimnet")
    task = streamproc("run", lines, "--task", "sentiment")

    assert (ensemble.returncode, task.returncode) == (2, 2)
    assert "did you mean 'sentiment'? There are: sentiment" in ensemble.stderr
    assert "there are: text-classification" in task.stderr
    assert "nlp." not in ensemble.stderr + task.stderr


def test_run_hands_metadata_back_byte_for_byte_and_in_one_line(tmp_path: Path) -> None:
    lines, array = tmp_path / "requests.jsonl", tmp_path / "requests.json"
    lines.write_text(
        '{"text": "fine", "metadata": {"price": 1.10, "big": 1e400}}\n'
        '{"text": "fine", "metadata": null}\n{"text": "fine"}\n'
    )
    array.write_text('[{"text": "fine",\n"metadata": {\n"price": 1.10}}]')

    answered = streamproc("run", lines).stdout.splitlines()
    laid_out = streamproc("run", array).stdout

    assert answered[0].endswith('"metadata":{"price": 1.10, "big": 1e400}}')
    assert answered[1].endswith('"metadata":null}')
    assert "metadata" not in answered[2]
    assert laid_out.endswith('"metadata":{ "price": 1.10}}\n')
    assert laid_out.count("\n") == 1


def test_an_unknown_task_says_which_there_are() -> None:
    shown = streamproc("worker", settings={"TASKS": "mind-reading"})
    assert shown.returncode == 2
    assert "mind-reading" in shown.stderr
    assert "text-classification" in shown.stderr


def test_shipped_ensembles_are_listed_shown_and_good() -> None:
    listed = streamproc("models", "list", "--json")
    shown = streamproc("models", "show", "sentiment", "--json")
    verified = streamproc("models", "verify")
    assert [listed.returncode, shown.returncode, verified.returncode] == [0, 0, 0]
    tasks = {one["name"]: one["task"] for one in json.loads(listed.stdout)}
    assert tasks["sentiment"] == "text-classification"
    assert len(json.loads(shown.stdout)["members"]) == 3
    assert "good sentiment" in verified.stdout


def test_a_model_that_was_changed_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(read_settings().models_dir, models)
    changed = next(models.glob("sentiment/*/*/model.onnx"))
    changed.write_bytes(changed.read_bytes() + b"\0")
    verified = streamproc("models", "verify", "--models-dir", models)
    assert verified.returncode == 1
    assert changed.parent.parent.name in verified.stdout.replace("\n", "")
    assert "sha256" in verified.stdout


def test_an_ensemble_that_is_not_there_says_which_are() -> None:
    shown = streamproc("models", "show", "nonesuch")
    assert shown.returncode == 2
    assert re.search("there are: .*sentiment", shown.stderr)


def test_run_answers_json_lines_in_order_and_counts_bad_rows(requests_file: Path) -> None:
    done = streamproc("run", requests_file)
    assert done.returncode == 1
    rows = answers(done.stdout)
    assert [row["id"] for row in rows] == ["a", "b", "3", "d", "e"]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "error", "ok"]
    assert [row["result"]["label"] for row in rows[:2]] == ["positive", "negative"]
    assert [row["error"]["type"] for row in rows[2:4]] == ["unreadable", "invalid"]
    assert rows[4]["metadata"] == {"page": 3}
    assert "5 answered" in done.stderr
    assert "2 errors" in done.stderr


def test_run_writes_a_file_and_exits_0_when_all_is_well(tmp_path: Path) -> None:
    lines, out = tmp_path / "texts.txt", tmp_path / "answers.jsonl"
    lines.write_text("".join(f"film number {number} was fine\n" for number in range(40)), "utf-8")
    done = streamproc("run", lines, "--output", out, "--outstanding", "7")
    assert done.returncode == 0
    assert done.stdout == ""
    rows = answers(out.read_text("utf-8"))
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 41)]
    assert {row["status"] for row in rows} == {"ok"}


def test_run_reads_csv_with_quotes_and_line_breaks(tmp_path: Path) -> None:
    written = io.StringIO()
    table = csv.writer(written)
    table.writerows([["id", "text"], ["x", 'said "fine",\r\nand left'], ["y", "naïve 🙂"]])
    file = tmp_path / "texts.csv"
    file.write_text(written.getvalue(), "utf-8", newline="")
    done = streamproc("run", file)
    assert done.returncode == 0
    rows = answers(done.stdout)
    assert [row["id"] for row in rows] == ["x", "y"]
    assert [row["coverage"]["characters"] for row in rows] == [22, 7]


def test_run_reads_questions_and_contexts_from_columns_and_from_json_lines(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_ensemble(models / "tiny", [answerer()], labels=(), task="question-answering")
    context = "the good film, the bad film\r\nthe end " * 9
    table, lines = tmp_path / "asked.csv", tmp_path / "asked.jsonl"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question", "id", "context"], ["film", "x", context]])
    lines.write_text(json.dumps({"id": "x", "question": "film", "context": context}), "utf-8")
    options = ("--task", "question-answering", "--ensemble", "tiny", "--models-dir", models)

    by_columns, by_lines = (streamproc("run", file, *options) for file in (table, lines))

    assert (by_columns.returncode, by_lines.returncode) == (0, 0), by_columns.stderr
    (one,), (other,) = answers(by_columns.stdout), answers(by_lines.stdout)
    assert one["result"] == other["result"]
    assert one["coverage"]["chunks"] > 1
    result = one["result"]
    assert context[result["start"] : result["end"]] == result["answer"] != ""


def test_run_says_that_a_line_of_text_is_no_question(tmp_path: Path) -> None:
    models, file = tmp_path / "models", tmp_path / "asked.txt"
    write_ensemble(models / "tiny", [answerer()], labels=(), task="question-answering")
    file.write_text("Who?\n", "utf-8")
    done = streamproc(
        *("run", file, "--task", "question-answering", "--ensemble", "tiny"),
        *("--models-dir", models),
    )
    assert done.returncode == 2
    assert "question and context" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_reads_standard_input() -> None:
    done = streamproc("run", "-", "--format", "jsonl", stdin='{"id": "s", "text": "good"}\n')
    assert done.returncode == 0
    assert [row["id"] for row in answers(done.stdout)] == ["s"]


def test_run_finds_entities_with_an_ensemble_named_for_it(tmp_path: Path) -> None:
    members = [classifier(labels=3, per_token=True, seed=seed) for seed in (1, 2)]
    labels, task = ("O", "PER", "LOC"), "token-classification"
    write_ensemble(tmp_path / "models" / "places", members, labels=labels, task=task)
    lines = tmp_path / "texts.txt"
    lines.write_text("the good film 👍🏽 e\u0301\n\n" + "bad film! " * 20 + "\n", "utf-8")
    command = ("run", lines, "--task", task, "--models-dir", tmp_path / "models")

    done = streamproc(*command, "--ensemble", "places")

    assert done.returncode == 0, done.stderr
    rows = answers(done.stdout)
    texts = lines.read_text("utf-8").splitlines()
    assert [row["coverage"]["characters"] for row in rows] == list(map(len, texts))
    assert rows[1]["result"] == {"entities": []}
    assert rows[2]["coverage"]["chunks"] > 1
    for text, row in zip(texts, rows, strict=True):
        assert (row["task"], row["ensemble"], row["status"]) == (task, "places", "ok")
        assert [member["name"] for member in row["members"]] == ["m0", "m1"]
        for entity in row["result"]["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["word"]
            assert entity["entity_group"] in labels[1:]
    assert sum(len(row["result"]["entities"]) for row in rows) > 5
    unnamed = streamproc(*command)
    assert unnamed.returncode == 2
    assert "; there are: places" in unnamed.stderr


def test_run_says_which_file_it_can_not_read(tmp_path: Path) -> None:
    done = streamproc("run", tmp_path / "nowhere.jsonl")
    assert done.returncode == 2
    assert "nowhere.jsonl" in done.stderr
    assert "Traceback" not in done.stderr
