"""Training members in processes of their own, some at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from streamproc.errors import OperatorError, TrainingError
from streamproc.offline.training import training_session as learning
from streamproc.offline.training.events import MemberEvent, OnEvent
from streamproc.offline.training.plan import Plan
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

    def __call__(self, plan: Plan, places: Sequence[MemberJob], tell: OnEvent) -> None:
        waiting = deque(places)
        running: dict[Connection, _Child] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._at_once:
                    child = _Child(plan, waiting.popleft())
                    running[child.told] = child
                for ready in wait(list(running)):
                    child = running[ready]  # type: ignore[index]
                    if not child.tell(tell):
                        del running[child.told]
        finally:
            for child in running.values():
                child.end()


class _Child:
    """A process that trains one member. told: what it says, then an error or nothing."""

    def __init__(self, plan: Plan, place: MemberJob) -> None:
        # A fork of this process, where torch has started threads, might hang; one of a server that
        # has only imported it does not, and no member waits for the imports again.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([learning.__name__])
        self.told, telling = context.Pipe(duplex=False)
        self._place, self._output = place, _output(plan, place)
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._process: BaseProcess = context.Process(
            target=_train, args=(plan, place, telling), name=place.part
        )
        self._process.start()
        telling.close()

    def tell(self, tell: OnEvent) -> bool:
        """Hand on what the process says; False when it has ended.

        Raises TrainingError when it has failed.
        """
        try:
            said = self.told.recv()
        except EOFError:
            self._process.join()
            if code := self._process.exitcode:
                raise TrainingError(
                    f"{self._place.part}: its process ended with {_ending(code)}; what it said is "
                    f"in {self._output}. Where it stood is kept: give the same command again."
                ) from None
            return False
        if isinstance(said, _Failed):
            self._process.join()
            raise TrainingError(f"{self._place.part}: {said.why}")
        tell(MemberEvent(self._place.part, said))
        return True

    def end(self) -> None:
        """Stop it, wherever it is: all that it writes is complete or not there."""
        self._process.terminate()
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class _Failed:
    """What a process says last, when it can't go on."""

    def __init__(self, why: str) -> None:
        self.why = why


def _train(plan: Plan, place: MemberJob, telling: Connection) -> None:
    # Warnings of libraries would run through the table that the parent shows.
    with _output(plan, place).open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        TrainingSession(plan).train(place, telling.send)
    except OperatorError as error:
        telling.send(_Failed(str(error)))
    except Exception:  # noqa: BLE001  # told by the parent, which has the terminal
        telling.send(_Failed(f"failed.\n{traceback.format_exc()}"))


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
    os._exit(1)


def _output(plan: Plan, place: MemberJob) -> Path:
    return RunFolder(plan.work).member(place.folder) / "output.log"


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
