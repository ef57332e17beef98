"""`NAME@VERSION` in a process of one's own, and the setting that pins a version."""

from __future__ import annotations

from pathlib import Path

import pytest

import streamproc
from streamproc import LocalClient, Settings
from streamproc.errors import ModelRefused, SettingsError
from streamproc.local.open_ensemble import open_ensemble
from streamproc.settings import read_settings
from tests.support.signing_keys import key_pair
from tests.support.versioned_models import ENSEMBLE, write_versions

TEXTS = ["the good film", "bad", "good good"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models with three versions of the ensemble that topics name."""
    write_versions(tmp_path, 1, 2, 3)
    return tmp_path


def settings_of(models: Path, *pins: str) -> Settings:
    return Settings(models_dir=models, threads=1, model_versions=pins)


async def manifest_of(settings: Settings, ensemble: str | None) -> str:
    async with LocalClient.of_task(settings, ensemble=ensemble) as client:
        return str((await client.ask({"text": "good"}))["manifest"])


async def test_a_version_is_asked_by_its_name(models: Path) -> None:
    digests = write_versions(models, 1, 2, 3)
    settings, pinned = settings_of(models), settings_of(models, f"{ENSEMBLE}=3")

    assert await manifest_of(settings, None) == digests["1"]
    assert await manifest_of(settings, f"{ENSEMBLE}@2") == digests["2"]
    assert await manifest_of(pinned, ENSEMBLE) == digests["3"]
    assert await manifest_of(pinned, f"{ENSEMBLE}@1") == digests["1"]


async def test_a_version_that_is_not_there_is_told(models: Path) -> None:
    with pytest.raises(ModelRefused, match=r"no version '9' of ensemble 'sentiment'.*1, 2, 3"):
        await manifest_of(settings_of(models), f"{ENSEMBLE}@9")


async def test_with_a_key_only_what_is_signed_is_loaded(models: Path, tmp_path: Path) -> None:
    ours = key_pair(tmp_path / "keys")
    ours.sign(models, ENSEMBLE)
    settings = settings_of(models).model_copy(update={"model_key": ours.public})

    assert await manifest_of(settings, None) == await manifest_of(settings_of(models), None)
    streamproc.Scorer(ENSEMBLE, settings=settings)({"text": TEXTS})
    with pytest.raises(ModelRefused, match="sentiment@2 is not signed"):
        await manifest_of(settings, f"{ENSEMBLE}@2")
    for ensemble in (f"{ENSEMBLE}@2", models / f"{ENSEMBLE}@2"):
        with pytest.raises(ModelRefused, match="sentiment@2 is not signed"):
            streamproc.Scorer(ensemble, settings=settings)({"text": TEXTS})
        with pytest.raises(ModelRefused, match="sentiment@2 is not signed"):
            streamproc.pipeline(model=ensemble, settings=settings)


def test_scorers_and_pipelines_take_a_version(models: Path) -> None:
    settings = settings_of(models)

    def scores(ensemble: str | Path) -> list[float]:
        scorer = streamproc.Scorer(ensemble, settings=settings)
        return [float(one) for one in scorer({"text": TEXTS})["score"]]

    first, second = scores(ENSEMBLE), scores(f"{ENSEMBLE}@2")
    assert first == scores(f"{ENSEMBLE}@1")
    assert second == scores(models / f"{ENSEMBLE}@2")
    assert first != second
    pipe = streamproc.pipeline("text-classification", model=f"{ENSEMBLE}@2", settings=settings)
    try:
        assert [one["score"] for one in pipe(TEXTS)] == pytest.approx(second)
    finally:
        pipe.close()


def test_the_setting_decides_where_no_version_is_named(models: Path) -> None:
    settings = settings_of(models, f"{ENSEMBLE}=2")
    assert open_ensemble(settings, None, ENSEMBLE).version == "2"
    assert open_ensemble(settings, None, f"{ENSEMBLE}@1").version == "1"
    # A folder is that folder.
    assert open_ensemble(settings, None, models / ENSEMBLE).version == "1"


@pytest.mark.parametrize("written", ["sentiment", "sentiment=", "=2", "a=1,a=2"])
def test_a_pin_that_says_too_little_or_too_much_is_told(written: str) -> None:
    with pytest.raises(SettingsError, match="STREAMPROC_MODEL_VERSIONS"):
        read_settings(model_versions=written)


def test_pins_are_read_by_ensemble() -> None:
    assert read_settings(model_versions="a=1, b=2=3").pinned_versions == {"a": "1", "b": "2=3"}
