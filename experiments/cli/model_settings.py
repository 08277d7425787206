"""Settings of the multi-task model as the command line takes them: --encoder and --set NAME=VALUE.

A name is a field of `MultiTaskSettings` or of `TrainingSettings`, or of a part of them with a dot:
`sharing=mmoe`, `balance=pcgrad`, `text.tuning=lora`, `weights.next=1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, get_type_hints

from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import check_kinds
from slategym.experiments.cli.pairs import as_texts, read_pairs

if TYPE_CHECKING:
    from slategym.models.multitask.settings import MultiTaskSettings
    from slategym.models.multitask.training_settings import TrainingSettings

OPTION = "--set"
ENCODER = "text.encoder"


@dataclass(frozen=True)
class ModelChoices:
    """What was chosen on the command line, by dotted name."""

    network: Mapping[str, Any] = field(default_factory=dict)  # of MultiTaskSettings
    fitting: Mapping[str, Any] = field(default_factory=dict)  # of TrainingSettings

    def settings(self, *, private: bool = False) -> MultiTaskSettings:
        """The architecture; private: without closed-form statistics, unless they are chosen."""
        from slategym.models.multitask.settings import MultiTaskSettings

        start = MultiTaskSettings(wide="none", prior="none") if private else MultiTaskSettings()
        changed: MultiTaskSettings = _changed(start, self.network)
        return changed

    def training(self, default: TrainingSettings) -> TrainingSettings:
        """How to train, where nothing was chosen as the default has it."""
        changed: TrainingSettings = _changed(default, self.fitting)
        return changed


def read_model_choices(pairs: Sequence[str], encoder: str | None = None) -> ModelChoices:
    """What `--set` and `--encoder` say, checked.

    Args:
        pairs: NAME=VALUE each; values are read as JSON where they are JSON, else as text.
        encoder: what `--encoder` names; None: it was not given.

    Raises:
        UsageError: if a name or a value is unknown (the nearest is offered), a name comes twice, a
            value is of the wrong kind or out of range, or there is no such encoder.
    """
    from slategym.models.multitask.settings import MultiTaskSettings
    from slategym.models.multitask.training_settings import TrainingSettings
    from slategym.models.text.encoder import find_encoder
    from slategym.models.text.settings import DEFAULT_ENCODER

    kinds = {"network": _kinds(MultiTaskSettings()), "fitting": _kinds(TrainingSettings())}
    every = {name: kind for of in kinds.values() for name, kind in of.items()}
    given = as_texts(read_pairs(OPTION, pairs), pairs, every)
    if encoder is not None:
        if ENCODER in given:
            raise UsageError(f"--encoder and {OPTION} {ENCODER} are the same; give one of them")
        given[ENCODER] = encoder
    for name in given:
        if not name.startswith("weights."):  # the log's heads are not known yet
            lookup("setting of the model", name, every)
    values = check_kinds(OPTION, given, every)
    parts = {
        owner: {
            n: x for n, x in values.items() if n in of or (owner == "fitting" and n not in every)
        }
        for owner, of in kinds.items()
    }
    choices = ModelChoices(**parts)
    settings = choices.settings()
    choices.training(TrainingSettings())
    if settings.text.encoder != DEFAULT_ENCODER:
        find_encoder(settings.text.encoder)
    return choices


def _kinds(settings: Any, prefix: str = "") -> dict[str, Any]:
    """The type of every field by dotted name, those of parts among them."""
    hints, found = get_type_hints(type(settings)), dict[str, Any]()
    for one in fields(settings):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            found |= _kinds(value, f"{prefix}{one.name}.")
        elif not isinstance(value, dict):
            found[f"{prefix}{one.name}"] = hints[one.name]
    return found


def _changed(settings: Any, values: Mapping[str, Any]) -> Any:
    """The settings with those values, by dotted name."""
    own = {name: value for name, value in values.items() if "." not in name}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        part, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(part, {})[rest] = value
    for part, inner in parts.items():
        before = getattr(settings, part)
        own[part] = {**before, **inner} if isinstance(before, dict) else _changed(before, inner)
    return replace(settings, **own)
