import pytest
import torch
from torch import nn

from trainers.lecture.backpropagation import SIGMA, QNetwork, backpropagate, fit, squared_error


def network_and_data(activation: str, hidden: list[int]) -> tuple[QNetwork, tuple[torch.Tensor, ...]]:
    torch.manual_seed(3)
    network = QNetwork([5, *hidden, 1], activation).double()
    return network, (torch.randn(7, 3).double(), torch.randn(7, 2).double(), torch.randn(7).double())


def linear(network: QNetwork, index: int) -> nn.Linear:
    layer = network.layers[index]
    assert isinstance(layer, nn.Linear)
    return layer


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize("hidden", [[], [4], [8, 6, 4]])
def test_the_layer_formulas_are_autograds_gradient(activation: str, hidden: list[int]) -> None:
    network, (states, actions, targets) = network_and_data(activation, hidden)
    squared_error(network(states, actions), targets).backward()  # type: ignore[no-untyped-call]
    by_hand = backpropagate(network, states, actions, targets)
    assert len(by_hand) == len(network.layers)
    for layer, (dw, db) in zip(network.layers, by_hand, strict=True):
        torch.testing.assert_close(dw, layer.weight.grad, rtol=0, atol=1e-10)
        torch.testing.assert_close(db, layer.bias.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", SIGMA)
def test_the_layer_formulas_are_the_slope_of_the_loss(activation: str) -> None:
    network, (states, actions, targets) = network_and_data(activation, [4, 4])
    dw, _ = backpropagate(network, states, actions, targets)[0]
    weight, step = linear(network, 0).weight, 1e-6
    losses = []
    for move in (step, -2 * step):
        with torch.no_grad():
            weight[1, 2] += move
            losses.append(float(squared_error(network(states, actions), targets)))
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(float(dw[1, 2]), rel=1e-6)


def test_backpropagation_of_one_neuron_is_worked_arithmetic() -> None:
    network = QNetwork([2, 1, 1], "leaky_relu").double()
    with torch.no_grad():
        linear(network, 0).weight[:] = torch.tensor([[1.0, -2.0]])
        linear(network, 0).bias[:] = 0.5
        linear(network, 1).weight[:] = 3.0
        linear(network, 1).bias[:] = 1.0
    one = torch.ones(1, 1).double()
    # x_1 = 1 - 2 + 0.5 = -0.5, y_1 = -0.005, Q = 1 - 0.015 = 0.985; L = (Q - 2)^2, dL/dQ = -2.03
    (dw1, db1), (dw2, db2) = backpropagate(network, one, one, torch.tensor([2.0]).double())
    assert float(db2) == pytest.approx(-2.03)
    assert float(dw2) == pytest.approx(-2.03 * -0.005)
    assert float(db1) == pytest.approx(-2.03 * 3 * 0.01)
    assert dw1.tolist() == [[pytest.approx(-0.0609), pytest.approx(-0.0609)]]


@pytest.mark.parametrize("activation", SIGMA)
def test_sgd_fits_target_q_values(activation: str) -> None:
    torch.manual_seed(0)
    states, actions = torch.rand(256, 2) * 2 - 1, torch.rand(256, 1) * 2 - 1
    targets = states[:, 0] * actions[:, 0] + 0.5 * states[:, 1]
    errors = fit(QNetwork([3, 24, 24, 1], activation), (states, actions, targets), 0.1, 400, 32)
    assert sum(errors[-50:]) / 50 < 0.1 * float(targets.var())
