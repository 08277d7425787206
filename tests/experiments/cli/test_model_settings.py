"""--encoder and --set: checked before anything is trained."""

from pathlib import Path

import pytest

from slategym.envs.names import UsageError
from slategym.experiments.cli.model_settings import _kinds, read_model_choices
from slategym.models.multitask.balance import BALANCES
from slategym.models.multitask.chains import CHAINS
from slategym.models.multitask.ranking import CLICK_LOSSES
from slategym.models.multitask.settings import GRAPHS, SEQUENCES, MultiTaskSettings
from slategym.models.multitask.sharing import SHARINGS
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.text.settings import POOLINGS, TUNINGS


def test_names_reach_the_settings_that_they_are_of():
    pairs = ["sharing=mmoe", "text.tuning=lora", "text.layers=1", "balance=famo", "weights.next=1"]
    choices = read_model_choices([*pairs, "width=32"])
    settings, training = choices.settings(), choices.training(TrainingSettings(epochs=7))
    assert (settings.sharing, settings.width) == ("mmoe", 32)
    assert (settings.text.tuning, settings.text.layers) == ("lora", 1)
    assert (training.balance, training.epochs, training.weights) == ("famo", 7, {"next": 1})


def test_nothing_chosen_is_the_default():
    choices = read_model_choices([])
    assert choices.settings() == MultiTaskSettings()
    assert choices.training(TrainingSettings()) == TrainingSettings()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["sharin=mmoe"], "did you mean 'sharing'"),
        (["text.tunning=lora"], "did you mean 'text.tuning'"),
        (["sharing=mmo"], "did you mean 'mmoe'"),
        (["balance=pc-grad"], "did you mean 'pcgrad'"),
        (["text.tuning=loar"], "did you mean 'lora'"),
        (["width=wide"], "width is a whole number"),
        (["sharing"], "takes NAME=VALUE"),
        (["text.encoder=./nowhere"], "no such folder"),
    ],
)
def test_what_cannot_be_is_refused(pairs, message):
    with pytest.raises(UsageError, match=message):
        read_model_choices(pairs)


def test_the_encoder_is_given_once(tmp_path):
    with pytest.raises(UsageError, match="are the same"):
        read_model_choices(["text.encoder=./a"], "./b")
    with pytest.raises(UsageError, match=r"lacks config.json"):
        read_model_choices([], str(tmp_path))


def test_every_choice_is_in_the_table_of_choices():
    page = (Path(__file__).parents[3] / "docs" / "results" / "options.md").read_text()
    names = {*_kinds(MultiTaskSettings()), *_kinds(TrainingSettings()), "weights.HEAD"}
    missing = [name for name in names - {"weights"} if f"`{name}`" not in page]
    assert not missing
    for choices in (SEQUENCES, SHARINGS, CHAINS, BALANCES, TUNINGS, POOLINGS, CLICK_LOSSES, GRAPHS):
        assert not [name for name in choices if f"`{name}`" not in page]
