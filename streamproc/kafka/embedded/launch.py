"""Runs a program that must not outlive the process that asked for it.

Started as a script of its own, `python launch.py PROGRAM ARGUMENTS...`, with a pipe as its
standard input whose other end only the asking process has. When that end closes, however that
process ended, the program is told to stop, and is killed when it does not. The kernel's
PR_SET_PDEATHSIG alone won't do: it fires when the asking *thread* ends, and ties the broker to
whichever worker thread happened to start it. It does serve from here to the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

_PATIENCE_S = 10
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_when_alone(program: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    program.terminate()
    try:
        program.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        program.kill()


def main(command: list[str]) -> int:
    """Runs the command to its end and returns its exit code, negative for a signal."""
    # The whole group is signalled: the program acts on it, and this waits for the program.
    # Handlers rather than SIG_IGN, which the program would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    # preexec_fn is safe here: there is one thread so far.
    program = subprocess.Popen(  # noqa: S603 - the command is streamproc's own
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509
    )
    threading.Thread(target=_stop_when_alone, args=(program,), daemon=True).start()
    return program.wait()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # A shell's way to say which signal it was; a negative number would be cut to eight bits.
    sys.exit(code if code >= 0 else 128 - code)
