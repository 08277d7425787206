"""Several networks of one log, fitted side by side: in this process and in others beside it.

A fit takes one thread, and a learned world needs two of them at least: the people's and the
agents'. Weights are those that one fit after the other gives. Whatever happens to a process beside
this one, nothing is lost: a fit that it did not finish is taken up where it stopped, here.

A process beside is a fresh interpreter with a program of its own: those of `multiprocessing` import
the caller's main module, and a script without `if __name__ == "__main__"` would run again in each.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple

import torch

from slategym.models.ending import end_with_parent
from slategym.models.multitask.team import Team
from slategym.models.multitask.train import text_vectors_of
from slategym.models.people.registry import BERT
from slategym.models.simulator.parties import Parties
from slategym.models.threads import THREAD_LIMITS, one_torch_thread, processors

WORTH = 150_000  # rows times epochs of a fit, about 8 s, from which starting a process pays
MOST_ROWS = 400_000  # of a log: of more, two fits at once take too much memory
PROGRAM = "import sys; from slategym.models.simulator.fits import serve; serve(sys.stdin.buffer)"


class Network(NamedTuple):
    """Whose network, and which of an ensemble."""

    party: str
    member: int = 0


class _Asked(NamedTuple):
    """What a process beside this one is given."""

    parent: int
    parties: Parties
    networks: Sequence[Network]


def fit_side_by_side(parties: Parties, wanted: Sequence[Network]) -> None:
    """Fit those that are not there, in as many processes as there are processors, if that pays.

    Args:
        parties: whose people.
        wanted: networks; one that is missing alone is left to whoever asks for it.
    """
    missing = [one for one in wanted if not _is_there(parties, one)]
    size = min(len(missing), _processors())
    if size < 2 or not _pays(parties, missing):
        return
    text_vectors_of(parties.log, parties.settings.model.text, progress=True)  # once, here
    with one_torch_thread():
        beside = [_start(parties, missing[n::size]) for n in range(1, size)]
        try:
            for party, member in missing[::size]:
                parties.bert(party, member=member)
            for process in beside:
                process.wait()
        finally:
            for process in beside:
                process.kill()
                process.wait()


def serve(given: BinaryIO) -> None:
    """In a process beside: fit what is asked for.

    Args:
        given: holds it.
    """
    asked: _Asked = pickle.load(given)
    end_with_parent(asked.parent)
    torch.set_num_threads(1)
    for party, member in asked.networks:
        asked.parties.bert(party, progress=False, member=member)


def _start(parties: Parties, networks: Sequence[Network]) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **dict.fromkeys(THREAD_LIMITS, "1"), "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # what it has to say is said here, where its fit is taken up
        start_new_session=True,  # an interrupt from the keyboard is this process's to answer
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:  # it may be gone
        pickle.dump(_Asked(os.getpid(), parties, networks), pipe)
    return process


def _is_there(parties: Parties, network: Network) -> bool:
    return (parties.folder(network.party, network.member, BERT) / "config.json").exists()


def _pays(parties: Parties, networks: Sequence[Network]) -> bool:
    """Whether each of the fits takes longer than a process to start, and they fit in memory."""
    least = min(parties.rows(one.party) * parties.training(one.party).epochs for one in networks)
    return least >= WORTH and len(parties.log.events) <= MOST_ROWS


def _processors() -> int:
    """That this process may take; 1 where it is one of several that share the work already."""
    shared = multiprocessing.parent_process() is not None or Team.launched().size > 1
    return 1 if shared else processors()
