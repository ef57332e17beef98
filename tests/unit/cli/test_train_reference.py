"""The page of all options of `streamproc train`."""

from __future__ import annotations

from pathlib import Path

from streamproc.cli.train_reference import PAGE, page
from streamproc.offline.training.config import TrainConfig, flag

REPOSITORY = Path(__file__).parents[3]


def test_the_page_is_what_the_options_are_now() -> None:
    assert (REPOSITORY / PAGE).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_option_of_a_run_is_a_flag_with_its_default_and_its_bounds() -> None:
    lines = page().splitlines()

    for name in TrainConfig.model_fields:
        assert sum(line.startswith(f"| `{flag(name)}`") for line in lines) == 1
    assert "| `--ensemble` | required |" in page()
    assert any("`--epochs` | `4` |" in line and "at least 1" in line for line in lines)
    assert any("`--warmup` | `0.1` |" in line and "0 to 1" in line for line in lines)
