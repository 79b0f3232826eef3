"""What a sparse goal adds to DDPG and TD3: bounded targets, random actions, a penalty on large ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers import BEHAVIOR, assert_refused, cli, train_tiny, write_config
from tests.trainers.algorithms.test_off_policy import BATCH, ActionTimes, Constant, make, tick, with_networks
from tests.trainers.test_off_policy_runs import changes


@pytest.mark.parametrize("kind", ["ddpg", "td3"])
def test_targets_stay_within_what_the_reward_can_come_to(kind: str) -> None:
    """Gamma is 0.5: 10 + 0.5 (2 * 0.25 + 3) = 11.75 and 20 alone, within [-1, 6] / 0.5."""
    algorithm: Any = make(kind, reward_range=[-1.0, 6.0])
    with_networks(algorithm, ActionTimes(1.0), ActionTimes(2.0), Constant(0.25))
    act = torch.full((2, 1), 0.25)
    assert algorithm.target(BATCH, act).tolist() == [[11.75, 12.0]]
    low = BATCH._replace(rew=torch.tensor([-10.0, -1.5]))
    assert algorithm.target(low, act).tolist() == [[-2.0, -1.5]]


def test_an_action_penalty_is_worked_arithmetic() -> None:
    """The actor minimises -(w a + s) + c a^2: it moves by w - 2 c a."""
    ddpg: Any = make("ddpg", action_penalty=0.5)
    with_networks(ddpg, ActionTimes(3.0), ActionTimes(3.0), Constant(0.25))
    loss = ddpg.improve_actor(BATCH)["losses/policy_loss"]
    assert loss.item() == pytest.approx(-(3.0 * 0.25 + 1.5) + 0.5 * 0.0625)
    assert ddpg.actor.act.item() == pytest.approx(0.25 + 3.0 - 2 * 0.5 * 0.25)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_so_many_actions_are_uniformly_random(share: float) -> None:
    ddpg: Any = make("ddpg", rows=4000, buffer_size=4000, noise={"std": 0.0, "random_share": share})
    ddpg.actor = Constant(0.5)
    with torch.no_grad():
        act = ddpg.explore(torch.zeros(4000, 1)).numpy()[:, 0]
    at_random = act[act != 0.5]
    assert len(at_random) / 4000 == pytest.approx(share, abs=0.03)
    if share > 0.0:
        assert at_random.var() == pytest.approx(1 / 3, rel=0.1)
        assert np.abs(at_random).max() <= 1.0


def test_minibatches_that_are_drawn_together_have_the_same_share_of_relabelled_transitions() -> None:
    algorithm: Any = make("ddpg", batch_size=10)
    for step in range(8):
        tick(algorithm, np.full((2, 1), step, np.float32), np.full((2, 1), step + 1, np.float32))

    class Marks:
        """Relabels as hindsight does: the first four of five."""

        def relabel(self, _replay: Any, indices: Any, columns: Any) -> None:
            columns["rew"][: len(indices) * 4 // 5] = 100.0

    algorithm.hindsight = Marks()
    batches = list(algorithm.draw_batches(7))
    assert [(batch.rew == 100.0).sum().item() for batch in batches] == [8] * 7
    assert all(batch.obs.shape == (10, 1) for batch in batches)
    together = torch.cat([batch.obs for batch in batches])
    assert len(torch.unique(together)) == 8


@pytest.mark.parametrize(
    ("hyper", "parts"),
    [
        ({"reward_range": [0.0, -1.0]}, ["reward_range", "the least comes first"]),
        ({"reward_range": [-1.0]}, ["reward_range", "at least 2 items"]),
        ({"action_penalty": -1.0}, ["action_penalty", "greater than or equal to 0"]),
        ({"noise": {"random_share": 1.5}}, ["noise.random_share", "less than or equal to 1"]),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, hyper: dict[str, Any], parts: list[str]) -> None:
    path = write_config(tmp_path, changes("ddpg", 256, **hyper))
    assert_refused(cli("train", path, "--results-dir", tmp_path / "results"), "tiny.yaml:", *parts)


def test_a_range_of_rewards_without_a_discount_is_one_line(tmp_path: Path) -> None:
    gamma = {f"{BEHAVIOR}.reward_signals": {"extrinsic": {"gamma": 1.0}}}
    path = write_config(tmp_path, changes("td3", 256, reward_range=[-1.0, 0.0]) | gamma)
    refused = cli("train", path, "--results-dir", tmp_path / "results")
    assert_refused(refused, "tiny.yaml:", "reward_range", "gamma below 1")


def test_a_run_takes_all_of_it(tmp_path: Path) -> None:
    settings = {"reward_range": [-1.0, 0.0], "action_penalty": 0.1, "noise": {"random_share": 0.3}}
    assert train_tiny(tmp_path, "all", changes("ddpg", 128, **settings)).is_dir()
