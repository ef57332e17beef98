"""One exported encoder, as transformers reads it and as streamproc does, for comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.alone import copy_with_one_member, encoder_for_transformers, in_stages
from tests.support.onnx_models import write_ensemble


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A model of one of the tasks whose members score a text in a single call.

    folder: model.onnx, config.json and tokenizer files; models: a repository with the ensemble
    tokenizer: of transformers, with the window's length
    """

    task: str
    ensemble: str
    folder: Path
    models: Path
    tokenizer: Any
    overlap_tokens: int

    def pipeline(self, model_class: str, **options: Any) -> Any:
        """transformers' own pipeline over the same file; model_class: of optimum.onnxruntime."""
        from optimum import onnxruntime
        from transformers import pipeline

        reader = getattr(onnxruntime, model_class)
        loaded = reader.from_pretrained(self.folder, local_files_only=True)
        model = in_stages(loaded, self.folder)
        return pipeline(self.task, model=model, tokenizer=self.tokenizer, **options)


def shipped_model(place: Path, ensemble: str, member: int, architecture: str) -> ExportedModel:
    """A member of an ensemble in the models folder, alone."""
    folder, models = place / "exported", place / "models"
    stored, chosen = copy_with_one_member(ensemble, member, models)
    tokenizer = encoder_for_transformers(stored, chosen, architecture, folder)
    manifest = stored.manifest
    return ExportedModel(
        manifest.task, ensemble, folder, models, tokenizer, manifest.window.overlap_tokens
    )


def mini_lm(architecture: str, max_tokens: int, **config: Any) -> tuple[Any, Any]:
    """MiniLM's first two layers under a head of transformers, and its tokenizer."""
    import transformers

    from streamproc.offline.training.base import find_base

    base = find_base().folder
    tokenizer = transformers.AutoTokenizer.from_pretrained(base, model_max_length=max_tokens)
    head = getattr(transformers, architecture)
    return head.from_pretrained(base, num_hidden_layers=2, **config), tokenizer


def export(
    model: Any,
    tokenizer: Any,
    place: Path,
    overlap_tokens: int,
    *,
    task: str,
    ensemble: str,
    labels: Sequence[str] = (),
) -> ExportedModel:
    """Write a model for both."""
    from optimum.exporters.onnx import onnx_export_from_model

    folder, models = place / "exported", place / "models"
    onnx_export_from_model(model, str(folder), task=task, opset=17, do_validation=False)
    tokenizer.save_pretrained(folder)
    write_ensemble(
        models / ensemble,
        [(folder / "model.onnx").read_bytes()],
        labels=labels,
        task=task,
        tokenizer=tokenizer.backend_tokenizer.to_str().encode(),
        window=(tokenizer.model_max_length, overlap_tokens),
    )
    return ExportedModel(task, ensemble, folder, models, tokenizer, overlap_tokens)
