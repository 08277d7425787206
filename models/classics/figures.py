"""The classics on the rows of a log's split: chosen on validation rows, read once on test rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from torch import Tensor

from slategym.models.classics.families import FAMILIES
from slategym.models.classics.next_figures import next_item_figures
from slategym.models.classics.reading import ClassicFigures, Reading
from slategym.models.classics.value_figures import TREES, VALUES, value_figures
from slategym.models.closed_form.events import Events

NAMES = (*FAMILIES, *VALUES, TREES)  # of all, in the order in which they are read


def classic_figures(
    reading: Reading,
    text_ND0: Tensor | None = None,
    *,
    trees: bool = True,
    families: Collection[str] = tuple(FAMILIES),
    begins: Callable[[str], None] = lambda name: None,
) -> Iterator[ClassicFigures]:
    """Choose, fit and read every classic, one after the other.

    Args:
        reading: which rows are for what.
        text_ND0: vectors of the items' texts; None: texts are not read.
        trees: whether to grow boosted trees, which need scikit-learn.
        families: of the next-item scorers, those to read.
        begins: told each classic's name before anything is tried for it.

    Yields:
        Each classic's figures. A log without a signal beside the click has no value models. Where
        rows were held out at random, nothing comes next.
    """
    events = Events.from_log(reading.log)
    if not reading.held_out:
        yield from next_item_figures(reading, events, families, begins)
    yield from value_figures(reading, events, text_ND0, trees=trees, begins=begins)
