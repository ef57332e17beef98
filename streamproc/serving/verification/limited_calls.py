"""Calls of models that nobody has tried yet, and that may never return by themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from streamproc.errors import ModelRefused, StreamprocError
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.session import new_call

TRIAL_CALL_S: Final = 120.0
"""What a call may take where no setting says how long a worker waits for one."""

TIMEOUTS_OF_A_TRIAL: Final = 4
"""So many of a worker's time-outs a call may take while a model is tried out: the first calls are
slower, and a machine on which models are loaded is busy."""


@contextmanager
def limited_calls(what: str, call_s: float = TRIAL_CALL_S) -> Iterator[Callable[[], Call]]:
    """Makes calls, one after another, each of which is told to end when its time is over.

    ONNX Runtime ends at the next node, so that a loop without end does end. Raises ModelRefused
    for what follows from that.
    """
    over = threading.Event()
    timer: threading.Timer | None = None

    def end(call: Call) -> None:
        over.set()
        call.terminate = True

    def make() -> Call:
        nonlocal timer
        if timer is not None:
            timer.cancel()
        call = new_call()
        timer = threading.Timer(call_s, end, [call])
        timer.daemon = True
        timer.start()
        return call

    try:
        yield make
    except StreamprocError:
        if over.is_set():
            raise ModelRefused(
                f"{what}: a call did not end within {call_s:g} s; does its graph loop without end? "
                "A model that is only slow needs a larger STREAMPROC_CALL_TIMEOUT_S"
            ) from None
        raise
    finally:
        if timer is not None:
            timer.cancel()
