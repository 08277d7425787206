"""Every choice of the settings trains, is decided by the seed, resumes, saves and loads."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.envs.types import Column
from slategym.models.multitask import fit as fit_module
from slategym.models.multitask.balance import BALANCES
from slategym.models.multitask.chains import CHAINS
from slategym.models.multitask.item_extras import attributes, graph_vectors
from slategym.models.multitask.loss_settings import LossSettings
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.position import click_weights
from slategym.models.multitask.settings import SEQUENCES, ItemSettings, MultiTaskSettings
from slategym.models.multitask.sharing import SHARINGS
from slategym.models.multitask.train import TrainingSettings, read_about, train_multitask
from slategym.models.text.settings import TUNINGS, EncoderSettings

FAST = TrainingSettings(epochs=2, batch_events=64, warmup_steps=4, learning_rate=0.01)
HELD = np.arange(15, 20)  # users
TEXT = EncoderSettings(texts_per_step=4, learning_rate=1e-3)


class Killed(BaseException):
    pass


def same(a, b):
    pairs = [(value, b.state_dict()[name]) for name, value in a.state_dict().items()]
    return all(torch.equal(x.nan_to_num(-9e9), y.nan_to_num(-9e9)) for x, y in pairs)


def holds(tmp_path, train, settings, training=FAST):
    """Train whole, killed and resumed, and loaded: the same weights. Returns the model."""
    settings = replace(settings, dropout=0.0)  # the losses of two epochs can be compared

    def kill(epoch, losses):
        if epoch == 1:
            raise Killed

    whole = train(tmp_path / "whole", settings, training)
    with pytest.raises(Killed):
        train(tmp_path / "killed", settings, training, on_epoch=kill)
    assert same(whole, train(tmp_path / "killed", settings, training))
    assert same(whole, MultiTaskBert.from_pretrained(tmp_path / "whole"))
    history = read_about(tmp_path / "whole")["history"]
    assert all(np.isfinite(list(row.values())).all() for row in history)
    total = [sum(row[head] for head in whole.heads) for row in history]
    assert total[-1] < total[0]
    assert MultiTaskBert.from_pretrained(tmp_path / "whole").settings == settings
    return whole


@pytest.fixture
def train(tiny_log, tiny_vectors):
    """Train on users 0 to 14."""

    def run(folder, settings, training=FAST, **others):
        given = {} if settings.text.learns else {"text_vectors_ND0": tiny_vectors}
        rows = np.arange(15)
        return train_multitask(
            *(tiny_log, rows, settings, training, folder),
            **{"validation": HELD, "progress": False, **given, **others},
        )

    return run


@pytest.fixture
def bare(tiny_settings):
    """The deep part alone: what is chosen below has nothing to do with the wide one."""
    return replace(tiny_settings, wide="none", prior="none")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Trained as if nothing were chosen, once for all that are compared with it."""
    folder = tmp_path_factory.mktemp("compared")
    return lambda train, name, settings: train(folder / name, settings)


@pytest.mark.parametrize("balance", [name for name in BALANCES if name != "fixed"])
def test_balance(balance, train, tiny_settings, bare, compared, tmp_path):
    """One of them beside the wide part, too: what a single head uses keeps its own gradient."""
    name, settings = ("whole", tiny_settings) if balance == "cagrad" else ("bare", bare)
    model = holds(tmp_path, train, settings, replace(FAST, balance=balance))
    assert not same(model, compared(train, name, settings))


@pytest.mark.parametrize("sharing", [name for name in SHARINGS if name != "shared-bottom"])
def test_sharing(sharing, train, bare, tmp_path):
    holds(tmp_path, train, replace(bare, sharing=sharing))


@pytest.mark.parametrize("tuning", TUNINGS)
def test_text(tuning, train, bare, encoder, tmp_path):
    text = replace(TEXT, encoder=str(encoder), tuning=tuning)
    text = replace(text, pooling="attention") if tuning == "frozen" else text
    settings = replace(bare, text=text)
    model = holds(tmp_path, train, settings)
    before = train(
        tmp_path / "before", replace(settings, text=replace(text, tuning="frozen", pooling="mean")),
        text_vectors_ND0=None,
    )  # fmt: skip
    vectors = [m.vectors.text_vectors_ND0 for m in (model, before)]
    assert not torch.equal(*vectors)
    assert (tmp_path / "whole" / "text" / "tuned.safetensors").exists()


def test_cosines_between_gradients_are_kept(train, tiny_settings, tmp_path):
    train(tmp_path, tiny_settings)
    found = read_about(tmp_path)["gradient_cosines"]
    assert found["heads"] == ["click", "like", "rating", "next"]
    last = np.array(found["epochs"][-1])
    assert len(found["epochs"]) == 2 and last.shape == (4, 4)
    np.testing.assert_allclose(last.diagonal(), 1, atol=1e-6)
    np.testing.assert_allclose(last, last.T, atol=1e-9)
    assert last[1, 2] > 0.5  # who likes more, rates higher: a rating of 4 is a like


@pytest.mark.parametrize(
    "settings",
    [*({"sharing": name} for name in SHARINGS), *({"chain": name} for name in CHAINS)],
    ids=str,
)
def test_what_is_called_shared_is_moved_by_several_heads(
    settings, train, tiny_settings, tmp_path, monkeypatch
):
    reached: dict[str, torch.Tensor] = {}  # how many heads' gradients each weight has met at once

    class Spy(fit_module.Gradients):
        def __init__(self, losses, parameters):
            super().__init__(losses, parameters)
            for at, (name, parameter) in enumerate(parameters):
                if self.shared[at]:
                    rows = [row[at] for row in self.rows_G if row[at] is not None]
                    count = torch.stack([row != 0 for row in rows]).sum(0)
                    before = reached.setdefault(name, torch.zeros_like(parameter, dtype=int))
                    reached[name] = torch.maximum(before, count)

    monkeypatch.setattr(fit_module, "Gradients", Spy)
    train(tmp_path, replace(tiny_settings, dropout=0.0, **settings))
    alone = {name for name, count in reached.items() if count.any() and int(count.max()) < 2}
    assert len(reached) > 20 and not alone


def test_given_vectors_and_an_encoder_that_learns_is_refused(train, tiny_settings, tmp_path):
    settings = replace(tiny_settings, text=replace(TEXT, tuning="lora"))
    with pytest.raises(ValueError, match="no encoder can be tuned"):
        train(tmp_path / "m", settings, text_vectors_ND0=torch.zeros(30, 4))
    assert not (tmp_path / "m").exists()


def test_a_folder_that_is_no_encoder_is_refused_before_training(train, tiny_settings, tmp_path):
    (tmp_path / "empty").mkdir()
    text = replace(TEXT, encoder=str(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"no text encoder at .*lacks config.json"):
        train(tmp_path / "m", replace(tiny_settings, text=text), text_vectors_ND0=None)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: MultiTaskSettings(chain="esm"), "did you mean 'esmm'"),
        (lambda: LossSettings(click="pair-wise"), "did you mean 'pairwise'"),
        (lambda: LossSettings(position="log"), "did you mean 'logged'"),
        (lambda: LossSettings(click="pairwise", position="logged"), "weighs rows"),
        (lambda: ItemSettings(residual="always seen"), "did you mean 'always'"),
        (lambda: ItemSettings(graph="spectrum"), "did you mean 'spectral'"),
        (lambda: ItemSettings(text=False, residual="none"), "is nothing"),
        (lambda: TrainingSettings(unseen="left"), "did you mean 'left-out'"),
        (lambda: MultiTaskSettings(sharing="mmo"), "did you mean 'mmoe'"),
        (lambda: TrainingSettings(balance="uncertain"), "did you mean 'uncertainty'"),
        (lambda: EncoderSettings(tuning="loar"), "did you mean 'lora'"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_nearest(settings, message):
    with pytest.raises(UsageError, match=message):
        settings()


@pytest.fixture
def shop(tiny_log):
    """The small log with four topics and a maker; items 25 to 29 have no training rows."""
    rng = np.random.default_rng(0)
    items = tiny_log.items.assign(maker=rng.integers(0, 3, 30).astype(np.float32))
    events = tiny_log.events[(tiny_log.events["item"] < 25) | (tiny_log.events["user"] >= 15)]
    return replace(
        tiny_log,
        events=events.reset_index(drop=True),
        items=items,
        topic_names=("a", "b", "c", "d"),
        item_topics=np.eye(4, dtype=np.float32)[rng.integers(0, 4, 30)],
        item_columns=(Column("maker", ("x", "y", "z")),),
    )


@pytest.fixture
def train_shop(shop, tiny_vectors):
    def run(folder, settings, training=FAST, **others):
        given = {"text_vectors_ND0": tiny_vectors, "validation": HELD, "progress": False}
        return train_multitask(
            shop, np.arange(15), settings, training, folder, **{**given, **others}
        )

    return run


@pytest.mark.parametrize(
    "items",
    [
        ItemSettings(residual="seen"),
        ItemSettings(residual="none"),
        ItemSettings(text=False),
        ItemSettings(graph="spectral"),
        ItemSettings(graph="propagated", mix="gated"),
    ],
)
def test_items(items, train_shop, bare, tmp_path):
    holds(tmp_path, train_shop, replace(bare, items=items))


def test_an_item_without_training_rows_has_a_residual_of_exactly_zero(train_shop, bare, tmp_path):
    seen = replace(bare, items=ItemSettings(residual="seen"))
    model = train_shop(tmp_path / "seen", seen)
    residual_ND = model.vectors.residuals()
    assert not residual_ND[25:].any() and residual_ND[:25].any(1).all()
    assert not model.vectors.residual.weight[25:].any()
    always = train_shop(tmp_path / "always", bare)
    assert always.vectors.residuals()[25:].any(1).all()  # what the choice is there for


def test_media_enter_where_an_item_has_them(train_shop, bare, tmp_path):
    rows = pd.DataFrame({"item": [f"Film {n}" for n in range(20)], "a": range(20), "b": 1.0})
    rows.to_csv(tmp_path / "media.csv", index=False)
    items = ItemSettings(media=str(tmp_path / "media.csv"))
    model = holds(tmp_path, train_shop, replace(bare, items=items))
    known_N = ~model.vectors.media_NV.isnan().any(1)
    assert known_N[:20].all() and not known_N[20:].any()
    assert model.item_vectors().isfinite().all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,a\nFilm 1,1\nFilm 1,2\n", "'Film 1' twice"),
        ("film,a\nFilm 1,1\n", "needs a column 'item'"),
        ("item,a\nother,1\n", "none of the 30 items"),
        (None, "no media file"),
    ],
)
def test_media_that_cannot_be_are_refused(train_shop, tiny_settings, tmp_path, content, message):
    path = tmp_path / "media.csv"
    if content is not None:
        path.write_text(content)
    settings = replace(tiny_settings, items=ItemSettings(media=str(path)))
    with pytest.raises(UsageError, match=message):
        train_shop(tmp_path / "m", settings)
    assert not (tmp_path / "m").exists()


def test_a_graph_needs_attributes(train, tiny_settings, tmp_path):
    with pytest.raises(UsageError, match="no graph of items and attributes"):
        train(tmp_path / "m", replace(tiny_settings, items=ItemSettings(graph="spectral")))


def test_graph_vectors_put_items_of_equal_attributes_together(shop):
    links_NA = attributes(shop)
    same_NN = (links_NA @ links_NA.T) == 2  # topic and maker
    for graph in ("spectral", "propagated"):
        vectors_NG = graph_vectors(shop, graph).double().numpy()
        distance_NN = np.linalg.norm(vectors_NG[:, None] - vectors_NG, axis=2)
        assert distance_NN[same_NN].max() < 1e-6 < distance_NN[~same_NN].min()


def test_unseen_items_left_out_keep_their_biases(train_shop, bare, tmp_path):
    left = train_shop(tmp_path / "left", bare, replace(FAST, unseen="left-out"))
    drawn = train_shop(tmp_path / "drawn", bare)
    still = replace(FAST, epochs=1, learning_rate=1e-12, unseen="left-out")
    start = train_shop(tmp_path / "0", bare, still)
    biases = [model.item_bias_YN[:, 25:] for model in (left, drawn, start)]
    torch.testing.assert_close(biases[0], biases[2], atol=1e-6, rtol=0)
    assert not torch.allclose(biases[1], biases[2], atol=1e-4)


@pytest.mark.parametrize("chain", [name for name in CHAINS if name != "none"])
def test_chain(chain, train, tiny_settings, tmp_path):
    holds(tmp_path, train, replace(tiny_settings, chain=chain))


@pytest.mark.parametrize(
    "losses",
    [
        LossSettings(click="pairwise"),
        LossSettings(click="listwise"),
        LossSettings(contrastive=0.1),
        LossSettings(adversarial=0.1),
    ],
)
def test_losses(losses, train, bare, compared, tmp_path):
    model = holds(tmp_path, train, bare, replace(FAST, losses=losses))
    assert not same(model, compared(train, "bare", bare))


@pytest.mark.parametrize("position", ["logged", "estimated"])
def test_position(position, tiny_log, tiny_settings, tiny_vectors, tmp_path):
    events = tiny_log.events.assign(
        slate_id=np.arange(len(tiny_log.events)) // 3,
        position=(np.arange(len(tiny_log.events)) % 3).astype(np.int32),
        propensity=0.1 + 0.8 * (tiny_log.events["item"] % 2),
        click=np.float32(np.arange(len(tiny_log.events)) % 2),
    )
    log = replace(tiny_log, events=events)

    def run(folder, settings, training, **others):
        given = {"text_vectors_ND0": tiny_vectors, "validation": HELD, "progress": False}
        rows = np.arange(15)
        return train_multitask(log, rows, settings, training, folder, **{**given, **others})

    holds(tmp_path, run, tiny_settings, replace(FAST, losses=LossSettings(position=position)))


def test_rows_weigh_by_the_chance_of_their_slot_not_of_the_whole_slate(tiny_log):
    """Of a slate of several items: the chance of all of them says little of one of them."""
    size = len(tiny_log.events)
    slot_E = 0.2 + 0.6 * (np.arange(size) % 2)
    events = tiny_log.events.assign(propensity=1e-6, position_propensity=slot_E)
    train_E = np.ones(size, bool)

    def weights(events):
        return click_weights(replace(tiny_log, events=events), train_E, None, "logged").numpy()

    wanted_E = (1 / slot_E) / (1 / slot_E).mean()
    np.testing.assert_allclose(weights(events), wanted_E, rtol=1e-5)
    alone = events.drop(columns="position_propensity").assign(propensity=slot_E)
    np.testing.assert_allclose(weights(alone), wanted_E, rtol=1e-5)  # where nothing else is logged


@pytest.mark.parametrize(
    ("position", "message"),
    [("logged", "logs no propensities"), ("estimated", "has no slates")],
)
def test_a_position_that_the_log_cannot_tell_is_refused(
    position, message, train, tiny_settings, tmp_path
):
    with pytest.raises(UsageError, match=message):
        train(tmp_path / "m", tiny_settings, replace(FAST, losses=LossSettings(position=position)))
    assert not (tmp_path / "m").exists()


def test_masked_words_make_another_encoder_once(train, bare, encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))
    text = replace(TEXT, encoder=str(encoder), masked_epochs=2)
    settings = replace(bare, text=text)
    one = train(tmp_path / "1", settings, text_vectors_ND0=None)
    (made,) = (path for path in (tmp_path / "home" / "encoders").iterdir() if path.is_dir())
    again = train(tmp_path / "2", settings, text_vectors_ND0=None)
    assert same(one, again)
    plain = replace(settings, text=replace(text, masked_epochs=0))
    other = train(tmp_path / "3", plain, text_vectors_ND0=None)
    vectors = [model.vectors.text_vectors_ND0 for model in (one, other)]
    assert not torch.equal(*vectors)
    assert (made / "config.json").exists()


@pytest.mark.parametrize("sequence", [name for name in SEQUENCES if name != "causal"])
def test_sequence(sequence, train, bare, compared, tmp_path):
    model = holds(tmp_path, train, replace(bare, sequence=sequence))
    assert not same_names(model, compared(train, "bare", bare))


def same_names(a, b):
    return a.state_dict().keys() == b.state_dict().keys()


def test_what_is_asked_of_cloze_does_not_see_its_answer(tiny_log, tiny_settings, train, tmp_path):
    model = train(tmp_path, replace(tiny_settings, sequence="cloze"), replace(FAST, epochs=1))
    sequence, items_ND = model.sequence, model.item_vectors()
    context_BD = torch.randn(1, tiny_settings.width)
    events_BHD = torch.randn(1, 4, tiny_settings.width)
    asked_BS = torch.tensor([[False, True, False, False, False]])
    mask_BH = torch.ones(1, 4, dtype=torch.bool)

    def state(events):
        return sequence.states(context_BD, events, mask_BH, asked_BS)[0, 1]

    before = state(events_BHD)
    itself, later = events_BHD.clone(), events_BHD.clone()
    itself[0, 1] = torch.randn(tiny_settings.width)
    later[0, 3] = torch.randn(tiny_settings.width)
    assert torch.equal(state(itself), before)
    assert not torch.allclose(state(later), before)
    assert items_ND.isfinite().all()
