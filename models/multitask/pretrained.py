"""A model's folder, as the Hugging Face hub has them: written, read, pushed.

    config.json        the architecture, what is known of the training, and the other files' sha256
    model.safetensors  weights and buffers; the items' text vectors are among them
    vocabulary.json    which item, profile category and context category each row stands for
    README.md          the card, with front matter that the hub reads
    text/              the text encoder, where it was tuned or adapted: see models/text/kept

config.json is written last, with a checksum of its own: a folder without it is no complete model.
Reading checks every file's sha256 before anything is built from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from slategym.envs.names import UsageError
from slategym.models.checksums import Damaged, check_files, read_json, sha256_of, with_checksum
from slategym.models.files import atomic_path, sweep
from slategym.models.hub import HubApi, fetched, is_repository, upload
from slategym.models.multitask.card import card_text
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.vocabulary import Vocabulary
from slategym.models.tensor_files import read_weights
from slategym.models.text.kept import FOLDER as TEXT
from slategym.models.text.kept import kept_files

CLASS, FORMAT = "MultiTaskBert", 10  # of the folder; raise it when what is written changes
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
VOCABULARY = "vocabulary.json"
# what a configuration of other values can cause where a network is made of it
UNFIT = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError)
SPARSE = ("vectors.extra_NZ", "vectors.media_NV")  # NaN where an item has no such value
PUBLISHED = (CONFIG, WEIGHTS, CARD, VOCABULARY)  # what goes to the hub, beside TEXT


def write_model(model: MultiTaskBert, folder: str | Path) -> None:
    """Write the folder; see this module.

    Args:
        model: what it knows of its training, `model.about`, makes its card.
        folder: made if absent; a model that is there is replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)  # while its files change, it is no complete model
    (folder / VOCABULARY).unlink(missing_ok=True)
    for name in PUBLISHED:
        sweep(folder / name)
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    with atomic_path(folder / WEIGHTS) as path:
        save_file(tensors, path, metadata={"format": "pt"})
    if model.vocabulary is not None:
        with atomic_path(folder / VOCABULARY) as path:
            path.write_text(model.vocabulary.to_json() + "\n", encoding="utf-8")
    texts = _written_text(model, folder / TEXT)
    with atomic_path(folder / CARD) as path:
        path.write_text(card_text(model), encoding="utf-8")
    config = {
        "class": CLASS,
        "format": FORMAT,
        "status": "finished",
        "sha256": {
            name: sha256_of(folder / name)
            for name in (WEIGHTS, VOCABULARY, *texts)
            if (folder / name).exists()
        },
        **model.config(),
        **({} if model.about is None else {"about": model.about}),
    }
    with atomic_path(folder / CONFIG) as path:
        path.write_text(json.dumps(with_checksum(config), indent=2) + "\n", encoding="utf-8")


def _written_text(model: MultiTaskBert, folder: Path) -> list[str]:
    """Bring the model's text encoder along; names of its files in the model's folder."""
    if model.text_folder is None:
        return []
    if model.text_folder.resolve() != folder.resolve():
        copytree(model.text_folder, folder, dirs_exist_ok=True)
    return kept_files(folder)


def read_model(source: str | Path, *, revision: str | None = None) -> MultiTaskBert:
    """Read what `write_model` wrote; the model is in evaluation mode, on the CPU.

    Args:
        source: a folder, or the hub's "owner/name".
        revision: of the hub's repository; None: its newest.

    Raises:
        UsageError: there is neither a folder nor such a repository. ValueError: the folder holds
            no complete model of this class and format, or a file of it was altered.
    """
    folder = model_folder(source, revision=revision)
    config = read_config(folder)
    check_model_files(folder, config)
    try:
        # sizes that a stranger wrote take no memory here
        with torch.device("meta"), _Undrawn():
            twin = MultiTaskBert.from_config(config)
        weights = read_weights(folder / WEIGHTS, twin.state_dict(), SPARSE)
        model = MultiTaskBert.from_config(config)
        model.load_state_dict(weights)
        if VOCABULARY in config["sha256"]:
            text = (folder / VOCABULARY).read_text(encoding="utf-8")
            model.vocabulary = Vocabulary.from_json(text)
    except UNFIT as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise UsageError(
            f"{folder / CONFIG} does not describe a model that this slategym makes ({reason}); "
            "train it again"
        ) from error
    model.about = config.get("about")
    encoder = model.settings.text
    if (encoder.learns or encoder.masked_epochs) and (folder / TEXT).is_dir():
        model.text_folder = folder / TEXT
    return model.eval()


class _Undrawn(TorchFunctionMode):
    """Within it nothing is drawn: on "meta", torch imports its compiler to draw a normal number."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def read_config(folder: Path) -> dict[str, Any]:
    """A complete model folder's config.json.

    Raises:
        Damaged: it is cut short or altered. ValueError: it is missing, or of another class or
            format.
    """
    try:
        config = read_json(folder / CONFIG)
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no complete model: {CONFIG} is missing") from None
    except Damaged as error:
        raise Damaged(f"{error}; take an unaltered copy or train it again") from error
    found = (config.get("class"), config.get("format"))
    if found != (CLASS, FORMAT):
        raise UsageError(
            f"{folder} holds class {found[0]!r} format {found[1]!r}, "
            f"this reads {CLASS!r} format {FORMAT}; train it again"
        )
    if not isinstance(config.get("sha256"), dict):
        raise Damaged(f"{folder / CONFIG} states no checksums of the files; train it again")
    return config


def check_model_files(folder: Path, config: dict[str, Any]) -> None:
    """Hold a model folder's files against what its config.json says.

    Raises:
        Damaged: one is missing or altered.
    """
    try:
        check_files(folder, config["sha256"])
    except Damaged as error:
        raise Damaged(
            f"{folder} holds no complete model: {error}; take an unaltered copy or train the model "
            "again"
        ) from error


def model_folder(source: str | Path, *, revision: str | None = None) -> Path:
    """The folder, or the local copy of the hub's repository, fetched if it is not there.

    Raises:
        UsageError: there is neither.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    name = str(source)
    if not (isinstance(source, str) and is_repository(name)):
        raise UsageError(
            f"{name}: no such folder; a model is a folder that `slategym fit` wrote, or the hub's "
            "owner/name"
        )
    return fetched(name, (*PUBLISHED, f"{TEXT}/*"), revision=revision)


def push_model(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    message: str = "Upload model",
    api: HubApi | None = None,
) -> str:
    """Upload a complete model folder to the hub in one commit.

    Args:
        folder: of the model.
        repo_id: "owner/name"; made if absent.
        private: whether only its owner sees it, if it is made; None: the owner's default.
        message: of the commit.
        api: None: the hub's, with the token that `hf auth login` keeps.

    Returns:
        The commit's address, as the api says it.

    Raises:
        ValueError: the folder holds no complete model, or a file of it was altered.
    """
    read_model(folder)
    names = dict.fromkeys([*PUBLISHED, *read_config(Path(folder))["sha256"]])
    return upload(folder, repo_id, list(names), private=private, message=message, api=api)
