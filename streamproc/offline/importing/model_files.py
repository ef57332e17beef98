"""What a path that is to be imported holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from streamproc.errors import ModelRefused

ModelFormat = Literal["onnx", "hugging-face", "keras", "saved-model"]

CONFIG = "config.json"
ENCODER, DECODER, MODEL = "encoder_model.onnx", "decoder_model_merged.onnx", "model.onnx"

# Where the Hub keeps ONNX beside the weights it was made of.
HUB_FOLDER = "onnx"

_PICKLED = {".pt", ".pth", ".pt2", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib", ".mar"}
_KERAS = {".keras", ".h5", ".hdf5"}

_TORCH_ADVICE = """Where the model's code is, export it:
    model.eval()
    ids, mask = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    axes = {0: "rows", 1: "tokens"}
    torch.onnx.export(model, (ids, mask), "model.onnx", dynamo=False,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "rows"}})
and import model.onnx. A model of transformers: save_pretrained, and import its folder."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model as it was found.

    format:  what it is to be exported from, if it is not ONNX
    model:   its ONNX file, an encoder-decoder's encoder; None where it is yet to be exported
    decoder: the other file of an encoder-decoder
    folder:  where config.json and tokenizer.json lie, if anywhere
    """

    path: Path
    format: ModelFormat = "onnx"
    model: Path | None = None
    decoder: Path | None = None
    folder: Path | None = None

    @property
    def name(self) -> str:
        """What a member made of it is called unless somebody says otherwise."""
        named = self.path.resolve()
        if self.path.is_file():
            named = named.parent if named.name in {MODEL, ENCODER} else named.with_suffix("")
        if named.name == HUB_FOLDER:
            named = named.parent
        kept = (c if c.isascii() and c.isalnum() else "-" for c in named.name.lower())
        return "".join(kept).strip("-") or "model"


def find_model_files(path: Path) -> ModelFiles:
    """What the path holds; raises ModelRefused saying what would be right, and how to make it."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ModelRefused(f"{path}: there is no such file or folder")
    kind = path.suffix.lower()
    if kind == ".onnx":
        about = _about(path.parent)
        if path.name == ENCODER and (path.parent / DECODER).is_file():
            return ModelFiles(path, model=path, decoder=path.parent / DECODER, folder=about)
        return ModelFiles(path, model=path, folder=about)
    if kind in _KERAS:
        return ModelFiles(path, format="keras")
    if kind in _PICKLED:
        raise ModelRefused(
            f"{path} may hold pickled Python, which runs as it is read, and is not opened. "
            f"{_TORCH_ADVICE}"
        )
    if kind == ".safetensors":
        raise ModelRefused(f"{path} holds weights alone; name its folder, which has a config.json")
    raise ModelRefused(
        f"{path}: expected an .onnx file, a Hugging Face folder (config.json, *.safetensors), a "
        "folder that optimum exported (model.onnx, config.json, tokenizer.json), a .keras file or "
        "a SavedModel"
    )


def _folder(path: Path) -> ModelFiles:
    if found := _exported(path):
        return found
    if (path / "saved_model.pb").is_file():
        return ModelFiles(path, format="saved-model")
    weights = any(path.glob("*.safetensors"))
    graphs = sorted(file.name for file in path.glob("*.onnx"))
    if len(graphs) == 1:
        return ModelFiles(path, model=path / graphs[0], folder=_about(path) or path)
    if graphs:
        raise ModelRefused(
            f"{path} holds {', '.join(graphs)}: name the file to import; of an encoder-decoder "
            f"the folder must have {ENCODER} and {DECODER}"
        )
    if weights and (path / CONFIG).is_file():
        return ModelFiles(path, format="hugging-face", folder=path)
    if (path / HUB_FOLDER).is_dir():
        if found := _exported(path / HUB_FOLDER):
            return replace(found, path=path)
        graphs = sorted(file.name for file in (path / HUB_FOLDER).glob("*.onnx"))
        if graphs:
            raise ModelRefused(
                f"{path / HUB_FOLDER} holds {', '.join(graphs)}: name the file to import; of an "
                f"encoder-decoder there must be {ENCODER} and {DECODER}"
            )
    if not (path / CONFIG).is_file():
        raise ModelRefused(
            f"{path}: no .onnx file, config.json or saved_model.pb in it; what is to be imported?"
        )
    pickled = sorted(file.name for file in path.iterdir() if file.suffix in _PICKLED)
    if pickled:
        raise ModelRefused(
            f"{path} has its weights in {pickled[0]}, and no *.safetensors; a pickle runs what it "
            "holds as it is read, and is not opened: load the model where it is trusted, and "
            "save_pretrained it anew"
        )
    raise ModelRefused(
        f"{path} has a config.json, and no weights beside it: neither *.safetensors nor "
        f"{MODEL}, {HUB_FOLDER}/{MODEL}, or {ENCODER} and {DECODER}; was it downloaded whole?"
    )


def _exported(path: Path) -> ModelFiles | None:
    """What optimum wrote into a folder, by its names for it."""
    if (path / MODEL).is_file():
        return ModelFiles(path, model=path / MODEL, folder=_about(path) or path)
    if (path / ENCODER).is_file() and (path / DECODER).is_file():
        about = _about(path) or path
        return ModelFiles(path, model=path / ENCODER, decoder=path / DECODER, folder=about)
    return None


def _about(path: Path) -> Path | None:
    """Where config.json and the tokenizer lie: beside a graph, or one folder up, as on the Hub."""
    for folder in (path, path.absolute().parent):
        if (folder / CONFIG).is_file():
            return folder
        if path.name != HUB_FOLDER:
            break
    return None
