"""How results were made: what it takes to make them again."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.offline.evaluation.intervals import CONFIDENCE
from streamproc.offline.evaluation.results import EvalResults


@dataclass(frozen=True, slots=True)
class Provenance:
    """How results were made.

    data: the files, each as folder and name
    digests: sha256 of each
    of: records that there are, of which some were taken
    unit: what a record is called
    timed: what times are of, a thousand each, all at once
    confidence_of: what a confidence is of, where calibration is measured
    """

    data: tuple[str, ...]
    digests: tuple[str, ...]
    of: int
    unit: str
    timed: str
    confidence_of: str
    device: str
    draws: int
    seed: int
    version: str
    command: str

    def line(self, results: EvalResults) -> str:
        """In a sentence, the command included."""
        return f"{self.summary(results)}: `{self.command}`"

    def summary(self, results: EvalResults) -> str:
        """In a sentence."""
        count = f"{results.records:,} {self.unit}"
        if results.records < self.of:
            count += f", spread evenly over the {self.of:,}"
        manifest = results.runs[0].system.stored.digest[:12]
        return (
            f"{count} of {', '.join(self.data)}; {CONFIDENCE:.0%} intervals by {self.draws:,} "
            f"bootstrap draws of {self.unit} (seed {self.seed}), differences on the same draws; "
            f"on {self.device}, manifest {manifest}, streamproc {self.version}"
        )
