from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import cli, train_tiny
from trainers.errors import UserError
from trainers.play.session import MEMORY, Session
from trainers.stage import Moment, Stage, open_stage
from unity_env.sim.role import all_roles


@pytest.fixture
def stage() -> Iterator[Stage]:
    with closing(open_stage("arm_reach_ppo")) as opened:
        yield opened


def stepped(session: Session) -> Moment:
    session.step()
    assert session.moment is not None
    return session.moment


def test_a_dragged_goal_is_the_goal_of_the_next_step(stage: Stage) -> None:
    session = Session(stage)
    goal = np.array([0.3, 0.2, 0.4])
    session.ask(lambda: session.drag("goal", goal))
    session.obey()
    seen = stepped(session).signals
    np.testing.assert_allclose(seen["goal_pos"], goal, atol=1e-6)
    np.testing.assert_allclose(seen["goal_distance"][0], np.linalg.norm(goal - seen["tool_pos"]), atol=1e-5)


def test_a_push_moves_the_arm_and_ends_after_its_time(stage: Stage) -> None:
    def speeds(*, pushed: bool) -> list[float]:
        session = Session(stage, seed=3)
        session.choose("still")
        if pushed:
            session.push(0, force_n=80.0, angle_rad=np.pi / 2, seconds=0.2)
        return [float(np.abs(stepped(session).signals["joint_vel"]).max()) for _ in range(40)]

    still, pushed = speeds(pushed=False), speeds(pushed=True)
    assert max(still) < 1e-3
    assert max(pushed[:5]) > 0.01
    assert pushed[-1] < 0.1 * max(pushed)


def test_random_pushes_go_on_beside_a_push_by_hand(stage: Stage) -> None:
    stage.sim.set_parameters({"push_scale": 3.0})
    session = Session(stage)
    session.push(0, force_n=5.0, angle_rad=0.0, seconds=0.08)
    forces = []
    for _ in range(60):
        session.step()
        forces.append(np.array(stage.sim.task.batch.bind("xfrc_applied")[0, :, 0]).sum())
    assert forces[0] != 0.0
    assert np.count_nonzero(forces[2:]) > 0


@pytest.mark.parametrize("task", sorted(all_roles()))
def test_every_task_can_be_watched_by_itself(task: str) -> None:
    with closing(open_stage(task)) as stage:
        session = Session(stage)
        for cast in stage.casts:
            session.choose(cast)
            for _ in range(5):
                session.step()
        for session.watched in stage.behaviors:
            assert set(session.terms()) == {"env_reward"}
            assert all(
                session.signal(name).shape == (5 * len(stage.casts), value.size)
                for name, value in session.signals.items()
            )
        assert session.steps == 5 * len(stage.casts)


@pytest.mark.parametrize("task", ["arm_reach", "mobile_goal", "mobile_goal_discrete"])
def test_the_scripted_controllers_solve_what_they_are_shown_with(task: str) -> None:
    with closing(open_stage(task)) as stage:
        session = Session(stage)
        session.choose("scripted")
        while session.episodes < 2:
            session.step()
        assert session.solved > 0


def test_a_person_that_was_dragged_walks_on_from_there() -> None:
    with closing(open_stage("mobile_follow")) as stage:
        session = Session(stage)
        session.choose("still")
        session.drag("person", np.array([1.0, -1.0, 0.0]))
        session.step()
        person = stage.sim.task.batch.bind("mocap_pos")[0, stage.sim.task.model.body("person").mocapid[0]]
        assert np.linalg.norm(person[:2] - (1.0, -1.0)) < 0.2


def test_reward_terms_of_a_moment_sum_to_its_reward(stage: Stage) -> None:
    session = Session(stage)
    moments = [stepped(session) for _ in range(5)]
    for moment in moments:
        assert sum(moment.terms.values()) == pytest.approx(moment.rew)
    assert moments[-1].total == pytest.approx(sum(moment.rew for moment in moments))


def test_memory_is_bounded_and_lines_up_with_its_times(stage: Stage) -> None:
    session = Session(stage)
    for _ in range(MEMORY + 7):
        session.step()
    times = session.times()
    assert len(times) == MEMORY == len(session.signal("joint_pos"))
    assert times[-1] == pytest.approx((MEMORY + 7) * stage.period_s)
    assert session.episodes == 2  # of 100 steps each
    session.reset()
    assert len(session.times()) == 0 == len(session.signal("joint_pos"))


def test_a_run_plays_its_best_policy_like_its_evaluation(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "watched")
    assert cli("eval", run, "--episodes", "2").code == 0
    with closing(open_stage("watched", tmp_path / "results")) as stage:
        assert next(iter(stage.casts)) == "trained"
        runs = []
        for _ in range(2):
            session = Session(stage, seed=4)
            runs.append([stepped(session).rew for _ in range(20)])
        assert runs[0] == runs[1]


def test_what_cannot_be_watched_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: not a run .* tasks are arm_"):
        open_stage("nowhere")
    config = tmp_path / "player.yaml"
    config.write_text("env_settings: {env_path: ./build.x86_64}\nbehaviors: {Walker: {trainer_type: ppo}}\n")
    with pytest.raises(UserError, match=r"player.yaml:1: env_settings.env_path: only embedded tasks"):
        open_stage(str(config))
