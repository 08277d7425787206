"""The live page, drawn by streamlit: `slategym app` starts it on this machine.

It only draws: what is shown comes from `bench` and `watch`, what was asked from `asked`.
"""

from __future__ import annotations

import sys
from typing import Any

import streamlit as st
import torch

from slategym.agents.registry import make_policy
from slategym.agents.types import Policy
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.workbench import bench as benches
from slategym.experiments.workbench.bench import Bench, Side
from slategym.experiments.workbench.markup import STYLE, bars, past_tables, slate_table
from slategym.experiments.workbench.settings import PageSettings, label_of
from slategym.experiments.workbench.watch import watch

SECONDS = 5  # between two looks at a running study


@st.cache_resource(show_spinner="The world is made; a learned one takes a minute the first time.")  # type: ignore[untyped-decorator]
def world_of(text: str) -> World:
    """The world that was asked for."""
    asked = PageSettings.from_text(text)
    torch.set_num_threads(1)
    settings = {n: tuple(x) if isinstance(x, list) else x for n, x in asked.settings.items()}
    return make_world(asked.world, **settings)


@st.cache_resource(show_spinner="The policy is made.")  # type: ignore[untyped-decorator]
def policy_of(text: str, name: str) -> Policy:
    """A policy for that world."""
    return make_policy(name, world_of(text))


def main(text: str) -> None:
    """The whole page."""
    asked = PageSettings.from_text(text)
    st.set_page_config(page_title="slategym", layout="wide")
    st.html(STYLE)
    st.title(asked.world.removeprefix("slategym/"))
    names = ["A person's session", *(["The run", "Its report"] if asked.run else [])]
    session, *rest = st.tabs(names)
    with session:
        try:
            draw_session(text, asked)
        except UsageError as error:
            st.error(str(error))
    if rest:
        with rest[0]:
            draw_run(asked.run)
        with rest[1]:
            draw_report(asked.run)


def draw_session(text: str, asked: PageSettings) -> None:
    """Who, when and where; two slates side by side; what was shown."""
    world, state = world_of(text), st.session_state
    who, left, right, luck = st.columns([2, 3, 3, 2])
    user = who.number_input("Person", 0, world.population.size - 1, 0)
    chosen = [
        column.selectbox(
            label,
            asked.policies,
            min(number, len(asked.policies) - 1),
            key=label,
            format_func=label_of,
        )
        for number, (column, label) in enumerate(((left, "First policy"), (right, "Second policy")))
    ]
    seed = luck.number_input("Luck", 0, 2**31 - 1, 0)
    begun = (int(user), tuple(chosen), int(seed))
    if state.get("begun") != begun:
        policies = [(name, policy_of(text, name)) for name in chosen]
        state.begun, state.bench = begun, benches.begin(world, policies, int(user), int(seed))
        state.turn, state.first = state.get("turn", 0) + 1, state.bench
    bench: Bench = state.bench
    bench = draw_context(bench, state.turn)
    bench = draw_history(bench, state)
    show, again = st.columns(2)
    over = all(side.over for side in bench.sides)
    if show.button("Show these slates", type="primary", disabled=over, width="stretch"):
        bench, state.turn = benches.step(bench), state.turn + 1
    if again.button("Start again", width="stretch"):
        bench, state.turn = state.first, state.turn + 1
    drawn = state.get("drawn")
    state.bench, state.drawn = bench, state.turn
    if drawn is not None and drawn != state.turn:
        st.rerun()  # the context's fields stand for the new moment
    for column, side in zip(st.columns(2), bench.sides, strict=True):
        with column:
            draw_side(bench, side)


def draw_context(bench: Bench, turn: int) -> Bench:
    """Fields of the context; with what was changed by hand."""
    fields = benches.fields_of(bench)
    if not fields:
        return bench
    words_now = benches.in_words(bench.world, bench.sides[0].session)
    with st.expander(f"When and where: {words_now}"):
        return _fields(bench, fields, turn)


def _fields(bench: Bench, fields: dict[str, tuple[float, tuple[str, ...]]], turn: int) -> Bench:
    for column, (name, (value, words)) in zip(st.columns(len(fields)), fields.items(), strict=True):
        key, label = f"{name}-{turn}", name.capitalize()
        if words:
            at = min(max(int(value), 0), len(words) - 1)
            new: Any = column.selectbox(
                label, range(len(words)), at, key=key, format_func=lambda n, w=words: w[n]
            )
        elif name == "hour":
            new = column.slider(label, 0.0, 23.75, round(value * 4) / 4 % 24, 0.25, key=key)
            value = round(value * 4) / 4 % 24
        else:
            new = column.number_input(label, value=value, key=key)
        if float(new) != value:
            bench = benches.changed(bench, name, float(new))
    return bench


def draw_history(bench: Bench, state: Any) -> Bench:
    """What the person took before; with what was changed by hand."""
    before = benches.history_of(state.first)
    if not before:
        return bench
    titles = dict(before)
    with st.expander("What the person took before (a change starts the session anew)"):
        kept = st.multiselect(
            "Kept, the newest last",
            list(titles),
            list(titles),
            key=f"kept-{state.begun}",
            format_func=lambda n: titles[n],
        )
        added = st.multiselect(
            "And clicked since",
            range(bench.world.catalogue.num_items),
            key=f"added-{state.begun}",
            format_func=lambda n: benches.title_of(bench.world, n),
        )
    items = (*kept, *added)
    if state.get("history", {}).get(state.begun, tuple(titles)) != items:
        state.history = {**state.get("history", {}), state.begun: items}
        state.turn += 1
        return benches.with_history(state.first, items)
    return bench


def draw_side(bench: Bench, side: Side) -> None:
    """A policy: what it would show now, what it has shown."""
    st.subheader(label_of(side.name))
    clicks = sum(sum(shown.clicked) for shown in side.past)
    st.caption(f"slates {len(side.past)}, clicks {clicks}, reward {side.earned:.3g}")
    if side.over:
        st.info(f"The session is over: {side.over}.")
    else:
        st.html(slate_table(benches.slate_of(bench, side)))
    if side.past:
        st.html(past_tables(side.past))
    with st.expander("What the person hides"):
        found = benches.states(side, bench.world)
        st.html("".join(bars(name, values) for name, values in found.items()))


def draw_run(run: str) -> None:
    """How a study or training stands, looked at again while it runs."""

    def draw() -> None:
        standing = watch(run)
        st.text(f"{standing.status}. {standing.reason}".strip())
        if standing.done:
            done = ", ".join(f"{count} {kind}" for kind, count in standing.done.items())
            st.text(f"finished units: {done}")
            ago = "\n".join(
                f"{name}, {seconds / 60:.0f} min ago" for name, seconds in standing.newest
            )
            st.text(f"the last:\n{ago}")
        if len(standing.curves):
            st.text("return in training, exploring")
            st.line_chart(standing.curves, x="steps", y="return", color="run")
        if standing.verdict:
            with st.expander("The verdict"):
                st.text(standing.verdict)

    running = watch(run).status == "running"
    st.fragment(draw, run_every=SECONDS if running else None)()


def draw_report(run: str) -> None:
    """The study's page as it is in its folder."""
    page = watch(run).report
    if page is None:
        st.text("There is no report yet.")
    else:
        st.iframe(page, height=900)


if __name__ == "__main__":
    main(sys.argv[1])
