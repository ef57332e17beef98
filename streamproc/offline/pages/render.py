"""A page of a report, from the template that its package has."""

from __future__ import annotations


def render_page(package: str, **values: object) -> str:
    """HTML of the package's `page.html.jinja`, which extends `layout.html.jinja` of this one."""
    from jinja2 import (  # noqa: PLC0415 - of an extra
        ChoiceLoader,
        Environment,
        PackageLoader,
        StrictUndefined,
    )

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader(__package__, "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(**values)
