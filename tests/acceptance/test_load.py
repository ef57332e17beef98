"""`streamproc load` at a real worker through a real Kafka, from its words to its files."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.support.command import streamproc
from tests.support.ways_in import WaysIn

pytestmark = pytest.mark.kafka

SHORT = ("--duration-s", "5", "--warm-up-s", "1", "--group-id", "acceptance", "--timeout-s", "60")


def test_load_reports_what_a_worker_answered_and_used(
    at_kafka: dict[str, str], tmp_path: Path
) -> None:
    json, html, plots = tmp_path / "load.json", tmp_path / "load.html", tmp_path / "plots"
    files = ("--json", str(json), "--html", str(html), "--plots", str(plots))
    rate = ("--rate", "8", "--arrivals", "even", "--length", "60", "--until", "errors<=0%")
    done = streamproc("load", *SHORT, *rate, "--steps", "1", *files, settings=at_kafka)

    assert done.returncode == 0, done.stderr
    report = orjson.loads(json.read_bytes())
    (step,) = report["steps"]
    # One may be due just at the end.
    assert step["asked"] in (40, 41)
    assert step["answered"] == step["asked"]
    assert step["errors"] == {}
    assert step["latency_ms"]["p99"] >= step["latency_ms"]["p50"] > 0
    assert step["latency_ms"]["max"] >= step["service_ms"]["max"]
    assert step["experiments"] == {}
    (version,) = step["versions"]
    assert version.startswith("sentiment ")
    (worker,) = step["workers"]
    assert worker["cpu"] > 0
    assert worker["resident_bytes"] > 1 << 20
    assert report["verdict"].startswith("errors<=0%: kept by every step")
    assert (plots / "load.png").read_bytes().startswith(b"\x89PNG")
    assert "Workers" in html.read_text("utf-8")
    assert worker["worker"] in done.stdout


def test_users_ask_a_mix_that_a_file_and_a_trace_decide(
    at_kafka: dict[str, str], tmp_path: Path
) -> None:
    texts, trace, json = (tmp_path / name for name in ("texts.txt", "trace.csv", "load.json"))
    texts.write_text("a good film\na bad film\n", "utf-8")
    trace.write_text("seconds,lane\n5,bulk\n5.5,\n6,interactive\n7,bulk\n", "utf-8")
    asked = ("--texts", str(texts), "--json", str(json), "--group-id", "acceptance")
    done = streamproc("load", "--trace", str(trace), *asked, settings=at_kafka)

    assert done.returncode == 0, done.stderr
    (step,) = orjson.loads(json.read_bytes())["steps"]
    kinds = {name: group["answered"] for name, group in step["kinds"].items()}
    assert kinds == {"text-classification": 2, "text-classification bulk": 2}

    users = ("--users", "2", "--think-s", "0.2", "--steps", "1")
    done = streamproc("load", *users, *SHORT, *asked[:4], settings=at_kafka)
    assert done.returncode == 0, done.stderr
    (step,) = orjson.loads(json.read_bytes())["steps"]
    assert step["level"] == 2
    assert step["asked"] == step["answered"] > 2


@pytest.mark.slow
def test_every_task_is_asked_through_a_gateway(ways_in: WaysIn, tmp_path: Path) -> None:
    json = tmp_path / "load.json"
    tasks = ("text-classification", "question-answering", "translation/bulk")
    mix = [word for task in tasks for word in ("--mix", task)]
    given = ("--http", ways_in.address, "--rate", "6", "--length", "40", "--timeout-s", "60")
    done = streamproc("load", *given, *mix, "--duration-s", "4", "--json", str(json))

    assert done.returncode == 0, done.stderr + done.stdout
    (step,) = orjson.loads(json.read_bytes())["steps"]
    assert set(step["kinds"]) == {"text-classification", "question-answering", "translation bulk"}
    assert step["answered"] == step["asked"] > 5
    assert len(step["versions"]) == 3


def test_without_a_gateway_every_request_is_an_error_and_the_exit_code_says_so(
    tmp_path: Path,
) -> None:
    json = tmp_path / "load.json"
    given = ("--http", "http://127.0.0.1:1", "--rate", "20", "--arrivals", "even")
    done = streamproc("load", *given, "--duration-s", "1", "--warm-up-s", "0", "--json", str(json))

    assert done.returncode == 1, done.stderr
    (step,) = orjson.loads(json.read_bytes())["steps"]
    assert step["answered"] == 0
    assert step["errors"] == {"no-gateway": step["asked"]}
    assert "is a `streamproc gateway` running at http://127.0.0.1:1/" in done.stdout
