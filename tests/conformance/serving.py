"""The target `tensorflow-serving` for the suite's models, which are text files and no SavedModels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from seatrial.core.release import ModelFormat, Release
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.tensorflow_serving import ModelServer, ServedTarget, ServerSettings


@dataclass(frozen=True, kw_only=True)
class TextServer(ModelServer):
    """A model server to which `model.txt` stands for `saved_model.pb`, and the golden request is an asset."""

    def choose_files(self, release: Release) -> dict[str, str]:
        """As if it were a SavedModel."""
        files = tuple(
            replace(file, path={"model.txt": "saved/saved_model.pb"}.get(file.path, f"saved/{file.path}"))
            for file in release.files
        )
        chosen = super().choose_files(replace(release, files=files, format=ModelFormat.SAVED_MODEL))
        back = {changed.path: file.path for changed, file in zip(files, release.files, strict=True)}
        return {at: back[path] for at, path in chosen.items()}


def open_texts(place: str, name: str, *, address: str = "", seconds: float = 60.0) -> ServedTarget:
    """The target, as `seatrial.deploy` opens it, but for models that are texts."""
    store, settings = LocalTarget(root=Path(place), name=name), ServerSettings(address=address, seconds=seconds)
    return ServedTarget(store=store, switch=TextServer(root=Path(place), store=store, settings=settings))
