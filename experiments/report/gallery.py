"""Real slates: the same person at the same moment, and what each policy would show.

Which people is a rule's work (`measure/slates`): some of those whose sessions are kept, at stated
quantiles of what RL earns above the ranker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from slategym.experiments.places import Place
from slategym.experiments.report.ledger import ROWS, Ledger
from slategym.experiments.report.markup import Html, element, join
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import capital, known_as
from slategym.experiments.statistics.differences import metric_of
from slategym.experiments.statistics.segments import TRAIT
from slategym.experiments.statistics.slates import MOMENT, OPPONENT, OTHER, RL
from slategym.experiments.statistics.words import listed, per_cent, signed_number

SLATES = "slates.parquet"
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the paired difference, at which people are shown
ORDER = (OPPONENT, OTHER, RL)


def gallery_section(result: Result, ledger: Ledger) -> list[Html | None]:
    """A few people, place by place; nothing where no slates were kept."""
    rows = result.slates
    if rows.empty:
        return []
    places = list(dict.fromkeys(rows["place"]))
    return [
        element("p", _rule(result)),
        *(
            part
            for place in places
            for part in _place(result, result.study.place(place), rows, ledger)
        ),
        element(
            "p",
            f"Every slot of whole sessions of {rows['user'].nunique()} people under these policies "
            f"stands in {SLATES}; its columns are described in docs/rows.md.",
            class_="source",
        ),
    ]


def _rule(result: Result) -> str:
    """How people and moments were chosen."""
    study = result.study
    opponent = study.roles.say(study.roles.opponent)
    quantiles = listed([per_cent(q) for q in QUANTILES])
    why = (
        " Under each title: its place in the ranker's order, what each head adds to its utility "
        "above the mean of all that might be shown (log-odds), and the past click without which "
        "that utility would fall most, whoever shows it."
        if "ranker_place" in result.slates
        else ""
    )
    return (
        f"The same person at the same moment: after at most {MOMENT} slates of a session under "
        f"{opponent}, what each policy would show next, and what the person does with the same "
        f"luck. People are those nearest to the {quantiles} quantiles of what RL earns above "
        f"{opponent} in the rows; nobody was picked by hand. Of learners the first training seed "
        f"is shown.{why}"
    )


def _place(
    result: Result, place: Place, every: pd.DataFrame, ledger: Ledger
) -> Iterator[Html | None]:
    rows = every[every["place"] == place.name]
    yield element("h3", place.heading)
    names = {role: rows.loc[rows["role"] == role, "policy"] for role in ORDER}
    shown = {role: str(found.iloc[0]) for role, found in names.items() if len(found)}
    same = _always_same(rows, shown)
    if same:
        said = f"{capital(known_as(result.study, shown[RL]))} shows the very slates of "
        yield element("p", f"{said}{known_as(result.study, same)} at every moment below.")
    at = rows.drop_duplicates("user").set_index("user")["quantile"]
    people = list(dict.fromkeys(int((at - q).abs().idxmin()) for q in QUANTILES))
    for number, user in enumerate(people):
        mine = rows[rows["user"] == user]
        yield _person(result, place, mine, shown, number == 0, ledger)


def _always_same(rows: pd.DataFrame, shown: dict[str, str]) -> str:
    """Whose slates RL shows at every moment; "": nobody's."""
    asked = rows[rows["asked"]]
    slates = {
        role: asked[asked["role"] == role].groupby("user")["item"].apply(tuple) for role in shown
    }
    for role in (OPPONENT, OTHER):
        if role in slates and slates[role].equals(slates[RL]):
            return shown[role]
    return ""


def _person(
    result: Result,
    place: Place,
    mine: pd.DataFrame,
    shown: dict[str, str],
    first: bool,
    ledger: Ledger,
) -> Html:
    """What one person is shown by everybody."""
    study, user = result.study, int(mine["user"].iloc[0])
    gain, step = float(mine["gain"].iloc[0]), int(mine.loc[mine["asked"], "step"].min())
    metric = metric_of(result.rows)
    source = (
        f"{ROWS}: mean of paired {metric} differences where user == {user} and variant == "
        f"{place.name!r}: {shown[RL]} minus {shown[OPPONENT]}"
    )
    heading = element(
        "summary",
        f"{_who(result, place, user)}: RL ",
        signed_number(gain),
        f" {study.unit}",
    )
    columns = [_column(result, mine, role, name, shown) for role, name in shown.items()]
    return element(
        "details",
        heading,
        element(
            "p",
            f"{_so_far(mine, shown[OPPONENT], step)} Over the whole session RL earns ",
            ledger.number(f"{abs(gain):.2f}", source),
            f" {'less' if gain < 0 else 'more'} than {study.roles.say(study.roles.opponent)} "
            f"(quantile {per_cent(float(mine['quantile'].iloc[0]))}).",
        ),
        element("div", *columns, class_="slates"),
        class_="person",
        open="" if first else None,
    )


def _who(result: Result, place: Place, user: int) -> str:
    """The person, by number and traits."""
    rows = result.rows
    traits = [name for name in rows.columns if name.startswith(TRAIT)]
    here = rows[(rows["user"] == user) & (rows["variant"] == place.name)]
    known = [] if here.empty else [
        str(here.iloc[0][name]) if name in (f"{TRAIT}activity", f"{TRAIT}taste")
        else f"{name.removeprefix(TRAIT)} {here.iloc[0][name]}"
        for name in traits if pd.notna(here.iloc[0][name])
    ]  # fmt: skip
    told = f" ({', '.join(known)})" if known else ""
    return f"User {user}{told}"


def _so_far(mine: pd.DataFrame, opponent: str, step: int) -> str:
    """What they clicked in this session until then."""
    before = mine[(mine["session_of"] == opponent) & (mine["policy"] == opponent)]
    clicked = before[(before["step"] < step) & (before["click"] > 0)]
    if step == 0:
        return "At the first slate of a session."
    titles = listed([f"{row.title} ({row.topic})" for row in clicked.itertuples()])
    slates = f"{step} slate{'s' if step > 1 else ''}"
    return f"After {slates} of the session, of which they clicked {titles or 'nothing'}."


def _column(
    result: Result, mine: pd.DataFrame, role: str, name: str, shown: dict[str, str]
) -> Html:
    """One policy's slate, what was done with it, and what of the ranker's it does not show."""
    asked, said = mine[mine["asked"]], known_as(result.study, name)
    own = asked[asked["policy"] == name].sort_values("position")
    theirs = asked[asked["policy"] == shown[OPPONENT]]
    items = [element("li", *_slot(row._asdict(), result)) for row in own.itertuples(index=False)]
    notes = [_did(own)]
    if role != OPPONENT:
        gone = theirs[~theirs["item"].isin(own["item"])]
        notes.append(_left_out(gone, len(own), result.study.roles.say(shown[OPPONENT])))
    if tired := list(dict.fromkeys(asked.loc[asked["bores"], "topic"])):
        avoided = [topic for topic in tired if topic not in set(own["topic"])]
        if avoided:
            notes.append(f"Passes over what bores the person now: {listed(avoided)}.")
    return element(
        "section",
        element("h4", capital(said)),
        element("ol", *items),
        *(element("p", note) for note in notes if note),
        class_=f"slate {role}",
    )


def _slot(row: dict[str, Any], result: Result) -> list[Html]:
    """A slot: title, topic, what was done with it, and why."""
    clicked = row["click"] > 0
    mark = element("span", _feedback(row, result), class_="did") if clicked else None
    why = []
    if (place := row.get("ranker_place")) is not None and not pd.isna(place):
        why.append(f"ranker's no. {int(place)}" if place else "not among the ranker's")
        adds = {n.removeprefix("adds_"): x for n, x in row.items() if n.startswith("adds_")}
        why += [f"{head} {signed_number(x, 1)}" for head, x in adds.items() if not pd.isna(x)]
        if row["because"] and row["because_adds"] > 0:
            why.append(f"because of {row['because']} ({signed_number(row['because_adds'])})")
    if row["bores"]:
        why.append("bores the person now")
    return [
        join([element("strong" if clicked else "span", str(row["title"])), " ",
              element("span", str(row["topic"]), class_="topic"), mark]),
        element("span", " · ".join(why), class_="why") if why else join([]),
    ]  # fmt: skip


def _feedback(row: dict[str, Any], result: Result) -> str:
    """What was done with a clicked item, in the log's signals."""
    said = ["clicked"]
    for name, kind, unit in result.signals[1:]:
        value = row.get(name)
        if value is None or pd.isna(value) or (kind == "binary" and not value):
            continue
        of = "" if name in unit else f" {unit}"
        said.append(name if kind == "binary" else f"{name} {value:.3g}{of}".rstrip())
    return ", ".join(said)


def _did(own: pd.DataFrame) -> str:
    """What came of the slate, in a line."""
    clicks = int((own["click"] > 0).sum())
    paid = float(own["reward"].sum())
    done = "Nothing clicked" if not clicks else f"Reward {paid:g}"
    return f"{done}. Expected clicks {own['click_chance'].sum():.2f}."


def _left_out(gone: pd.DataFrame, slots: int, opponent: str) -> str:
    """Of the opponent's slate."""
    if gone.empty:
        return f"Shows what {opponent} shows."
    if len(gone) == slots:
        return f"Shows nothing of what {opponent} shows."
    titles = listed([str(title) for title in gone["title"]])
    return f"Leaves out of what {opponent} shows: {titles}."
