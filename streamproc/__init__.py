"""NLP on Kafka event streams: chunked, batched, ensembled ONNX inference with Faust agents.

The public API is what `__all__` lists, with what `streamproc.client`, `streamproc.errors` and
`streamproc.testing` hold:

    Settings         read from STREAMPROC_* and from what is given
    RequestClient    asks workers, over Kafka
    LocalClient      asks models in this process, without Kafka
    pipeline         the call of transformers, over an ensemble: for notebooks and scripts
    Scorer           batches of rows in, with answers out: Ray, Spark, datasets
    client           asks workers, over Kafka or HTTP, blocking or not: typed, texts in parts
    Client           what both can do, for the types of your own code
    ResponseBody     what they hand back: docs/messages.md, typed
    Lane             interactive or bulk
    testing          for tests of your own code: answers without models, records without Kafka

Together with the messages, the settings and the command line it changes with a note in CHANGELOG.md
and not otherwise. Every other module is internal and may change at any time. Nothing is imported
before it is used, so that `import streamproc` costs nothing. `examples/` has short programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# The one place that has it: pyproject.toml reads it here.
__version__ = "0.1.0"

__all__ = [
    "Client",
    "Lane",
    "LocalClient",
    "RequestClient",
    "ResponseBody",
    "Scorer",
    "Settings",
    "__version__",
    "client",
    "errors",
    "pipeline",
    "testing",
]

if TYPE_CHECKING:
    from streamproc import client, errors, testing
    from streamproc.kafka.client import RequestClient
    from streamproc.local.pipelines.pipeline import pipeline
    from streamproc.local.scorer import Scorer
    from streamproc.messages.client import Client, ResponseBody
    from streamproc.messages.lane import Lane
    from streamproc.settings import Settings
    from streamproc.worker.local_client import LocalClient
else:
    from importlib import import_module as _import_module

    # Type checkers would take `__getattr__` as leave to ask for any name.
    _HOMES = {
        "Client": "messages.client",
        "Lane": "messages.lane",
        "LocalClient": "worker.local_client",
        "RequestClient": "kafka.client",
        "ResponseBody": "messages.client",
        "Scorer": "local.scorer",
        "Settings": "settings",
        # No module of the package may have this name: importing it would take the function's place.
        "pipeline": "local.pipelines.pipeline",
    }

    def __getattr__(name):
        """A name of the public API, imported when it is first asked for."""
        if name in _HOMES:
            found = getattr(_import_module(f"streamproc.{_HOMES[name]}"), name)
        elif name in __all__:
            found = _import_module(f"streamproc.{name}")
        else:
            raise AttributeError(f"module 'streamproc' has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__():
        return __all__
