"""What a path that is to be imported holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamproc.errors import ModelRefused

Form = Literal["onnx", "hugging-face", "keras", "saved-model"]

ENCODER, DECODER, MODEL = "encoder_model.onnx", "decoder_model_merged.onnx", "model.onnx"

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
class Source:
    """A model as it was found.

    form:    what it is to be exported from, if it is not ONNX
    model:   its ONNX file, an encoder-decoder's encoder; None where it is yet to be exported
    decoder: the other file of an encoder-decoder
    folder:  where config.json and tokenizer.json lie, if anywhere
    """

    path: Path
    form: Form = "onnx"
    model: Path | None = None
    decoder: Path | None = None
    folder: Path | None = None

    @property
    def name(self) -> str:
        """What a member made of it is called unless somebody says otherwise."""
        named = self.path.resolve()
        if self.path.is_file():
            named = named.parent if named.name == MODEL else named.with_suffix("")
        kept = (c if c.isascii() and c.isalnum() else "-" for c in named.name.lower())
        return "".join(kept).strip("-") or "model"


def find_source(path: Path) -> Source:
    """What the path holds; raises ModelRefused saying what would be right, and how to make it."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ModelRefused(f"{path}: there is no such file or folder")
    kind = path.suffix.lower()
    if kind == ".onnx":
        beside = path.parent if (path.parent / "config.json").is_file() else None
        return Source(path, model=path, folder=beside)
    if kind in _KERAS:
        return Source(path, form="keras")
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


def _folder(path: Path) -> Source:
    if (path / MODEL).is_file():
        return Source(path, model=path / MODEL, folder=path)
    if (path / ENCODER).is_file() and (path / DECODER).is_file():
        return Source(path, model=path / ENCODER, decoder=path / DECODER, folder=path)
    if (path / "saved_model.pb").is_file():
        return Source(path, form="saved-model")
    graphs = sorted(file.name for file in path.glob("*.onnx"))
    if len(graphs) == 1:
        return Source(path, model=path / graphs[0], folder=path)
    if graphs:
        raise ModelRefused(
            f"{path} holds {', '.join(graphs)}: name the file to import; of an encoder-decoder "
            f"the folder must have {ENCODER} and {DECODER}"
        )
    if not (path / "config.json").is_file():
        raise ModelRefused(
            f"{path}: no .onnx file, config.json or saved_model.pb in it; what is to be imported?"
        )
    if not any(path.glob("*.safetensors")):
        raise ModelRefused(
            f"{path} has a config.json and no *.safetensors; weights that are pickled are not "
            "opened: load the model where it is trusted, and save_pretrained it anew"
        )
    return Source(path, form="hugging-face", folder=path)
