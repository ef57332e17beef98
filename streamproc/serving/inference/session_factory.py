"""ONNX Runtime's sessions, all opened alike."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from streamproc.errors import ModelRefused
from streamproc.serving.inference.graph_inspection import inspect_graph
from streamproc.serving.inference.graph_session import GraphSession
from streamproc.serving.inference.providers import CPU, Provider, refuse_fallback
from streamproc.serving.inference.shared_arena import share_arena


def open_session(
    name: str, model: bytes, provider: Provider, weights_folder: Path | None = None
) -> GraphSession:
    """An ONNX Runtime session of one thread a call, where it was asked for; raises ModelRefused.

    weights_folder: where the graph finds the files that it refers to; none where it is complete
    """
    inspect_graph(name, model, weights_folder)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Several pools that spin wait for each other's cores: two to three times slower.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if weights_folder is not None:
        # Each session of a model in stages would keep what its largest batch took.
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(weights_folder)
        )
    elif provider.name == CPU:
        share_arena(options)
    try:
        providers = [(provider.name, provider.options)]
        # Else it would try a CPU in a GPU's place, now or at a call that fails, and say so where
        # answers are printed.
        session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        raise ModelRefused(f"member {name}: not a model ONNX Runtime can load: {error}") from None
    refuse_fallback(session.get_providers(), provider, name)
    opened: GraphSession = session
    return opened
