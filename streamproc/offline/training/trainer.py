"""transformers' Trainer, which asks a member for its batches, its loss and its metrics."""

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

from streamproc.errors import TrainingDiverged, TrainingError
from streamproc.offline.training.devices import device
from streamproc.offline.training.epochs import NOTHING_TO_LEARN, EpochLoader, Epochs
from streamproc.offline.training.events import Epoch, OnMemberEvent, Step
from streamproc.offline.training.options import Schedule
from streamproc.offline.training.training_state import TrainingState
from streamproc.offline.training.training_task import MemberTrainer
from streamproc.repository.files import atomic_file

_WEIGHTS = "model.safetensors"
_UNFINISHED = "unfinished"


class CheckpointedTrainer(Trainer):  # type: ignore[misc]
    """Trains a member's model in place until its metrics stop rising, then takes its best epoch.

    folder: checkpoints go into it, a folder each, and the best epoch's weights as `best`; training
        goes on from the last checkpoint in it

    The same seed, data, number of threads and of processes give the same weights, however often
    the training was cut short in between.
    """

    def __init__(
        self,
        member: MemberTrainer[Any],
        schedule: Schedule,
        seed: int,
        folder: Path,
        on_event: OnMemberEvent,
    ) -> None:
        found = device()
        arguments = TrainingArguments(
            # A checkpoint is moved from here when it is complete.
            output_dir=str(folder / _UNFINISHED),
            per_device_train_batch_size=schedule.batch,
            num_train_epochs=schedule.epochs,
            optim="adamw_torch",
            learning_rate=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            max_grad_norm=1.0,
            seed=seed,
            # What is logged, evaluated and kept, and when, is decided by _EpochCallback.
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
        self.member, self.schedule, self._seed = member, schedule, seed
        self._folder, self.on_event = folder, on_event
        self._best = folder / "best.safetensors"
        self.training_state = TrainingState()
        self.last_loss = torch.zeros(())
        last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
        self._checkpoint = Path(last) if last else None
        super().__init__(_LossModule(member), arguments, callbacks=[_EpochCallback(self)])
        self.remove_callback(PrinterCallback)

    @property
    def step(self) -> int:
        """From which step it goes on; 0 at the beginning."""
        return int(self._checkpoint.name.rpartition("-")[2]) if self._checkpoint else 0

    def fit(self) -> Epoch:
        """Train to the end; returns the best epoch, whose weights the model then has.

        Raises TrainingDiverged when no epoch has a loss, TrainingError when there is nothing to
        learn from.
        """
        checkpoint = self._checkpoint
        if checkpoint:
            self.training_state = TrainingState.load(checkpoint)
        if not self.member.steps:
            raise TrainingError(NOTHING_TO_LEARN)
        if not self.training_state.ended:
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        best = self.training_state.best
        if best is None:
            raise TrainingDiverged(
                "No epoch could be judged, its loss is no number: lower --learning-rate."
            )
        self.accelerator.wait_for_everyone()
        load_model(self.member.model, str(self._best))
        self.accelerator.wait_for_everyone()  # before the first process removes it
        self.member.model.eval()
        return best

    def get_train_dataloader(self) -> EpochLoader:
        processes = self.args.world_size
        return EpochLoader(Epochs(self.member, self._seed, self.args.process_index, processes))

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> Any:
        # transformers' own begins at a learning rate of zero: its first step changes nothing.
        warmup = max(1, round(num_training_steps * self.schedule.warmup))

        def share(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            fallen = (step - warmup) / max(1, num_training_steps - warmup)
            return 0.5 * (1 + math.cos(math.pi * fallen))

        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, share)
        return self.lr_scheduler

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], *_: object, **__: object
    ) -> torch.Tensor:
        loss: torch.Tensor = model(**inputs)
        self.last_loss = loss.detach()
        return loss

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """Evaluate the model as it is; one process does, and hands the metrics to the others."""
        found = [self.member.evaluate() if self.is_world_process_zero() else None]
        (metrics,) = broadcast_object_list(found)
        number = round(self.state.global_step / len(self.callback_handler.train_dataloader))
        epoch = self.training_state.close_epoch(
            number, metrics, self.schedule.patience, self.schedule.epochs
        )
        if epoch.best and self.is_world_process_zero():
            with atomic_file(self._best) as unfinished:
                save_model(self.member.model, str(unfinished))
        self.on_event(epoch)
        self.control.should_evaluate = False
        self.control.should_training_stop = self.training_state.ended
        return {}

    def _wrap_model(
        self, model: nn.Module, training: bool = True, dataloader: object = None
    ) -> nn.Module:
        # One process, one device: torch's DataParallel would take a batch that is no tensor apart.
        return model

    def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
        """Write a checkpoint aside; it gets its name when it is complete, and takes over."""
        staging = self._folder / _UNFINISHED
        if self.is_world_process_zero():
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            (made,) = staging.iterdir()
            self.training_state.save(made)
            older = [path for path in self._folder.glob("checkpoint-*") if path.is_dir()]
            made.replace(self._folder / made.name)
            for path in older:
                shutil.rmtree(path)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        # By itself Trainer can't save weights that a model has under two names.
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.member.model, str(folder / _WEIGHTS))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        load_model(self.member.model, str(Path(resume_from_checkpoint) / _WEIGHTS))


class _LossModule(nn.Module):  # type: ignore[misc]
    """A model from a batch to its loss, which is what is run in many processes at once."""

    def __init__(self, member: MemberTrainer[Any]) -> None:
        super().__init__()
        self.model = member.model
        self._loss = member.loss

    def forward(self, batch: Any) -> torch.Tensor:
        return self._loss(batch)


class _EpochCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each step, evaluates each epoch, and saves a checkpoint after it and in between.

    An epoch's last step makes none: training that went on from there would miss the evaluation.
    """

    def __init__(self, trainer: CheckpointedTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: object) -> None:
        trainer = self._trainer
        loss = trainer.accelerator.reduce(trainer.last_loss.clone(), "mean").item()
        trainer.training_state.add_loss(loss)
        epoch_steps = len(trainer.callback_handler.train_dataloader)
        step = state.global_step
        rate = trainer.lr_scheduler.get_last_lr()[0]
        trainer.on_event(Step(step, state.max_steps, (step - 1) // epoch_steps + 1, loss, rate))
        every = trainer.schedule.checkpoint_steps
        control.should_save = step % every == 0 and step % epoch_steps != 0

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: object) -> None:
        control.should_evaluate = control.should_save = True
