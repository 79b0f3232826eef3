"""What gradient descent does alike everywhere: worked arithmetic of its minibatches, its bound, its means."""

import pytest
import torch

from trainers.descent import clip_gradient, mean_metrics, minibatches, set_rate


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("each", "sizes"), [(None, [4, 4, 2]), (5, [4, 1]), (4, [4]), (100, [4, 4, 2])], ids=["all", "some", "one", "more"]
)
def test_each_pass_takes_every_sample_once_in_an_order_of_its_own(each: int | None, sizes: list[int]) -> None:
    batches = list(minibatches(torch.zeros(10, 3), 4, 2, generator(), each))
    assert [len(batch) for batch in batches] == sizes * 2
    first, second = torch.cat(batches[: len(sizes)]).tolist(), torch.cat(batches[len(sizes) :]).tolist()
    assert len(set(first)) == len(set(second)) == sum(sizes)
    assert first != second
    again = torch.cat(list(minibatches(torch.zeros(10, 3), 4, 2, generator(), each)))
    assert again.tolist() == first + second


def test_a_gradient_is_shortened_to_its_bound_and_no_further() -> None:
    for max_norm, left in ((None, 5.0), (10.0, 5.0), (1.0, 1.0)):
        weight = torch.nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor([3.0, 4.0])
        assert float(clip_gradient([weight], max_norm)) == 5.0
        assert float(weight.grad.norm()) == pytest.approx(left, abs=1e-5)


def test_all_groups_of_an_optimizer_get_the_rate() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 0.2)]
    optimizer = torch.optim.SGD(groups)
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]


def test_a_metric_is_averaged_over_the_steps_that_tell_of_it() -> None:
    steps = [{"critic": torch.tensor(1.0)}, {"critic": torch.tensor(3.0), "actor": torch.tensor(7.0)}]
    assert mean_metrics(steps) == {"critic": 2.0, "actor": 7.0}
    assert mean_metrics([]) == {}
