import torch

from trainers.rollout import Rollout


def test_buffers_have_time_first_then_rows() -> None:
    rollout = Rollout(steps=4, rows=3, obs_size=2, action_size=5, heads=2)
    assert rollout.obs.shape == (5, 3, 2)
    assert rollout.act.shape == rollout.noise.shape == (4, 3, 5)
    assert rollout.rew.shape == (4, 3, 2)
    for buffer in (rollout.terminated, rollout.truncated, rollout.valid):
        assert buffer.shape == (4, 3)


def test_it_is_full_after_its_number_of_steps_and_empty_after_clear() -> None:
    rollout = Rollout(2, 1, 1, 1, 1)
    assert not rollout.full
    rollout.length = 2
    assert rollout.full
    rollout.add_final_obs(torch.tensor([0]), torch.zeros(1, 1))
    rollout.clear()
    assert not rollout.full
    assert rollout.final_obs == []


def test_a_final_observation_is_kept_with_its_step_and_rows() -> None:
    rollout = Rollout(2, 3, 1, 1, 1)
    rollout.length = 1
    rollout.add_final_obs(torch.tensor([0, 2]), torch.tensor([[7.0], [8.0]]))
    ((step, rows, obs),) = rollout.final_obs
    assert (step, rows.tolist(), obs.tolist()) == (1, [0, 2], [[7.0], [8.0]])


def test_a_rollout_of_other_rows_or_steps_is_not_taken_over() -> None:
    saved = Rollout(4, 3, 2, 1, 1)
    saved.length = 2
    state = saved.state_dict()
    for steps, rows, length in ((4, 3, 2), (4, 50, 0), (1, 3, 0)):
        rollout = Rollout(steps, rows, 2, 1, 1)
        rollout.load_state_dict(state)
        assert rollout.length == length
