"""The README.md of a model folder: what it is, what it was fitted on, what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slategym.envs.names import in_markdown
from slategym.models.multitask.balance import SHARED
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.scores import Figures, heading
from slategym.models.multitask.settings import PRIORS, WIDE, MultiTaskSettings
from slategym.models.tasks import NEXT
from slategym.models.terms import terms

LEARNED = {
    "shown": "learned from what was shown and passed over in the log's slates; the effect of the "
    "slot is learned beside it and left out of the scores",
    "sampled": "learned against items drawn at random, since the log does not hold what was passed "
    "over: log-odds against a random item, not rates of click",
}
REPEATS = {
    False: "met once and never again: barred from the next item and from the items drawn",
    True: "may be consumed again: nothing is barred",
}
UNIFORM = {
    False: "clicks against rows without one, if any, and 4 uniform items that the user never meets",
    True: "clicks against rows without one, if any, and 4 uniform other items",
}
PROTOCOL = (
    "Of {whose} on the validation rows (10,000 of them at most){served}. Each row is predicted "
    "from the profile, its context and the user's earlier clicks; {clicks}; hr10 and ndcg10 full "
    "rank, {masked}."
)
SERVED = ", which also served early stopping and calibration: a little flattering"
READERS = {
    "causal": "A causal BERT",
    "gru": "A gated recurrent network (GRU)",
    "cloze": "A BERT that sees both sides of what is asked (Cloze)",
}
LIMITS = (
    "knows only these items and profile columns; an item without training rows is its text alone",
    "reads logged feedback: what was shown, and to whom, shaped what it could learn",
    "scores are of this log's time and people; `slategym refit` takes newer rows in and says what "
    "moved",
    "no group of people was treated apart: `slategym evaluate-model LOG --groups` says how far "
    "groups differ",
)


def card_text(model: MultiTaskBert) -> str:
    """The README.md of a model: front matter that the hub reads, then for people.

    Args:
        model: `model.about` is what `train_multitask` keeps of its training; without it, the card
            says that nothing is known.
    """
    about = model.about
    if about is None or "data" not in about:
        body = ["# multi-task BERT", "", "Nothing is known of how this model was trained.", ""]
        return "\n".join(["---", _front({}).strip(), "---", *body])
    return "\n".join(["---", _front(about).strip(), "---", *_body(model, about)])


def _front(about: dict[str, Any]) -> str:
    """Metadata in YAML, as https://huggingface.co/docs/hub/model-cards has it."""
    from huggingface_hub import EvalResult, ModelCardData

    data, encoder = about.get("data", {}).get("name"), about.get("encoder")
    card = ModelCardData(
        library_name="slategym",
        tags=["recommender-system", "sequential-recommendation", "multi-task"],
        license="other",
        license_name="terms-of-the-data",
        license_link="#terms",
        base_model=None if encoder is None or Path(encoder).is_dir() else encoder,
    )
    if figures := Figures.from_json({"model": "", **about["figures"]}).values if data else {}:
        card.model_name = about["label"]
        card.eval_results = [
            EvalResult(
                task_type="recommendation",
                dataset_type=data,
                dataset_name=f"{data}, validation rows",
                metric_type=name,
                metric_name=heading(name),
                metric_value=round(value, 6),
            )
            for name, value in figures.items()
        ]
    return str(card.to_yaml())


def _body(model: MultiTaskBert, about: dict[str, Any]) -> list[str]:
    """Lines for people."""
    data, rows, validation = about["data"], about["rows"], about["validation"]
    reader = READERS[model.settings.sequence]
    lines = [
        f"# {in_markdown(about['label'])}",
        "",
        f"{reader} over a user's events with {_heads(about['tasks'])}, by slategym.",
        _beside(model.settings),
        _texts(model.settings),
        "",
        "## Data",
        f"- {in_markdown(data['name'])}, content sha256 `{data['sha256']}`",
        f"- trained on {rows['rows']:,} rows of {rows['users']:,} users; {_extent(model)}",
        f"- clicks: {LEARNED[about['clicks']]}",
        f"- consumed items: {REPEATS[about['repeats']]}",
    ]
    if origin := about.get("from"):
        lines += [
            f"- fitted further from {in_markdown(repr(origin['label']))}: "
            f"{origin['new_rows']:,} rows and {origin['new_items']:,} items are new; old rows are "
            f"at least {origin['replay']:.0%} of those learned from",
            *(f"- {in_markdown(note)}" for note in origin["notes"]),
        ]
    if validation is None:
        lines.append("- no validation rows: a fixed number of epochs, heads not calibrated")
    elif about["refit"]:
        lines.append(
            f"- epochs and calibration found on {validation['rows']:,} validation rows of "
            f"{validation['users']:,} users (model in `selection/`), then trained again on both"
        )
    elif "spent" in about:
        lines.append(
            f"- figures are of {validation['rows']:,} rows of {validation['users']:,} other users; "
            "a fixed number of epochs, heads not calibrated"
        )
    else:
        held = model.vocabulary is not None and model.vocabulary.held
        whose = "people held out from training" if held else "users"
        lines.append(
            f"- stopped early and calibrated on {validation['rows']:,} rows of "
            f"{validation['users']:,} {whose}"
        )
    if spent := about.get("spent"):
        lines += ["", "## Privacy", *(f"- {sentence}" for sentence in spent["sentences"])]
    lines += ["", "## Settings"]
    lines += [f"- {in_markdown(f'{name}: {value}')}" for name, value in _flat(about["settings"])]
    lines += [f"- {in_markdown(f'{name}: {value}')}" for name, value in _flat(about["training"])]
    by_epoch = "Spent" if "spent" in about else "Losses"
    lines += [f"- seed: {about['seed']}", "", f"## {by_epoch} by epoch", ""]
    lines += _table(about["history"])
    lines += ["", f"Best epoch: {about['best_epoch'] + 1}. CPU seconds: {about['cpu_seconds']}."]
    if about["figures"]:
        whose = "the model in `selection/`" if about["refit"] else "this model"
        lines += ["", "## Metrics", "", _protocol(about, whose), ""]
        figures = Figures.from_json({"model": "", **about["figures"]})
        lines += [f"- {name}: {value:.4f}" for name, value in figures.values.items()]
        lines += [f"- {note}" for note in figures.notes]
    lines += _agreement(about.get("gradient_cosines", {}))
    lines += ["", "## Calibration"]
    lines += [f"- {in_markdown(row['sentence'])}" for row in about["calibration"]] or ["- none"]
    lines += ["", "## Shares served", *_shares(about.get("shares", {}))]
    lines += ["", "## Limits", *(f"- {limit}" for limit in LIMITS)]
    return [*lines, "", "## Terms", terms(data["name"]), "", *_use(about)]


def _shares(shares: Mapping[str, Sequence[float]]) -> list[str]:
    """How much of each part of a head is served, where not all of it is; see `shares`."""
    lines = []
    for head, found in shares.items():
        names = ["the network", "the items' biases", "transitions", "EASE"]
        last = ""
        if len(found) == 2:
            names = ["the small network", "the sequence"]
        elif head != NEXT:  # of T tables, a level, and what a history's length adds
            names = names[: (len(found) - 1) // 2]
            last = "; more or less of biases, tables and the level by the length of a history"
        parts = [f"{share:.2f} of {name}" for name, share in zip(names, found, strict=False)]
        lines.append(f"- {in_markdown(head)}: {', '.join(parts)}{last}")
    return lines or ["- all of each part"]


def _beside(settings: MultiTaskSettings) -> str:
    """What is read beside the sequence."""
    parts = [] if settings.wide == "none" else [f"values of a click by {WIDE[settings.wide]}"]
    parts += [] if settings.prior == "none" else [f"clicks and next by {PRIORS[settings.prior]}"]
    return f"Read beside the sequence: {'; '.join(parts) or 'nothing'}."


def _texts(settings: MultiTaskSettings) -> str:
    """How item texts enter."""
    text = settings.text
    if not settings.items.text:
        return "Item texts are not read."
    told = []
    if text.masked_epochs:
        told.append(f"adapted to the texts by guessing masked words (passes: {text.masked_epochs})")
    if text.tuning != "frozen":
        told.append(f"tuned with the network ({text.tuning})")
    if text.pooling == "attention":
        told.append("with a pooling of its tokens that was learned with the network")
    if not told:
        return "Item texts enter as vectors of a frozen encoder, kept in this folder."
    return (
        f"Item texts enter as vectors, kept in this folder, of an encoder {', '.join(told)}; what "
        "was learned of it, and its tokenizer, are in `text/`."
    )


def _extent(model: MultiTaskBert) -> str:
    """How many items the model knows, and until when its log goes."""
    items = f"{model.num_items:,} items"
    if model.vocabulary is None:
        return items
    until = datetime.fromtimestamp(model.vocabulary.until, tz=UTC)
    return f"{items}; the log's last moment is {until:%Y-%m-%d %H:%M:%S} UTC"


def _agreement(cosines: Mapping[str, Any]) -> list[str]:
    """Cosines between the heads' gradients in the last epoch, where they were taken."""
    heads = cosines.get("heads", [])
    if cosines.get("shared") != SHARED or len(heads) < 2 or not cosines["epochs"]:
        return []
    rows = [
        f"| {in_markdown(head)} | {' | '.join(f'{value:+z.2f}' for value in row)} |"
        for head, row in zip(heads, cosines["epochs"][-1], strict=True)
    ]
    return [
        "",
        "## Do the heads agree?",
        "",
        "Cosines between their gradients at the weights that they share, last epoch; below 0 they "
        "pull against each other.",
        "",
        f"| head | {' | '.join(map(in_markdown, heads))} |",
        f"|---|{'--:|' * len(heads)}",
        *rows,
    ]


def _use(about: dict[str, Any]) -> list[str]:
    """How to read the model."""
    return [
        "## Use",
        "```python",
        "from slategym.models import MultiTaskBert",
        "",
        'model = MultiTaskBert.from_pretrained("this folder, or its owner/name on the hub")',
        "```",
        "",
    ]


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Names and values, those of a part under the part's name."""
    pairs: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict) and name != "weights":
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", value))
    return pairs


def _protocol(about: dict[str, Any], whose: str) -> str:
    """What the metrics mean."""
    shown = about["clicks"] == "shown"
    clicks = "clicks among what was shown" if shown else UNIFORM[about["repeats"]]
    masked = "no item masked" if about["repeats"] else "earlier items masked"
    served = "" if "spent" in about else SERVED
    return PROTOCOL.format(whose=whose, served=served, clicks=clicks, masked=masked)


def _heads(tasks: list[dict[str, Any]]) -> str:
    """The model's heads, in words."""
    first, *others = (str(task["signal"][0]) for task in tasks)
    given = f", {', '.join(others)} given {first}," if others else ""
    return in_markdown(f"heads for {first}{given} and next item")


def _table(rows: list[dict[str, float]]) -> list[str]:
    """A Markdown table of numbers, one line a row."""
    names = list(rows[0])
    heads = [in_markdown(name) for name in names]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(names)}"]
    return lines + [f"| {' | '.join(f'{row[name]:.4g}' for name in names)} |" for row in rows]
