from dataclasses import replace

import pytest
import torch
from small_worlds import TASKS

from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.query import Query
from slategym.models.multitask.sequence import time_features

B, H, N = 3, 8, 30


@pytest.fixture
def model(tiny_settings, tiny_vectors):
    model = MultiTaskBert(
        tiny_settings,
        TASKS,
        text_vectors_ND0=tiny_vectors,
        biases=ItemBiases.neutral(N, 3),
        profile_sizes=(3, 2),
        num_items=N,
    )
    with torch.random.fork_rng(), torch.no_grad():  # zero at the start, by design
        torch.manual_seed(2)
        model.sequence.request_time.weight.normal_(std=0.1)
        model.item_bias_YN.normal_()
    return model.eval()


@pytest.fixture
def inputs():
    g = torch.Generator().manual_seed(3)
    return {
        "profile_BF": torch.randint(0, 2, (B, 2), generator=g),
        "hour_B": torch.rand(B, generator=g) * 24,
        "weekday_B": torch.randint(0, 7, (B,), generator=g),
        "id_BH": torch.randint(0, N, (B, H), generator=g),
        "feedback_BHM": torch.randint(1, 6, (B, H, 3), generator=g).float(),
        "gap_BH": torch.rand(B, H, generator=g) * 1e5,
    }


def states(model, inputs, mask_BH=None):
    context_BD = model.sequence.context_token(
        inputs["profile_BF"], inputs["hour_B"], inputs["weekday_B"]
    )
    events_BHD = model.sequence.event_tokens(
        model.item_vectors(), inputs["id_BH"], inputs["feedback_BHM"], inputs["gap_BH"]
    )
    return model.sequence.states(context_BD, events_BHD, mask_BH)


def test_time_features_by_hand():
    got = time_features(torch.tensor([6.0, 18.0]), torch.tensor([0, 6]))
    want = [[1, 0, 1, 0, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0, 0, 0, 1]]
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["id_BH", "feedback_BHM", "gap_BH"])
def test_a_state_sees_earlier_events_and_nothing_later(model, inputs, name):
    before = states(model, inputs)
    changed = inputs[name].clone()
    changed[:, 4] = {"id_BH": 29, "feedback_BHM": 7.0, "gap_BH": 3e6}[name] - changed[:, 4]
    after = states(model, {**inputs, name: changed})
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().amax(-1).min() > 1e-4


def test_padding_on_the_right_changes_nothing(model, inputs):
    mask_BH = torch.arange(H) < torch.tensor([[3], [8], [0]])
    padded_BSD = states(model, inputs, mask_BH)
    for row, length in enumerate((3, 8, 0)):
        alone = {
            k: v[row : row + 1, :length] if "BH" in k else v[row : row + 1]
            for k, v in inputs.items()
        }
        torch.testing.assert_close(
            padded_BSD[row, : length + 1], states(model, alone)[0], atol=1e-6, rtol=0
        )


def test_scores_of_candidates_are_those_of_the_catalogue(model, inputs):
    items_ND = model.item_vectors()
    query_BSD = model.sequence.query(
        states(model, inputs), torch.rand(B, H + 1), torch.zeros(B, H + 1).long()
    )
    model.set_calibration({"like": 2.0}, {"like": -1.0})
    id_BSC = torch.arange(N - 1, -1, -5).expand(B, H + 1, -1)
    query = Query(query_BSD)
    everything, some = model.score(query, items_ND), model.score(query, items_ND, id_BSC)
    for all_BSN, some_BSC in zip(everything, some, strict=True):
        torch.testing.assert_close(all_BSN.gather(-1, id_BSC), some_BSC)
    raw = model.logits("like", query, items_ND, None)
    torch.testing.assert_close(everything[1], 2 * raw - 1)
    torch.testing.assert_close(everything[0], model.logits("click", query, items_ND, None))


def test_a_score_is_a_dot_product_plus_biases(model, inputs):
    state_BD, items_ND = states(model, inputs)[:, -1], model.item_vectors()
    for index, head in enumerate(model.heads):
        query_BD = model.queries.networks[index](state_BD) / 4  # square root of the width, 16
        want_BN = query_BD @ items_ND.T + model.item_bias_YN[index]
        if head != "next":
            want_BN = want_BN + model.queries.user_levels[index](state_BD)
        torch.testing.assert_close(model.logits(head, Query(state_BD), items_ND, None), want_BN)


def test_the_clock_moves_the_scores(model, inputs):
    state_BD, items_ND = states(model, inputs)[:, -1], model.item_vectors()
    monday = model.sequence.query(state_BD, torch.full((B,), 9.0), torch.zeros(B).long())
    sunday = model.sequence.query(state_BD, torch.full((B,), 9.0), torch.full((B,), 6))
    assert not torch.equal(
        model.score(Query(monday), items_ND)[0], model.score(Query(sunday), items_ND)[0]
    )


def test_the_seed_decides_the_weights_and_the_global_generator_is_untouched(
    tiny_settings, tiny_vectors
):
    def weights(seed):
        model = MultiTaskBert(
            tiny_settings,
            TASKS,
            text_vectors_ND0=tiny_vectors,
            biases=ItemBiases.neutral(N, 3),
            profile_sizes=(3, 2),
            num_items=N,
            seed=seed,
        )
        return torch.cat([p.flatten() for p in model.parameters()])

    before = torch.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_no_word_embeddings(model):
    assert not [name for name in model.state_dict() if "word_embeddings" in name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 3}, "multiple of num_heads"),
        ({"dropout": 1.0}, "probability"),
        ({"max_history": 0}, r"max_history must be in \[1, 2\^31\), got 0"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MultiTaskSettings(), **change)


def test_vectors_must_be_one_per_item(tiny_settings, tiny_vectors):
    with pytest.raises(ValueError, match=r"\(31, width\), one row per item, got \(30, 12\)"):
        MultiTaskBert(
            tiny_settings,
            TASKS,
            text_vectors_ND0=tiny_vectors,
            biases=ItemBiases.neutral(31, 3),
            profile_sizes=(),
            num_items=31,
        )
