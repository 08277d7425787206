"""A closed form of items' traits: popularity they tell, and likeness to what was taken up."""

import numpy as np
import pytest
import torch

from slategym.models.classics.alike import Alike, alike_figures, fit_alike
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.fading import Fading

# of eight items the last two have no rows to fit on; traits: kind a, kind b
TRAIT_ND = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0], [0, 1]], float)
COLD_C = np.array([6, 7])


@pytest.fixture
def events() -> Events:
    """Users of even number take up items of the first kind, others of the second."""
    rows = [(u, item) for u in range(20) for item in ((0, 1, 2, 6), (3, 4, 5, 7))[u % 2]]
    user_E, item_E = np.array(rows).T
    return Events(user_E, item_E, np.ones(len(rows), bool), {}, 20, 8)


def test_new_items_go_to_who_took_up_their_like(events):
    cold_E = np.isin(events.item_E, COLD_C)
    held_x = np.flatnonzero(np.isin(events.item_E, (2, 5)))
    train_E = ~cold_E
    train_E[held_x] = False
    model, settings = fit_alike(events, train_E, held_x, COLD_C, TRAIT_ND, repeats=False)
    assert settings["alike"] > 0
    figures = alike_figures(model, events, np.flatnonzero(cold_E), COLD_C, repeats=False)
    assert figures == {"click_auc": 1.0, "hr10": 1.0}
    nobody = Alike(model.likeness, model.popular_N, 0.0)  # both kinds are equally popular
    figures = alike_figures(nobody, events, np.flatnonzero(cold_E), COLD_C, repeats=False)
    assert figures["click_auc"] == pytest.approx(0.5)


def test_a_mean_over_a_history(events):
    like_NN = torch.arange(64.0).reshape(8, 8)
    model = Alike(Fading("any", like_NN, 0.5), torch.full((8,), 2.0), 3.0)
    state = model.initial(torch.tensor([[-1, 4, 7]]))
    want_N = 2 + 3 * (0.5 * like_NN[4] + like_NN[7]) / 1.5
    torch.testing.assert_close(model.score(state)[0], want_N)
    step = model.initial(torch.tensor([[-1, -1, 4]]))
    step = model.after(step, torch.tensor([7]), torch.tensor([True]))
    torch.testing.assert_close(model.score(step)[0], want_N)
    same = model.after(step, torch.tensor([1]), torch.tensor([False]))
    torch.testing.assert_close(model.score(same)[0], want_N)
    assert (model.score(model.initial(torch.full((1, 3), -1))) == 2).all()
