"""What every test runs under: one torch thread, no hub, a cache folder of its own."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `import small_worlds`
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a process that tests start would compile all anew
sys.dont_write_bytecode = False
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # threads of the processes side by side wait for each other
TESTS = Path(__file__).parent
LONGEST = (  # files that take longest, the longest first
    "models/test_other_logs.py",
    "experiments/studies/test_log.py",
    "models/multitask/test_options.py",
    "experiments/studies/test_movielens.py",
    "agents/test_learning.py",
    "test_own_log_journey.py",
    "envs/test_compiled_forms.py",
    "agents/test_contract.py",
    "models/quality/test_evaluation.py",
    "experiments/studies/test_golden_rows.py",
    "models/multitask/test_train.py",
    "envs/test_reference.py",
    "agents/serving/test_serve.py",
    "experiments/report/test_report.py",
    "agents/slateq/test_agent.py",
    "agents/test_latent_agents.py",
    "experiments/report/test_browser.py",
    "test_site.py",
    "agents/core/test_limits.py",
    "agents/serving/test_events.py",
    "models/simulator/test_world.py",
    "test_packaging.py",
    "test_examples.py",
)


def pytest_configure(config):
    """Side by side, files begin in the order of collection, not those of most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """The longest files first: at the end no process works on one alone."""
    order = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory):
    """Nothing is read from or written to the user's own cache."""
    before = os.environ.get("SLATEGYM_HOME")
    os.environ["SLATEGYM_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["SLATEGYM_HOME"]
    else:
        os.environ["SLATEGYM_HOME"] = before


@pytest.fixture(autouse=True)
def _registries_as_before():
    """What a test registers goes with it: tests that start programs list what is registered."""
    from slategym.agents.entries import POLICIES
    from slategym.envs.registry import WORLDS

    before = dict(POLICIES), dict(WORLDS)
    yield
    assert before == (POLICIES, WORLDS), "a test left something in a registry"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Small tensors: more threads than cores only get in each other's way."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _little_tuning():
    """Policies are tuned with few slates, in one round: rules are tested, not what many find."""
    from slategym.agents.core import tuning

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "SLATES", 1_000)
        patch.setattr(tuning, "KEPT", 64)
        yield


@pytest.fixture(autouse=True, scope="session")
def _short_searches():
    """Settings of classics are chosen of two values each, shares of a network in two steps.

    These searches are most of what tiny models cost. What whole ones find is tested where
    `whole_searches` stands.
    """
    from slategym.models.classics import families, value_figures
    from slategym.models.classics.search import climb
    from slategym.models.multitask import shares
    from slategym.models.people import classic

    def step(ladders, start, loss, *, sweeps=1):
        short = {
            name: ladder[ladder.index(start[name]) :][:2] if start[name] in ladder else ladder
            for name, ladder in ladders.items()
        }
        return climb(short, start, loss, sweeps=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "STEPS", 2)
        for module in (families, value_figures, classic):
            patch.setattr(module, "climb", step)
        yield


@pytest.fixture(scope="module")
def whole_searches():
    """In this file searches are as long as everybody's, and as those of other processes."""
    from slategym.models.classics import families, value_figures
    from slategym.models.classics.search import climb
    from slategym.models.multitask import shares
    from slategym.models.people import classic

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "STEPS", 30)
        for module in (families, value_figures, classic):
            patch.setattr(module, "climb", climb)
        yield


@pytest.fixture(autouse=True, scope="session")
def _few_draws():
    """Fewer draws of the bootstrap: rules and sentences are tested, not an interval's last digit.

    Enough for p-values that Holm can still call small; reports say the number that users get.
    """
    from slategym.experiments.report import background, markdown  # noqa: F401  they say it
    from slategym.experiments.statistics import bootstrap

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 2_000)
        patch.setattr(bootstrap, "OF_SESSIONS", 200)
        yield


@pytest.fixture(autouse=True, scope="session")
def _little_timing():
    """What a policy costs is read from few calls: that it is told is tested, not how exactly."""
    from slategym.experiments.measure import latency

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "WARM_UP", 2)
        patch.setattr(latency, "CALLS", 5)
        yield


@pytest.fixture(autouse=True, scope="session")
def _as_recorded():
    """An export is checked here as it was recorded: torch takes seconds to optimise a program.

    Programs that were written are run as everybody runs them, in this process and in others.
    """
    import torch

    from slategym.agents.serving.export import Exported

    slate = Exported.slate

    def recorded(exported, shown):
        with torch.jit.optimized_execution(False):
            return slate(exported, shown)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exported, "slate", recorded)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_power_cut():
    """Files are written, and the disk is not waited for: none is to outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="module")
def blank_pictures():
    """Reports of this file get empty pictures: drawing takes half of their time.

    What is in a picture is tested in `experiments/report/test_report.py` and where it is drawn.
    """
    with _blank():
        yield


@pytest.fixture
def blank_pictures_here():
    """The same of one test."""
    with _blank():
        yield


@contextmanager
def _blank():
    from matplotlib.figure import Figure

    def blank(_, file, *, format="png", **__):
        if format == "svg":
            file.write('<svg viewBox="0 0 1 1"></svg>')
        else:
            Path(file).touch()

    from slategym.experiments.report import figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", blank)
        patch.setattr(figures, "row_cuts", lambda figure: ())  # measures every panel
        yield
