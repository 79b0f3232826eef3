"""Heads: which streams of rewards a behavior's critic has a value for, and what is paid into them."""

from typing import Any

import numpy as np
import pytest

from trainers.heads import Head, advantage_shares, head_rewards, heads_of
from trainers.settings import BehaviorSettings

TERMS = {
    "way": {"term": "reach", "parameters": {"std": 1.0}, "weight": 1.0},
    "idea": {"term": "time", "weight": 1.0, "probe": True},
    "haste": {"term": "time", "weight": -1.0},
}
COSTS = {"haste": {"term": "time", "limit": 20.0}, "touch": {"term": "failure", "limit": 0.1}}
SIGNALS = {"extrinsic": {"gamma": 0.9, "strength": 3.0}}


def heads(**settings: Any) -> tuple[Head, ...]:
    return heads_of(BehaviorSettings.model_validate({"reward_signals": SIGNALS} | settings))


def test_the_total_is_one_head() -> None:
    assert heads() == heads(reward_shaping={"terms": TERMS}) == (Head("extrinsic", "total", 0.9, 1.0),)


def test_a_critic_per_term_has_a_head_for_every_term_that_counts() -> None:
    found = heads(reward_shaping={"terms": TERMS}, per_term_critic=True)
    assert found == (Head("way", "term", 0.9, 3.0), Head("haste", "term", 0.9, 3.0))
    assert heads(per_term_critic=True) == (Head("env_reward", "term", 0.9, 3.0),)


def test_costs_have_heads_behind_the_rewards_and_labels_of_their_own() -> None:
    found = heads(reward_shaping={"terms": TERMS, "costs": COSTS}, per_term_critic=True)
    assert [head.label for head in found] == ["way", "haste", "cost/haste", "cost/touch"]
    assert [head.scale for head in found] == [3.0, 3.0, 1 / 20, 1.0]


def test_each_head_is_paid_its_own() -> None:
    infos = {
        "reward_terms": {"way": np.array([1.0, 2.0]), "haste": np.array([-1.0, -1.0])},
        "costs": {"haste": np.array([20.0, 0.0]), "touch": np.array([0.0, 1.0])},
    }
    shaped = {"reward_shaping": {"terms": TERMS, "costs": COSTS}}
    total = np.array([0.0, 3.0])
    assert head_rewards(heads(**shaped), total, infos).tolist() == [[0, 1, 0], [3, 0, 1]]
    split = head_rewards(heads(**shaped, per_term_critic=True), total, infos)
    assert split.tolist() == [[3, -3, 1, 0], [6, -3, 0, 1]]
    assert split[:, :2].sum(axis=1).tolist() == total.tolist()


def test_shares_are_worked_arithmetic_and_leave_out_what_is_the_same_for_all() -> None:
    adv = np.array([[1.0, 10.0, 7.0], [-1.0, 4.0, 7.0]])
    shares = advantage_shares([Head(name, "term", 0.9, 1.0) for name in "abc"], adv)
    assert shares == pytest.approx({"advantage_share/a": 0.25, "advantage_share/b": 0.75, "advantage_share/c": 0.0})


def test_shares_of_nothing_are_nothing() -> None:
    assert advantage_shares([Head("a", "total", 0.9, 1.0)], np.zeros((3, 1))) == {"advantage_share/a": 0.0}
