"""Alerts and dashboard ask for metrics that workers have, by labels that these have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from streamproc.metrics import Metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
OBSERVABILITY = ROOT / "docs" / "observability.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# What Prometheus adds to what it scrapes.
ADDED = {"job", "instance", "le"}
# A metric with what stands in its braces, and lists of labels.
METRIC = re.compile(r"\b((?:streamproc|process|python)_\w+)(?:\{([^}]*)\})?")
LISTS = re.compile(r"\b(?:by|without|on|group_left|group_right)\s*\(([^)]*)\)")


def series() -> dict[str, set[str]]:
    """Every series that a worker has, with its labels."""
    metrics = Metrics()
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if metric is metrics.registry:
            continue
        for described in metric.describe() if hasattr(metric, "describe") else metric.collect():
            labels = set(getattr(metric, "_labelnames", ()))
            found |= {described.name + suffix: labels for suffix in SUFFIXES[described.type]}
    collected: list[Metric] = list(metrics.registry.collect())
    for one in collected:
        for sample in one.samples:
            found.setdefault(sample.name, set(sample.labels))
    return found


SERIES = series()


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text("utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    file = GRAFANA / "dashboards" / "streamproc.json"
    return json.loads(file.read_text("utf-8"))  # type: ignore[no-any-return]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """What asks Prometheus, and for what."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


ASKED = [pytest.param(query, id=name) for name, query in queries()]


@pytest.mark.parametrize("query", ASKED)
def test_a_query_is_for_series_and_labels_that_workers_have(query: str) -> None:
    asked = METRIC.findall(query)
    assert asked, query
    known = set(ADDED)
    for name, matchers in asked:
        assert name in SERIES, name
        known |= SERIES[name]
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert used <= SERIES[name] | ADDED, (name, used)
    listed = {label.strip() for labels in LISTS.findall(query) for label in labels.split(",")}
    assert listed - {""} <= known, query


def test_a_query_for_a_series_that_is_not_there_would_be_found() -> None:
    with pytest.raises(AssertionError):
        test_a_query_is_for_series_and_labels_that_workers_have("rate(streamproc_requests[5m])")
    with pytest.raises(AssertionError):
        test_a_query_is_for_series_and_labels_that_workers_have('streamproc_ready{task="x"}')


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for one in panel["targets"]
             for name, _ in METRIC.findall(one["expr"])}  # fmt: skip
    shown = {re.sub("_bucket$", "", name) for name in shown}
    ours = {re.sub("_(bucket|count|sum)$", "", name) for name in SERIES}
    ours = {name for name in ours if name.startswith("streamproc_")}
    assert ours <= shown


def test_the_dashboard_shows_tasks_routes_ensembles_and_members_apart() -> None:
    variables = {one["name"]: one for one in dashboard()["templating"]["list"]}
    grouped = {label.strip() for panel in panels() for one in panel["targets"]
               for labels in LISTS.findall(one["expr"]) for label in labels.split(",")}  # fmt: skip
    for name in ("task", "lane", "route", "ensemble", "member"):
        metric, label = re.fullmatch(
            r"label_values\((\w+), (\w+)\)", variables[name]["query"]["query"]
        ).groups()  # type: ignore[union-attr]
        assert label in SERIES[metric]
        assert name in grouped


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken = set[tuple[int, int]]()
    for panel in everything:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert at["x"] + at["w"] <= 24
    for panel in panels():
        assert panel["description"], panel["title"]
        assert {one["datasource"]["uid"] for one in panel["targets"]} == {"${datasource}"}


def test_every_alert_says_what_it_means_and_the_page_what_to_do() -> None:
    page = OBSERVABILITY.read_text("utf-8")
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert f"| `{rule['alert']}` |" in page
    named = re.findall(r"^\| `(Streamproc\w+)` \|", page, re.MULTILINE)
    assert named == [rule["alert"] for rule in rules()]


def test_compose_provisions_what_is_there() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    inside = {}
    for name in ("prometheus", "grafana"):
        assert services[name]["ports"][0].startswith("127.0.0.1:")
        for volume in services[name]["volumes"]:
            source, target, *_ = volume.split(":")
            if source.startswith("./"):
                assert (ROOT / source).is_dir()
                inside[target] = ROOT / source
    (config,) = (one for one in services["prometheus"]["command"] if "config.file" in one)
    assert (inside["/etc/prometheus"] / Path(config.partition("=")[2]).name).is_file()
    provider = yaml.safe_load(
        (GRAFANA / "provisioning" / "dashboards" / "streamproc.yaml").read_text("utf-8")
    )
    assert provider["providers"][0]["options"]["path"] in inside
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, file = home.rpartition("/")
    assert (inside[folder] / file).is_file()


def test_prometheus_scrapes_workers_as_the_job_that_alerts_name() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text("utf-8"))
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    (job,) = config["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) <= set(services)
    jobs = {name for _, query in queries() for name in re.findall(r'job="(\w+)"', query)}
    assert jobs == {job["job_name"]}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Prometheus")
def test_promtool_takes_rules_config_and_queries_and_raises_the_alerts(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:{number}", "expr": _without_variables(query)}
        for number, (_, query) in enumerate(queries())
    ]
    asked = tmp_path / "queries.yaml"
    asked.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": recorded}]}), "utf-8")
    for arguments in (
        ("check", "rules", PROMETHEUS / "alerts.yaml", asked),
        ("check", "config", PROMETHEUS / "prometheus.yaml"),
        ("test", "rules", PROMETHEUS / "alerts_test.yaml"),
    ):
        done = subprocess.run(
            ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _without_variables(query: str) -> str:
    return re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "5m"))
