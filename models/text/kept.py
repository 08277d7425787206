"""The text encoder of a model's folder, where it is not one that can be had elsewhere as it is.

    text/encoder.json, text/tuned.safetensors   what was learned with the network: see `tuned`
    text/tokenizer.json and others              the encoder's tokenizer
    text/encoder/                               the whole encoder, if it was adapted to the texts

Of an encoder that was taken as it is there is nothing: its name says where to have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

from torch import Tensor

from slategym.models.text.settings import EncoderSettings
from slategym.models.text.tuned import ABOUT, ENCODER, TunedEncoder
from slategym.models.text.vectors import item_text_vectors

FOLDER = "text"  # in a model's folder


def keep_encoder(
    folder: Path, settings: EncoderSettings, adapted: EncoderSettings, tuned: TunedEncoder | None
) -> bool:
    """Write the folder, if there is anything to keep; whether there was.

    Args:
        folder: of the encoder.
        settings: as they were given.
        adapted: the same, with the encoder's own folder where it was adapted to the texts.
        tuned: what was learned of it with the network; None: nothing.
    """
    if tuned is not None:
        tuned.save(folder)
    if settings.masked_epochs:
        copytree(adapted.encoder, folder / ENCODER, dirs_exist_ok=True)
    return tuned is not None or settings.masked_epochs > 0


def kept_files(folder: Path) -> list[str]:
    """The files of a model's folder that this folder consists of, by their names there."""
    return sorted(
        f"{FOLDER}/{file.relative_to(folder).as_posix()}"
        for file in folder.rglob("*")
        if file.is_file()
    )


def kept_vectors(
    folder: Path, texts: Sequence[str], settings: EncoderSettings, *, progress: bool = True
) -> Tensor:
    """Vectors of texts as the folder's encoder has them, (N, D0).

    Raises:
        UsageError: the encoder that it was tuned from is not to be had. ValueError: it is not as it
            was.
    """
    if (folder / ABOUT).is_file():
        return TunedEncoder.load(folder, texts, progress=progress).all_vectors()
    return item_text_vectors(texts, folder / ENCODER, pooling=settings.pooling, progress=progress)
