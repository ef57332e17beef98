"""Models on a thread of their own: asked from anywhere, and gone when nobody needs them."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import streamproc
from streamproc.errors import ModelRefused, SettingsError, WorkerFault

Make = Callable[..., Any]


def client_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "streamproc-client"]


async def test_it_may_be_asked_beside_a_running_loop(pipeline: Make) -> None:
    ask = pipeline("sentiment-analysis")

    assert ask("good") == await asyncio.to_thread(ask, "good")


def test_many_threads_may_ask_at_a_time(pipeline: Make) -> None:
    ask = pipeline("sentiment-analysis")
    texts = [f"the good film {number}" for number in range(64)]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, texts))

    assert found == [[answer] for answer in ask(texts)]


def test_it_ends_with_its_block_and_says_so_afterwards(settings: streamproc.Settings) -> None:
    with streamproc.pipeline("sentiment-analysis", settings=settings) as ask:
        ask("good")
    with pytest.raises(WorkerFault, match="closed"):
        ask("good")
    ask.close()

    assert client_threads() == []


def test_it_ends_when_nobody_refers_to_it(settings: streamproc.Settings) -> None:
    ask = streamproc.pipeline("sentiment-analysis", settings=settings)
    (thread,) = client_threads()
    del ask
    gc.collect()

    thread.join(10)
    assert not thread.is_alive()


def test_who_waits_when_it_is_closed_is_told(pipeline: Make) -> None:
    ask = pipeline("text-generation")
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            while True:
                ask("It was", max_new_tokens=200)
        except WorkerFault as fault:
            failed.append(fault)

    waiting = threading.Thread(target=wait)
    waiting.start()
    ask.close()
    waiting.join(30)

    assert "closed" in str(failed[0])


def test_what_can_not_be_loaded_leaves_no_thread(models: Path, tmp_path: Path) -> None:
    (tmp_path / "sentiment").mkdir()
    manifest = (models / "sentiment/manifest.toml").read_text("utf-8")
    (tmp_path / "sentiment/manifest.toml").write_text(manifest, "utf-8")

    with pytest.raises(ModelRefused, match=r"tokenizer\.json"):
        streamproc.pipeline("sentiment-analysis", settings=streamproc.Settings(models_dir=tmp_path))

    assert client_threads() == []


def test_a_refused_keyword_leaves_no_thread(settings: streamproc.Settings) -> None:
    with pytest.raises(SettingsError):
        streamproc.pipeline("sentiment-analysis", settings=settings, nonsense=1)

    assert client_threads() == []


def test_it_can_not_be_pickled_and_says_what_can(pipeline: Make) -> None:
    with pytest.raises(TypeError, match=r"streamproc\.Scorer can"):
        pickle.dumps(pipeline("sentiment-analysis"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_is_told_rather_than_kept_waiting(models: Path) -> None:
    program = (
        "import os, streamproc\n"
        f"settings = streamproc.Settings(models_dir={str(models)!r})\n"
        "ask = streamproc.pipeline('sentiment-analysis', settings=settings)\n"
        "if os.fork() == 0:\n"
        "    try: ask('good')\n"
        "    except streamproc.errors.SettingsError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print(len(ask('good')))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    first, second = done.stdout.splitlines()
    assert "forked from" in first
    assert (second, done.returncode) == ("1", 0), done.stderr


@pytest.mark.parametrize("used", ["ask('good')", "iter(ask(text for text in ['good'] * 9))", ""])
def test_a_script_that_closes_nothing_ends_by_itself(used: str, models: Path) -> None:
    program = (
        "import streamproc\n"
        f"settings = streamproc.Settings(models_dir={str(models)!r})\n"
        "ask = streamproc.pipeline('sentiment-analysis', settings=settings)\n"
        f"kept = {used or None}\n"
        "print('done')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    assert done.stderr == ""


def test_the_logging_of_a_program_stays_as_it_is(models: Path) -> None:
    program = (
        "import logging, streamproc\n"
        "logging.basicConfig(format='mine %(message)s', level=logging.INFO)\n"
        f"settings = streamproc.Settings(models_dir={str(models)!r})\n"
        "streamproc.pipeline('sentiment-analysis', settings=settings)('good')\n"
        "logging.info('still')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.stderr == "mine still\n"
