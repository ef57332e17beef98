"""Training members in processes of their own, some at a time (decision 38)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from streamproc.errors import OperatorError, TrainingDiverged, TrainingError
from streamproc.offline.training import training_session
from streamproc.offline.training.events import MemberEvent, OnEvent
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.run_folder import RunFolder
from streamproc.offline.training.training_session import MemberJob, TrainingSession

_END_SECONDS = 10


class Jobs:
    """Trains so many members at once, each in a process of its own.

    When one fails the others are ended: where they stand is kept, and nothing is gained by hours
    of training before the error is read. The processes end with the one that has started them,
    even when that is killed.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once

    def __call__(self, plan: TrainingPlan, jobs: Sequence[MemberJob], on_event: OnEvent) -> None:
        waiting = deque(jobs)
        running: dict[Any, _MemberProcess] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._at_once:
                    child = _MemberProcess(plan, waiting.popleft())
                    running[child.events] = child
                for ready in wait(list(running)):
                    if not running[ready].hand_on(on_event):
                        del running[ready]
        finally:
            for child in running.values():
                child.end()


class _MemberProcess:
    """A process that trains one member. events: of its training, or why it failed."""

    def __init__(self, plan: TrainingPlan, job: MemberJob) -> None:
        # A fork of this process, where torch has started threads, might hang; one of a server that
        # has only imported it does not, and no member waits for the imports again.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([training_session.__name__])
        self.events, sender = context.Pipe(duplex=False)
        self._part = job.part
        self._output = RunFolder(plan.folder).member(job.folder) / "output.log"
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._process = context.Process(
            target=_train, args=(plan, job, sender, self._output), name=job.part
        )
        self._process.start()
        sender.close()

    def hand_on(self, on_event: OnEvent) -> bool:
        """Hand on what the process sends; False when it has ended.

        Raises TrainingError when it has failed.
        """
        try:
            sent = self.events.recv()
        except EOFError:
            self._process.join()
            if code := self._process.exitcode:
                ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                raise TrainingError(
                    f"{self._part}: its process ended with {ending}; what it said is in "
                    f"{self._output}. Where it stood is kept: give the same command again."
                ) from None
            return False
        if isinstance(sent, OperatorError):
            self._process.join()
            failed = TrainingDiverged if isinstance(sent, TrainingDiverged) else TrainingError
            raise failed(f"{self._part}: {sent}")
        on_event(MemberEvent(self._part, sent))
        return True

    def end(self) -> None:
        """Stop it, wherever it is: all that it writes is complete or not there."""
        self._process.terminate()
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _train(plan: TrainingPlan, job: MemberJob, sender: Connection, output: Path) -> None:
    # Warnings of libraries would run through the table that the parent shows.
    with output.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        TrainingSession(plan).train(job, sender.send)
    except OperatorError as error:
        sender.send(error)
    except Exception:  # noqa: BLE001  # shown by the parent, which has the terminal
        sender.send(TrainingError(f"failed.\n{traceback.format_exc()}"))


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
    os._exit(1)
