"""Q networks side by side, and targets that follow them."""

import pytest
import torch
from torch import nn

from trainers.action_value import ActionValue, ParallelLinear, soft_update
from trainers.normalizer import Normalizer
from trainers.settings import NetworkSettings

SHAPE = NetworkSettings(hidden_units=8, num_layers=2, activation="tanh")


def alone(layers: nn.Sequential, network: int, x: torch.Tensor) -> torch.Tensor:
    """What one of the networks computes, layer by layer."""
    for layer in layers:
        x = x @ layer.weight[network] + layer.bias[network] if isinstance(layer, ParallelLinear) else layer(x)
    return x


def test_networks_side_by_side_are_as_many_networks_alone() -> None:
    torch.manual_seed(0)
    critic = ActionValue(3, 2, SHAPE, 2, None).double()
    obs, act = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    value = critic(obs, act)
    assert value.shape == (1, 2, 5)
    for network in range(2):
        torch.testing.assert_close(value[0, network], alone(critic.layers, network, torch.cat((obs, act), 1))[:, 0])
    assert not torch.allclose(value[0, 0], value[0, 1])


def test_one_networks_loss_moves_no_other() -> None:
    critic = ActionValue(3, 2, SHAPE, 2, None)
    critic(torch.randn(5, 3), torch.randn(5, 2))[:, 0].sum().backward()
    for layer in critic.layers:
        if isinstance(layer, ParallelLinear):
            assert layer.weight.grad is not None
            assert layer.weight.grad[0].abs().sum() > 0
            assert layer.weight.grad[1].abs().sum() == 0


def test_weights_are_orthogonal_to_begin_with() -> None:
    layer = ParallelLinear(2, 6, 4, 1.5)
    for weight in layer.weight:
        torch.testing.assert_close(weight.T @ weight, 1.5**2 * torch.eye(4))


def test_observations_are_standardised_and_actions_are_not() -> None:
    normalizer = Normalizer(2)
    normalizer.update(torch.tensor([[0.0, 10.0], [2.0, 30.0]]))
    standard = SHAPE.model_copy(update={"normalize": True})
    seen, plain = ActionValue(2, 1, standard, 1, normalizer), ActionValue(2, 1, SHAPE, 1, None)
    plain.load_state_dict({name: value for name, value in seen.state_dict().items() if "normalizer" not in name})
    act = torch.tensor([[0.3]])
    torch.testing.assert_close(seen(torch.tensor([[2.0, 10.0]]), act), plain(torch.tensor([[1.0, -1.0]]), act))


@pytest.mark.parametrize(("tau", "k"), [(0.005, 1), (0.005, 100), (0.5, 7), (1.0, 1)])
def test_after_k_soft_updates_the_target_is_the_closed_form(tau: float, k: int) -> None:
    """theta'_k = theta + (1 - tau)^k (theta'_0 - theta)."""
    source, target = [torch.tensor([3.0]).double()], [torch.tensor([-5.0]).double()]
    for _ in range(k):
        soft_update(target, source, tau)
    assert float(target[0]) == pytest.approx(3.0 + (1 - tau) ** k * -8.0)
