"""SAC of choices and of both kinds: soft values in closed form, masks, temperatures, and what it learns."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from tests.trainers.algorithms.test_off_policy import GAMMA
from tests.trainers.algorithms.test_off_policy import make as off_policy
from tests.trainers.enumerable_mdp import ACTIONS, NEXT, REWARD, STATES
from trainers.actors import ActionShape, Decision
from trainers.algorithms import Step
from trainers.algorithms.off_policy import Batch
from trainers.algorithms.sac import Sac

BRANCHES, HYBRID = ActionShape(0, (2, 3)), ActionShape(1, (3,))
ALPHA = 0.3
MEMORY = {"memory_size": 8, "sequence_length": 4}


pytestmark = pytest.mark.usefixtures("one_thread")


def make(shape: ActionShape, obs_size: int = 1, rows: int = 2, normalize: bool = True, **more: Any) -> Sac:
    sac = off_policy("sac", rows, normalize, obs_size, shape, **more)
    assert isinstance(sac, Sac)
    return sac


def log_odds(*branches: list[float]) -> list[Tensor]:
    """Log-probabilities of one state, (1, choices) per branch."""
    return [torch.tensor([odds]).log() for odds in branches]


def test_a_soft_value_of_branches_is_worked_arithmetic() -> None:
    """The smaller Q of each choice; per branch expectation plus entropy; their mean."""
    sac = make(BRANCHES)
    q = torch.tensor([[[[1.0, 8.0, 3.0, 6.0, 9.0]], [[4.0, 2.0, 9.0, 9.0, 0.0]]]])
    decision = Decision(torch.zeros(1, 2), torch.zeros(1), log_odds([0.25, 0.75], [0.5, 0.25, 0.25]))
    entropy = (-0.25 * math.log(0.25) - 0.75 * math.log(0.75), 1.5 * math.log(2.0))
    expected = ((0.25 * 1 + 0.75 * 2) + 0.1 * entropy[0] + (0.5 * 3 + 0.25 * 6 + 0.0) + 0.2 * entropy[1]) / 2
    assert sac.soft_value(q, decision, torch.tensor([0.1, 0.2])).item() == pytest.approx(expected)


def test_a_soft_value_of_both_kinds_is_their_sum() -> None:
    q = torch.tensor([[[[1.0, 2.0, 3.0]], [[9.0, 9.0, 9.0]]]])
    decision = Decision(torch.zeros(1, 2), torch.tensor([-0.7]), log_odds([0.5, 0.25, 0.25]))
    expected = 0.5 * 1 + 0.25 * 2 + 0.25 * 3 + 0.1 * 0.7 + 0.2 * 1.5 * math.log(2.0)
    assert make(HYBRID).soft_value(q, decision, torch.tensor([0.1, 0.2])).item() == pytest.approx(expected)


def test_the_best_policy_of_choices_is_boltzmanns_and_its_value_a_soft_maximum() -> None:
    """pi_b ~ exp(Q_b / alpha_b) gives mean_b alpha_b logsumexp(Q_b / alpha_b), and no other policy more."""
    torch.manual_seed(0)
    sac, alpha, q = make(BRANCHES), torch.tensor([0.3, 0.8]), torch.randn(1, 1, 7, 5).expand(-1, 2, -1, -1)
    parts = [part / of for part, of in zip(torch.split(q[0, 0], [2, 3], dim=-1), alpha, strict=True)]
    best = Decision(torch.zeros(7, 2), torch.zeros(7), [part.log_softmax(dim=-1) for part in parts])
    (value,) = sac.soft_value(q, best, alpha)
    closed = torch.stack([of * part.logsumexp(dim=-1) for part, of in zip(parts, alpha, strict=True)]).mean(dim=0)
    torch.testing.assert_close(value, closed)
    for _ in range(20):
        other = [(part + torch.randn_like(part)).log_softmax(dim=-1) for part in best.log_probs]
        assert (sac.soft_value(q, best._replace(log_probs=other), alpha) < value).all()


def test_the_value_of_what_was_done_is_the_mean_over_the_branches() -> None:
    sac: Any = make(BRANCHES)
    q = torch.tensor([[[[1.0, 2.0, 3.0, 4.0, 5.0]], [[10.0, 20.0, 30.0, 40.0, 50.0]]]])
    sac.critic = lambda *_: q
    batch = Batch(torch.ones(1, 6), torch.tensor([[1.0, 2.0]]), torch.zeros(1, 1), torch.ones(1, 6), torch.zeros(1))
    assert sac.value(batch).tolist() == [[[(2 + 5) / 2], [(20 + 50) / 2]]]


def test_forbidden_choices_count_neither_in_values_nor_in_what_entropies_are_to_be() -> None:
    sac: Any = make(BRANCHES)
    masks = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    obs = torch.cat((torch.ones(2, 1), masks), dim=1)
    decision = sac.decide(obs)
    values = [
        sac.soft_value(torch.where(masks > 0, 1.0, of).expand(1, 2, -1, -1), decision, torch.ones(2))
        for of in (0.0, 1e6)
    ]
    assert torch.equal(*values)
    wanted = sac.target_entropies(obs)
    torch.testing.assert_close(wanted, 0.2 * torch.tensor([[0.0, math.log(2)], [math.log(2), math.log(3)]]))


@pytest.mark.parametrize("shape", [ActionShape(2), BRANCHES, HYBRID], ids=str)
def test_targets_are_minus_the_numbers_and_a_fifth_of_the_branches_entropy(shape: ActionShape) -> None:
    obs = torch.ones(3, 1 + shape.choices)
    wanted = [-float(shape.continuous)] * bool(shape.continuous) + [0.2 * math.log(n) for n in shape.branches]
    assert make(shape).target_entropies(obs)[1].tolist() == pytest.approx(wanted)


def test_every_branch_has_a_temperature_that_follows_its_own_entropy() -> None:
    """d/d log_alpha = alpha (H - target): it falls for the even branch, and rises for the certain one."""
    sac: Any = make(BRANCHES, init_entcoef=0.2)
    sac.temperature_optimizer = torch.optim.SGD(sac.temperature.parameters(), lr=0.1)
    none = sum(parameter.sum() for parameter in sac.actor.parameters()) * 0.0
    parts = [part + none for part in log_odds([0.5, 0.5], [1.0 - 2e-6, 1e-6, 1e-6])]
    sac.decide = lambda _: Decision(torch.zeros(1, 2), torch.zeros(1), parts)
    batch = Batch(torch.ones(1, 6), torch.zeros(1, 2), torch.zeros(1, 1), torch.ones(1, 6), torch.zeros(1))
    metrics = sac.gradient_step(batch)
    moved = sac.temperature.log_alpha.detach() - math.log(0.2)
    expected = -0.1 * 0.2 * torch.tensor([math.log(2) * 0.8, -0.2 * math.log(3)])
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-4)
    assert metrics["policy/entropy/branch_0"].item() == pytest.approx(math.log(2))
    assert metrics["policy/entropy"].item() == pytest.approx(math.log(2), rel=1e-3)  # the other branch has none left
    assert metrics["policy/entropy_coef/branch_1"].item() == pytest.approx(0.2)


def test_the_numbers_of_a_hybrid_policy_follow_the_gradient_of_every_choices_q() -> None:
    sac = make(HYBRID)
    decision = sac.decide(torch.ones(4, 4))
    q = sac.critic(torch.ones(4, 4), decision.act[:, :1])
    assert q.shape == (1, 2, 4, 3)
    sac.soft_value(q, decision, torch.zeros(2)).sum().backward()  # type: ignore[no-untyped-call]
    for head in ("mean", "logits"):
        assert getattr(sac.actor, head).weight.grad.abs().sum() > 0, head


def test_soft_values_of_an_enumerable_task_are_those_of_soft_iteration() -> None:
    """Q*(s, a) = r + gamma sum_s' P(s'|s, a) alpha logsumexp(Q*(s') / alpha), learned from random actions."""
    exact = torch.zeros(STATES, ACTIONS, dtype=torch.float64)
    for _ in range(60):
        exact = REWARD + GAMMA * NEXT @ (ALPHA * (exact / ALPHA).logsumexp(dim=-1))
    rows, rng = 2048, np.random.default_rng(0)
    how: dict[str, Any] = {"buffer_size": rows, "buffer_init_steps": rows, "batch_size": 256, "steps_per_update": 4}
    sac = make(ActionShape(0, (ACTIONS,)), STATES, rows, init_entcoef=ALPHA, **how)
    sac.temperature.log_alpha.register_hook(torch.zeros_like)  # type: ignore[no-untyped-call]  # alpha stays
    state, no, yes = rng.integers(STATES, size=rows), np.zeros(rows, dtype=bool), np.ones(rows, dtype=bool)
    seen = np.concatenate((np.eye(STATES), np.ones((STATES, ACTIONS))), axis=1, dtype=np.float32)
    chosen = sac.act(seen[state], yes)[:, 0]
    after = (rng.random(rows) < NEXT[state, chosen, 1].numpy()).astype(int)
    sac.observe(Step(REWARD[state, chosen].numpy().astype(np.float32), no, no, seen[after], None, yes))
    sac.update(0.0)
    with torch.no_grad():
        found = sac.critic(torch.from_numpy(seen), torch.zeros(STATES, 0))[0].mean(dim=0)
        policy = sac.actor.scores(torch.from_numpy(seen))[0].exp()
    torch.testing.assert_close(found.double(), exact, atol=0.15, rtol=0.0)
    torch.testing.assert_close(policy.double(), (exact / ALPHA).softmax(dim=-1), atol=0.1, rtol=0.0)


def test_a_hybrid_bandit_is_learned_from_random_actions() -> None:
    """It pays 1 - 2 (a - 0.5)^2 for choice 1, half of it for -0.5 and choice 2; choice 0 is forbidden and pays more."""
    rows = 512
    how: dict[str, Any] = {"buffer_size": rows, "buffer_init_steps": rows, "batch_size": 64, "steps_per_update": 1.5}
    sac = make(HYBRID, 1, rows, init_entcoef=0.1, **how)
    obs = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]], np.float32), (rows, 1))
    yes, no = np.ones(rows, dtype=bool), np.zeros(rows, dtype=bool)
    act = sac.act(obs, yes)
    assert set(act["discrete"][:, 0].tolist()) == {1, 2}
    numbers, chosen = act["continuous"][:, 0], act["discrete"][:, 0]
    rew = np.where(chosen == 1, 1.0 - 2.0 * (numbers - 0.5) ** 2, 0.5 - (numbers + 0.5) ** 2).astype(np.float32)
    sac.observe(Step(rew, yes, no, obs, obs, yes))
    sac.update(0.0)
    best = sac.act_deterministic(obs[:1])
    assert best["discrete"].tolist() == [[1]]
    assert best["continuous"][0, 0] == pytest.approx(0.5, abs=0.2)


def live(sac: Sac, steps: int, seed: int = 0) -> list[Any]:
    """Random observations and masks, episodes of about five steps; learns when it is ready."""
    rng, acts = np.random.default_rng(seed), []

    def look() -> np.ndarray:
        masks = rng.random((2, sac.actor.shape.choices)) < 0.7
        return np.concatenate((rng.normal(size=(2, 1)), masks), axis=1).astype(np.float32)

    obs, yes = look(), np.ones(2, dtype=bool)
    for _ in range(steps):
        acts.append(sac.act(obs, yes))
        next_obs, done = look(), rng.random(2) < 0.2
        sac.observe(Step(obs[:, 0], done, ~yes, next_obs, next_obs + 1, yes))
        obs = next_obs
        if sac.ready():
            sac.update(0.0)
    return acts


@pytest.mark.parametrize("memory", [None, MEMORY], ids=["plain", "memory"])
@pytest.mark.parametrize("shape", [ActionShape(2), BRANCHES, HYBRID], ids=["continuous", "discrete", "hybrid"])
def test_a_restored_learner_goes_on_to_the_bit(shape: ActionShape, memory: dict[str, int] | None) -> None:
    one, other = (make(shape, memory=memory, buffer_init_steps=10, steps_per_update=3) for _ in range(2))
    live(one, steps=23)
    live(other, steps=3, seed=5)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.load_replay_state(copy.deepcopy(one.replay_state())) == ""
    for sac in (one, other):
        live(sac, steps=9, seed=1)
    assert one.updates > 5
    assert difference(one.state_dict(), other.state_dict()) == ""
    assert difference(one.replay_state(), other.replay_state()) == ""


@pytest.mark.parametrize("memory", [None, MEMORY], ids=["plain", "memory"])
@pytest.mark.parametrize("shape", [BRANCHES, HYBRID], ids=["discrete", "hybrid"])
def test_all_networks_and_temperatures_move(shape: ActionShape, memory: dict[str, int] | None) -> None:
    sac = make(shape, memory=memory)
    networks = {part: getattr(sac, part) for part in sac.parts if "optimizer" not in part}
    before = {part: copy.deepcopy(network.state_dict()) for part, network in networks.items()}
    live(sac, steps=6)
    for part, network in networks.items():
        for name, value in network.state_dict().items():
            assert not torch.equal(value, before[part][name]), (part, name)
