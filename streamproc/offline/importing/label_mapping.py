"""What a model's outputs are called, and what the ensemble calls them."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.errors import SettingsError
from streamproc.offline.importing.import_options import Prompter
from streamproc.offline.importing.import_source import ImportSource
from streamproc.serving.ensembling.heads import HEADS
from streamproc.types import ProblemType


def label_outputs(
    outputs: int | None, problem_type: ProblemType, source: ImportSource
) -> tuple[str, ...]:
    """The ensemble's label for each output, in order; "" for one to leave out.

    outputs: how many there are; None where the graph does not tell
    Raises SettingsError.
    """
    # As --label has them: a name for each output, or SPELLING=NAME of some in config.json.
    said = source.options.labels
    ensemble = source.stored.manifest.labels if source.stored else ()
    own = source.config.labels
    if own and outputs is not None and len(own) != outputs:
        own = ()
    if said and any("=" in pair for pair in said):
        names = _renamed(own, said)
    elif said:
        names = list(said)
    elif own and source.config.labels_are_named:
        names = list(own)
    elif problem_type == "regression" and outputs == 1:
        # A response shows the number alone.
        names = [*(ensemble or ("value",))]
    else:
        names = _asked(outputs, ensemble, source.prompter)
    if outputs is not None and len(names) != outputs:
        raise SettingsError(
            f"--label: the model has {outputs} outputs, and {len(names)} labels were named: "
            f"{', '.join(names)}; name one for each output in order, '' for one to leave out"
        )
    strange = [name for name in names if name and ensemble and name not in ensemble]
    if strange:
        raise SettingsError(
            f"--label: {', '.join(strange)} is no label of the ensemble, whose labels are "
            f"{', '.join(ensemble)}; name the model's outputs by these: --label SPELLING=NAME, or "
            "--label SPELLING= for one to leave out"
        )
    used = [name for name in names if name]
    least = HEADS[problem_type].least_labels
    if len(used) < least or len(set(used)) != len(used):
        wanted = "two labels or more" if least == 2 else "a label or more"
        raise SettingsError(f"--label: expected {wanted}, each once; found {names}")
    return tuple(names)


def _renamed(own: Sequence[str], said: Sequence[str]) -> list[str]:
    names = dict.fromkeys(own)
    given: dict[str, str] = {}
    for pair in said:
        spelling, equals, name = pair.partition("=")
        if not equals or spelling not in names:
            raise SettingsError(
                f"--label {pair}: expected SPELLING=NAME of "
                f"{', '.join(own) or 'labels in a config.json, and there is none'}"
            )
        given[spelling] = name
    return [given.get(spelling, spelling) for spelling in own]


def _asked(outputs: int | None, ensemble: Sequence[str], prompter: Prompter) -> list[str]:
    many = f"{outputs} outputs" if outputs else "outputs"
    of = f" ({', '.join(ensemble)} in the model's order)" if ensemble else ""
    one = "; of a single score the label of 0 comes first" if outputs == 2 else ""
    answer = prompter.ask(
        f"What are the labels of the model's {many}{of}, in order, separated by commas{one}?",
        "--label NAME once for each output",
    )
    return [name.strip() for name in answer.split(",")]
