"""transformers' Trainer, taught what a lesson is: its batches, its loss, its judgement."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from streamproc.offline.training.devices import device
from streamproc.offline.training.epochs import EpochLoader, Epochs
from streamproc.offline.training.events import OnMemberEvent, Step
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.training_state import TrainingState
from streamproc.offline.training.training_task import MemberTrainer

_WEIGHTS = "model.safetensors"
_UNFINISHED = "unfinished"


class LessonTrainer(Trainer):  # type: ignore[misc]
    """Fits a lesson's model; what Trainer would ask of data sets, the lesson answers.

    folder: checkpoints go into it, a folder each, and the best epoch's weights as `best`
    """

    def __init__(
        self,
        lesson: MemberTrainer[Any],
        schedule: Schedule,
        seed: int,
        folder: Path,
        tell: OnMemberEvent,
    ) -> None:
        found = device()
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=schedule.batch_size,
            num_train_epochs=schedule.epochs,
            max_grad_norm=1.0,
            seed=seed,
            # What is told, judged and kept, and when, is decided by _Rhythm.
            logging_strategy="no",
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not found.cuda,
            bf16=found.precision == "bf16",
            fp16=found.precision == "fp16",
            dataloader_pin_memory=False,
            ddp_find_unused_parameters=False,
        )
        self.lesson, self._schedule, self._seed = lesson, schedule, seed
        self._folder, self.tell = folder, tell
        self.checkpoint_steps = schedule.checkpoint_steps
        self.standing = TrainingState()
        self._staged = False
        self.last_loss = torch.zeros(())
        super().__init__(_LossModule(lesson), arguments, callbacks=[_EpochCallback(self)])
        self.remove_callback(PrinterCallback)

    @property
    def best(self) -> Path:
        """The weights of the best epoch."""
        return self._folder / "best.safetensors"

    @property
    def checkpoint(self) -> Path | None:
        """The last one that is complete."""
        found = get_last_checkpoint(str(self._folder)) if self._folder.is_dir() else None
        return Path(found) if found else None

    def get_train_dataloader(self) -> EpochLoader:
        processes = self.args.world_size
        return EpochLoader(Epochs(self.lesson, self._seed, self.args.process_index, processes))

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        self.optimizer = _optimizer(self.lesson.model, self._schedule)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, _rate(self._schedule, num_training_steps)
        )

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], *_: object, **__: object
    ) -> torch.Tensor:
        loss: torch.Tensor = model(**inputs)
        self.last_loss = loss.detach()
        return loss

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """Judge the model as it is; one process does, the others are told."""
        judged = [self.lesson.judge() if self.is_world_process_zero() else None]
        (judgement,) = broadcast_object_list(judged)
        number = round(self.state.global_step / len(self.callback_handler.train_dataloader))
        patience, last = self._schedule.patience, self._schedule.epochs
        epoch = self.standing.close_epoch(number, judgement, patience, last)
        if epoch.best and self.is_world_process_zero():
            unfinished = self.best.with_name(f"{self.best.name}.unfinished")
            save_model(self.lesson.model, str(unfinished))
            unfinished.replace(self.best)
        self.tell(epoch)
        self.control.should_evaluate = False
        self.control.should_training_stop = self.standing.ended
        return {}

    def _wrap_model(
        self, model: nn.Module, training: bool = True, dataloader: object = None
    ) -> nn.Module:
        # One process, one device: torch's DataParallel would take a batch that is no tensor apart.
        return model

    def _get_output_dir(self, trial: object) -> str:
        return str(self._folder / _UNFINISHED if self._staged else self._folder)

    def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
        """Write a checkpoint aside; it gets its name when it is complete, and takes over."""
        staging = self._folder / _UNFINISHED
        if self.is_world_process_zero():
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._staged = True
        super()._save_checkpoint(model, trial)
        self._staged = False
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            (made,) = staging.iterdir()
            self.standing.save(made)
            older = [path for path in self._folder.glob("checkpoint-*") if path.is_dir()]
            made.replace(self._folder / made.name)
            for path in older:
                shutil.rmtree(path)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        # By itself Trainer can't save weights that a model has under two names.
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.lesson.model, str(folder / _WEIGHTS))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        checkpoint = Path(resume_from_checkpoint)
        load_model(self.lesson.model, str(checkpoint / _WEIGHTS))
        self.standing = TrainingState.load(checkpoint)


class _LossModule(nn.Module):  # type: ignore[misc]
    """A model from a batch to its loss, which is what is run in many processes at once."""

    def __init__(self, lesson: MemberTrainer[Any]) -> None:
        super().__init__()
        self.model = lesson.model
        self._loss = lesson.loss

    def forward(self, batch: Any) -> torch.Tensor:
        return self._loss(batch)


class _EpochCallback(TrainerCallback):  # type: ignore[misc]
    """Tells each step, judges each epoch, and keeps a checkpoint of both and of long ways between.

    An epoch's last step makes none: training that went on from there would miss its judgement.
    """

    def __init__(self, trainer: LessonTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: object) -> None:
        trainer = self._trainer
        loss = trainer.accelerator.reduce(trainer.last_loss.clone(), "mean").item()
        trainer.standing.add_loss(loss)
        a_pass = len(trainer.callback_handler.train_dataloader)
        step = state.global_step
        rate = trainer.lr_scheduler.get_last_lr()[0]
        trainer.tell(Step(step, state.max_steps, (step - 1) // a_pass + 1, loss, rate))
        control.should_save = step % trainer.checkpoint_steps == 0 and step % a_pass != 0

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: object) -> None:
        control.should_evaluate = control.should_save = True


def _optimizer(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    plain = [p for p in model.parameters() if p.ndim < 2]
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)


def _rate(schedule: Schedule, steps: int) -> Any:
    warmup = max(1, round(steps * schedule.warmup_share))

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return share
