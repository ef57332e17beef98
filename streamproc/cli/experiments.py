"""`streamproc experiments`: versions of an ensemble share its requests, and are compared."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from streamproc.cli.given import given_command
from streamproc.cli.group_experiments import GroupExperiments, signed
from streamproc.cli.lazy import command_group
from streamproc.cli.options import KAFKA, with_settings
from streamproc.cli.promotion import promote_version
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.cli.versions import verify_on_cpu
from streamproc.errors import SettingsError
from streamproc.logs.printable import printable
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.messages.experiment import Experiment
    from streamproc.status.participation import Participation

app = command_group(
    "Split requests between versions of an ensemble, and find out which one is better."
)
_FLAGS = (
    *KAFKA,
    "group_id",
    "models_dir",
    "topics_dir",
    "routes_dir",
    "max_message_bytes",
    "log_level",
    "log_format",
)


class OutcomeName(StrEnum):
    """Outcomes that decide, as they are written."""

    ACCURACY = "accuracy"
    ERRORS = "errors"
    RESPONSE_TIME = "response-time"


Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="name of the experiment")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Verify = Annotated[
    bool,
    typer.Option("--verify/--no-verify", help="load it on this machine first, as a worker would"),
]
Wait = Annotated[
    float,
    typer.Option("--wait", min=0, help="seconds to wait until every worker says so; 0: do not"),
]


@app.command()
@with_settings(_FLAGS)
def start(
    settings: Settings,
    name: Name,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME[@VERSION][=WEIGHT] that answers its share; repeated; the first is the "
            "control, which is what serves now"
        ),
    ] = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME[@VERSION][=SHARE] that is asked about a share of the requests, and "
            "answers nobody; may be repeated"
        ),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="only requests of this topic; may be repeated; default: all"),
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(help="only what this route asks; may be repeated; default: all"),
    ] = None,
    decide_on: Annotated[
        OutcomeName, typer.Option(help="outcome that says which arm is better")
    ] = OutcomeName.ACCURACY,
    verify: Verify = True,
    wait: Wait = 60.0,
    json: Json = False,
) -> None:
    """Have workers of a group split requests between versions of an ensemble, by their keys.

    Only requests that name no ensemble take part. Begun once more while it runs, with the same
    arms, it changes their weights. Exit code 1 when a worker can't serve an arm, or says nothing.
    """
    from streamproc.cli.experiment_plan import WrittenPlan, read_plan

    given = WrittenPlan(name, arm or (), shadow or (), topic or (), route or (), decide_on.value)
    plan = read_plan(settings, given, {})
    stored = GroupExperiments(settings)
    before, served = stored.before_start(plan.task)
    plan = read_plan(settings, given, served)
    for one in before.values():
        if one.is_running and one.name != plan.name and one.overlaps(plan):
            raise SettingsError(
                f"experiment {name!r}: {one.name} runs already on requests for {plan.ensemble}; "
                f"name other topics or routes, or end it: streamproc experiments stop {one.name}"
            )
    if verify:
        from streamproc.logs import configure_logging

        configure_logging(settings)
        for version in dict.fromkeys(one.name for one in plan.arms):
            verify_on_cpu(settings.models_dir, version)
    told = signed(plan).begun_anew(before.get(name))
    stored.store(told)
    found = stored.participation(told, wait) if wait else None
    if json:
        said = told.model_dump(mode="json")
        print_json({**said, "workers": None if found is None else asdict(found)})
    else:
        arms = ", ".join(f"{one.name} {_weight(told, one.name)}" for one in told.arms)
        line = Text.assemble((told.name, "bold"), f" splits requests for {told.ensemble}: {arms}")
        stdout_console().print(line, soft_wrap=True)
        if found is not None:
            _show(found)
    if found is not None and (found.refused or found.waiting):
        raise typer.Exit(1)


@app.command("list")
@with_settings(_FLAGS)
def list_experiments(settings: Settings, json: Json = False) -> None:
    """List the experiments of a group, and why workers do not serve an arm."""
    stored = GroupExperiments(settings)
    rows = stored.participations(list(stored.all().values()))
    if json:
        print_json([{**one.model_dump(mode="json"), "workers": asdict(w)} for one, w in rows])
        return
    console = stdout_console()
    print_table(
        console,
        ("experiment", "", "arms", "decided by", "workers"),
        [
            (
                one.name,
                one.state if one.promoted is None else f"promoted {one.promoted}",
                ", ".join(f"{arm.name} {_weight(one, arm.name)}" for arm in one.arms),
                one.decides,
                str(len(workers.splitting)) if one.is_running else "",
            )
            for one, workers in rows
        ],
        numbers=(4,),
    )
    for one, workers in rows:
        for sentence in workers.sentences() if one.is_running else ():
            console.print(f"{one.name}: {printable(sentence)}", soft_wrap=True)


@app.command()
@with_settings(_FLAGS)
def report(
    context: typer.Context,
    settings: Settings,
    name: Name,
    json: Annotated[Path | None, typer.Option(help="file to write all figures to")] = None,
    html: Annotated[Path | None, typer.Option(help="file to write one page with plots to")] = None,
    plot: Annotated[Path | None, typer.Option(help="file to write a picture to, PNG")] = None,
    load: Annotated[
        Path | None,
        typer.Option(help="file of streamproc load --json, for arms at equal load"),
    ] = None,
) -> None:
    """Compare the arms of an experiment: accuracy, errors and response time, with intervals.

    The intervals hold at every look together, so that it may be looked at as often as one likes,
    and stopped when it is decided.
    """
    from streamproc.cli.experiment_output import ReportFiles, show_report
    from streamproc.clock import SystemClock
    from streamproc.offline.experiments.report import ExperimentReport
    from streamproc.offline.experiments.under_load import read_load

    files = ReportFiles(json, html, plot)
    files.require_libraries()
    files.require_places()
    measured = None if load is None else read_load(load)
    stored = GroupExperiments(settings)
    experiment = stored.named(name)
    under_load = None if measured is None else measured.of(experiment)
    result, workers = stored.result(experiment), stored.participation(experiment)
    made = ExperimentReport(
        result,
        given_command(context),
        datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC).isoformat(timespec="seconds"),
        tuple(workers.sentences()) if experiment.is_running else (),
        under_load,
    )
    show_report(made, stdout_console())
    files.write(made)


@app.command()
@with_settings(_FLAGS)
def promote(
    settings: Settings,
    name: Name,
    arm: Annotated[
        str | None, typer.Option(help="arm to promote; default: the one that is better")
    ] = None,
    verify: Verify = True,
    wait: Wait = 60.0,
    json: Json = False,
) -> None:
    """Have all workers serve the better arm's version, as `models promote`, and end the experiment.

    Exit code 1 when a worker refuses it or does not say so in time; the experiment then goes on.
    """
    stored = GroupExperiments(settings)
    experiment = stored.named(name)
    experiment.ended()  # one that has ended already is told before anything is promoted
    if arm is None:
        from streamproc.offline.experiments.pitfalls import arm_to_promote

        chosen = arm_to_promote(stored.result(experiment))
    else:
        chosen = experiment.arm(arm)
    if chosen.ensemble != experiment.ensemble:
        raise SettingsError(
            f"{chosen.name} is no version of {experiment.ensemble}, so that it can't be promoted "
            "in its place: name it in the description of the topic, or in the route"
        )
    promote_version(settings, chosen.name, verify=verify, wait_s=wait, json=json)
    stored.store(signed(experiment).ended(chosen.name))
    if not json:
        stdout_console().print(f"the experiment {name} has ended", soft_wrap=True)


@app.command()
@with_settings(_FLAGS)
def stop(settings: Settings, name: Name, json: Json = False) -> None:
    """End an experiment: all requests go to the version that serves. It stays for reports."""
    stored = GroupExperiments(settings)
    experiment = stored.named(name)
    ended = signed(experiment).ended()
    stored.store(ended)
    if json:
        print_json(ended.model_dump(mode="json"))
        return
    line = f" has ended; workers answer with the {experiment.ensemble} that is promoted"
    stdout_console().print(Text.assemble((name, "bold"), line), soft_wrap=True)


def _show(found: Participation) -> None:
    console = stdout_console()
    for worker in found.splitting:
        console.print(Text.assemble(("splits", "green"), f"  {printable(worker)}"))
    for sentence in found.sentences():
        console.print(Text.assemble(("refused", "red"), f" {printable(sentence)}"), soft_wrap=True)
    for worker in found.waiting:
        said = f" {printable(worker)} has not said yet; `streamproc experiments list` shows it"
        console.print(Text.assemble(("waiting", "yellow"), said), soft_wrap=True)
    if not (found.splitting or found.refused or found.waiting):
        console.print("no worker of the group serves its task now; those that start will split")


def _weight(experiment: Experiment, name: str) -> str:
    """Of an arm's requests, or of those that a shadow is asked about, in per cent."""
    arm = experiment.arm(name)
    whole = 1.0 if arm.is_shadow else sum(one.weight for one in experiment.answering)
    return f"{100 * arm.weight / whole:.4g} %{' in the shadow' if arm.is_shadow else ''}"
