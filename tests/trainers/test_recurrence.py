"""Memory: what rows remember, how rollouts are cut into sequences, and a task that only memory solves."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from trainers.actors import ActionShape
from trainers.algorithms import ALGORITHMS, Algorithm, Step
from trainers.algorithms.actor_critic import ActorCritic
from trainers.memory import Memory
from trainers.networks import Critic
from trainers.recurrence import RowMemory, Sequences, unroll
from trainers.settings import BehaviorSettings, MemorySettings, NetworkSettings

CPU = torch.device("cpu")
DELAY = 3
BOTH = {"learning_rate": 5e-3, "learning_rate_schedule": "constant", "buffer_size": 640}
HYPER: dict[str, dict[str, Any]] = {
    "ppo": {**BOTH, "batch_size": 320, "num_epoch": 4},
    "a2c": {**BOTH, "normalize_advantage": True},
}


def make(
    trainer: str = "ppo",
    rows: int = 16,
    shape: ActionShape | None = None,
    memory: dict[str, int] | None = None,
    **hyper: Any,
) -> ActorCritic:
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": trainer,
            "max_steps": 1_000_000,
            "hyperparameters": HYPER[trainer] | hyper,
            "network_settings": {"hidden_units": 16, "num_layers": 1, "memory": memory},
            "reward_signals": {"extrinsic": {"gamma": 0.9}},
        }
    )
    algorithm = ALGORITHMS[trainer](1, shape or ActionShape(0, (2,)), rows, settings, 0, CPU)
    assert isinstance(algorithm, ActorCritic)
    return algorithm


def remembering(trainer: str = "ppo", **more: Any) -> ActorCritic:
    return make(trainer, memory={"memory_size": 16, "sequence_length": 8}, **more)


class Corridor:
    """A T-maze (Bakker 2002): a sign at the entrance says which way to turn at the end; in between nothing is seen.

    The turn is the last of DELAY + 1 decisions; it is paid 1 where it is right, and the episode ends.
    """

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rng, self.at = np.random.default_rng(seed), np.zeros(rows, dtype=np.int64)
        self.at[:] = np.arange(rows) % (DELAY + 1)
        self.sign = self.rng.integers(2, size=rows)

    def obs(self) -> np.ndarray:
        shown = np.where(self.at == 0, 2.0 * self.sign - 1.0, 0.0).astype(np.float32)
        return np.concatenate((shown[:, None], np.ones((len(shown), 2), np.float32)), axis=1)

    def step(self, act: np.ndarray, *, truncate: bool = False) -> Step:
        done = self.at == DELAY
        rew = np.where(done, (act[:, 0] == self.sign).astype(np.float32), 0.0).astype(np.float32)
        final = np.concatenate((np.full((len(act), 1), 9.0), np.ones((len(act), 2))), axis=1).astype(np.float32)
        self.at = np.where(done, 0, self.at + 1)
        self.sign = np.where(done, self.rng.integers(2, size=len(act)), self.sign)
        no = np.zeros_like(done)
        ends = (no, done) if truncate else (done, no)
        return Step(rew, *ends, self.obs(), final if done.any() else None, np.ones_like(done))


def live(algorithm: ActorCritic, world: Corridor, steps: int) -> list[np.ndarray]:
    everyone = np.ones(len(world.at), dtype=bool)
    acts = []
    for _ in range(steps):
        acts.append(algorithm.act(world.obs(), everyone))
        algorithm.observe(world.step(acts[-1]))
    return acts


def turns_right(algorithm: Algorithm, episodes: int = 400) -> float:
    """The share of right turns of the policy without exploration."""
    world, policy = Corridor(episodes, seed=1), algorithm.policy()
    world.at[:] = 0
    infos = {"valid": np.zeros(episodes, dtype=bool), "first": np.ones(episodes, dtype=bool)}
    for _ in range(DELAY + 1):
        step = world.step(policy(world.obs(), infos))
        infos = {"valid": step.valid, "first": step.terminated}
    return float(step.rew.mean())


def flags(*rows: str) -> Tensor:
    """(T, N) bool of texts, one per row; x is True."""
    return torch.tensor([[mark == "x" for mark in row] for row in rows]).T


def cut(valid: Tensor, done: Tensor, length: int) -> list[list[tuple[int, int]]]:
    """Sequences as (row, step)."""
    sequences = Sequences(valid, done, length)
    step, row = valid.nonzero(as_tuple=True)
    where = list(zip(row.tolist(), step.tolist(), strict=True))
    return [
        [where[index] for index, there in zip(indices, mask, strict=True) if there]
        for indices, mask in zip(sequences.index.tolist(), sequences.there.tolist(), strict=True)
    ]


def test_sequences_end_with_their_episodes_and_after_their_length() -> None:
    found = cut(flags("xxxxxxx", "xx.xx.x"), flags("..x....", "...x..."), 3)
    assert found == [
        [(0, 0), (0, 1), (0, 2)],
        [(0, 3), (0, 4), (0, 5)],
        [(0, 6)],
        [(1, 0), (1, 1), (1, 3)],
        [(1, 4), (1, 6)],
    ]


def test_an_episode_that_ends_within_a_sequence_cuts_it_short() -> None:
    assert cut(flags("xxxxx"), flags(".x..."), 4) == [[(0, 0), (0, 1)], [(0, 2), (0, 3), (0, 4)]]


def test_every_sample_is_in_one_sequence() -> None:
    rng = torch.Generator().manual_seed(0)
    valid = torch.rand(30, 7, generator=rng) < 0.8
    done = valid & (torch.rand(30, 7, generator=rng) < 0.2)
    sequences = Sequences(valid, done, 4)
    assert sorted(sequences.index[sequences.there].tolist()) == list(range(int(valid.sum())))
    assert Sequences(torch.zeros(3, 2, dtype=torch.bool), torch.zeros(3, 2, dtype=torch.bool), 4).index.shape == (0, 4)


def test_the_state_is_ml_agents_h_and_c() -> None:
    torch.manual_seed(0)
    memory = Memory(3, MemorySettings(memory_size=8))
    features, state = torch.randn(5, 2, 3), torch.randn(2, 8)
    outputs, after = memory(features, state)
    expected, (h, c) = memory.lstm(features, (state[None, :, :4], state[None, :, 4:].contiguous()))
    assert torch.equal(outputs, expected)
    assert torch.equal(after, torch.cat((h[0], c[0]), dim=1))
    assert torch.equal(outputs[-1], after[:, :4])
    biases = dict(memory.lstm.named_parameters())
    assert biases["bias_ih_l0"].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8  # 1 for the gate that forgets


def test_step_by_step_is_the_whole_sequence() -> None:
    torch.manual_seed(0)
    critic = Critic(3, 1, NetworkSettings(hidden_units=8, memory=MemorySettings(memory_size=6)))
    obs, memory = torch.randn(7, 4, 5), torch.zeros(4, 6)
    inputs, last = critic.remember(obs, memory)
    for step, expected in zip(obs, inputs, strict=True):
        found, memory = critic.step(step, memory)
        torch.testing.assert_close(found, expected)
        assert torch.equal(found[:, 3:], step[:, 3:])  # what follows the observation is kept
    torch.testing.assert_close(memory, last)


def test_rows_wait_for_the_end_of_their_transition_and_forget_with_their_episode() -> None:
    critic = Critic(1, 1, NetworkSettings(hidden_units=4, memory=MemorySettings(memory_size=4)))
    memory = RowMemory(3, 4, CPU)
    with torch.no_grad():
        memory.step(critic, torch.ones(3, 1))
    after = memory._after
    memory.advance(torch.tensor([True, False, True]), torch.tensor([False, False, True]))
    assert torch.equal(memory.now[0], after[0])
    assert not memory.now[1:].any()
    memory.clear()
    assert not memory.now.any()


def test_an_unrolled_network_reads_as_it_does_step_by_step() -> None:
    torch.manual_seed(0)
    critic = Critic(2, 1, NetworkSettings(hidden_units=4, memory=MemorySettings(memory_size=4)))
    valid, done = flags("xx.xx", "xxxxx"), flags("....x", ".x...")
    obs, begin = torch.randn(6, 2, 2), torch.randn(2, 4)
    obs[3, 0] = obs[2, 0]  # row 0 still waits there
    read, rows = unroll(critic, obs, begin, valid, done), RowMemory(2, 4, CPU)
    rows.load(begin)
    for t in range(6):
        assert torch.equal(read.before[t], rows.now)
        assert torch.equal(read.inputs[t], rows.step(critic, obs[t]))
        if t < 5:
            rows.advance(valid[t], done[t])
    assert torch.equal(read.before[3, 0], read.before[2, 0])
    assert not read.before[5, 0].any()
    assert not read.before[2, 1].any()


@pytest.mark.parametrize("trainer", ["ppo", "a2c"])
@pytest.mark.parametrize("shape", [ActionShape(0, (2,)), ActionShape(2), ActionShape(1, (2,))], ids=str)
def test_log_probs_of_sequences_are_those_of_the_time_when_they_were_sampled(trainer: str, shape: ActionShape) -> None:
    algorithm, world = remembering(trainer, shape=shape), Corridor(16)
    if trainer == "ppo":
        live_any(algorithm, world, 40)
        algorithm.update(0.0)  # episodes go on over an update
    known = live_any(algorithm, world, 40)
    samples = algorithm._batch()
    with torch.no_grad():
        found = algorithm.actor.log_prob(algorithm.reader.all(algorithm.actor, "actor"), samples.act)
    torch.testing.assert_close(found, torch.cat(known), atol=1e-5, rtol=1e-5)


def live_any(algorithm: ActorCritic, world: Corridor, steps: int) -> list[Tensor]:
    """Live with any kind of actions; returns log pi(a|s) of every step as it was then."""
    logp = []
    for _ in range(steps):
        t, obs = algorithm.rollout.length, world.obs()
        obs = obs[:, : 1 + algorithm.actor.shape.choices]
        algorithm.act(obs, np.ones(16, dtype=bool))
        with torch.no_grad():
            inputs, _ = algorithm.actor.step(torch.from_numpy(obs), algorithm.memory.now)
            logp.append(algorithm.actor.log_prob(inputs, algorithm.rollout.act[t]))
        step = world.step(np.zeros((16, 1)))
        width = obs.shape[1]
        final = None if step.final_obs is None else step.final_obs[:, :width]
        algorithm.observe(step_with(step, step.next_obs[:, :width], final))
    return logp


def step_with(step: Step, next_obs: np.ndarray, final_obs: np.ndarray | None) -> Step:
    return Step(step.rew, step.terminated, step.truncated, next_obs, final_obs, step.valid)


def test_values_at_a_time_limit_remember_the_episode_that_was_cut() -> None:
    algorithm, world = remembering(rows=3), Corridor(3)
    for _ in range(algorithm.rollout.steps):
        algorithm.act(world.obs(), np.ones(3, dtype=bool))
        algorithm.observe(world.step(np.zeros((3, 1)), truncate=True))
    rollout = algorithm.rollout
    valid, done = rollout.valid, rollout.done
    with torch.no_grad():
        read = unroll(algorithm.critic, rollout.obs, torch.zeros(3, 16), valid, done)
        _, next_val = algorithm._remember(rollout.obs, rollout.obs[:-1][valid])
        t, rows, final_obs = rollout.final_obs[-1]
        inputs, _ = algorithm.critic.step(final_obs, read.after[t, rows])
        torch.testing.assert_close(next_val[t, rows], algorithm.critic(inputs))
        forgetful, _ = algorithm.critic.step(final_obs, torch.zeros(len(rows), 16))
        assert not torch.allclose(next_val[t, rows], algorithm.critic(forgetful))
        later = rollout.done.logical_not()
        assert torch.equal(next_val[later], algorithm.critic(read.inputs)[1:][later])


def test_a_restored_learner_with_a_memory_goes_on_to_the_bit() -> None:
    first, world = remembering(), Corridor(16)
    live(first, world, 40)
    first.update(0.0)
    live(first, world, 17)  # in the middle of a rollout, and of sequences
    second = remembering()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    twin = Corridor(16)
    twin.at, twin.sign = world.at.copy(), world.sign.copy()
    twin.rng.bit_generator.state = world.rng.bit_generator.state
    for algorithm, env in ((first, world), (second, twin)):
        live(algorithm, env, 23)
        algorithm.update(0.0)
        live(algorithm, env, 3)
    assert difference(first.state_dict(), second.state_dict()) == ""
    assert first.memory.now.any()


def test_a_reset_of_all_rows_forgets() -> None:
    algorithm, world = remembering(), Corridor(16)
    live(algorithm, world, 40)
    algorithm.update(0.0)
    live(algorithm, world, 1)
    assert algorithm.memory.now.any()
    assert algorithm._critic_memory.any()
    algorithm.abandon_episodes()
    assert not algorithm.memory.now.any()
    assert not algorithm._critic_memory.any()


def test_a_shared_critic_shares_the_memory() -> None:
    algorithm = remembering(shared_critic=True)
    assert algorithm.critic.memory is algorithm.actor.memory
    live(algorithm, Corridor(16), 40)
    algorithm.update(0.0)


def learned(algorithm: ActorCritic, updates: int) -> float:
    world = Corridor(16)
    for _ in range(updates):
        live(algorithm, world, algorithm.rollout.steps)
        algorithm.update(0.0)
    return turns_right(algorithm)


@pytest.mark.parametrize(("trainer", "updates"), [("ppo", 20), ("a2c", 60)])
def test_a_corridor_is_learned_with_a_memory(trainer: str, updates: int) -> None:
    assert learned(remembering(trainer), updates) > 0.95


def test_a_corridor_cannot_be_learned_without_a_memory() -> None:
    assert 0.4 < learned(make("ppo"), 25) < 0.6
