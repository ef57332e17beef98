"""A description in YAML, read; what is wrong with it is said in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from streamproc.errors import TopicsError


def read_yaml(file: Path) -> Any:
    """What a YAML file holds; raises TopicsError saying why it can't be read."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _EachKeyOnce)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise TopicsError(f"{file}: not readable as YAML: nested too deeply") from None
    except OSError as error:
        raise TopicsError(f"{file}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise TopicsError(f"{file}: not readable as YAML: {_told(error)}") from None
    # ValueError: such as a number of more digits than Python reads
    except (ValueError, yaml.YAMLError) as error:
        raise TopicsError(f"{file}: not readable as YAML: {error}") from None


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a mapping with one key twice, of which YAML's loader would quietly keep the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"there is a second {key.value!r}"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return node


def _told(error: yaml.MarkedYAMLError) -> str:
    mark, began = error.problem_mark, error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    context = f", {error.context}" if error.context else ""
    since = f" that begins in line {began.line + 1}" if began is not None and context else ""
    return f"{place}{error.problem or 'no YAML'}{context}{since}"
