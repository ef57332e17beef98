"""The shipped example of a route, over topics of a test's own."""

from __future__ import annotations

from pathlib import Path

from streamproc.settings import read_settings


def describe_route(folder: Path, prefix: str) -> Path:
    """Write it for `<prefix>.reviews.v1`, from the beginning and without a deadline."""
    folder.mkdir()
    shipped = read_settings().topics_dir / "examples" / "routes" / "shop-reviews.yaml"
    lines = shipped.read_text("utf-8").replace("shop.reviews.", f"{prefix}.reviews.").splitlines()
    kept = [line for line in lines if not line.startswith(("deadline_ms:", "examples:"))]
    text = "\n".join(kept).replace("start: latest", "start: earliest")
    (folder / "shop-reviews.yaml").write_text(text, "utf-8")
    return folder
