"""PlayerPool: several players are one environment, and survive each other."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlagents_envs.exception import UnityEnvironmentException

from tests.fakes import Message, Report
from tests.unity_env.link.fake_player import UNLIMITED, FakePlayer, Launcher, numbered, seconds
from tests.unity_env.link.stand_in import write_build
from unity_env.link.environment import UnityPlayer
from unity_env.link.errors import LinkError, PlayerExitedError
from unity_env.link.pool import ID_STRIDE, PlayerPool, RestartLimits
from unity_env.vector_env import UnityVectorEnv

ROBOT = "Robot"


def ids(pool: PlayerPool) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (player, own id) of the decisions and of the ends."""
    decisions, terminals = pool.get_steps(ROBOT)
    return tuple([divmod(int(agent), ID_STRIDE) for agent in part.agent_id] for part in (decisions, terminals))  # type: ignore[return-value]  # two of them


def observed(pool: PlayerPool) -> list[float]:
    values: list[float] = pool.get_steps(ROBOT)[0].obs[0][:, 0].tolist()
    return values


@contextlib.contextmanager
def closing_after(*players: FakePlayer) -> Iterator[None]:
    """Release players that hang, whatever happens."""
    try:
        yield
    finally:
        for player in players:
            player.closed.set()


def test_the_agents_of_all_players_come_in_one_list_with_ids_of_their_own() -> None:
    pool = Launcher([FakePlayer([4, 2])], [FakePlayer([4], born=5)], [FakePlayer([0, 4], born=7)]).pool()
    pool.reset()
    assert ids(pool) == ([(0, 4), (0, 2), (1, 4), (2, 0), (2, 4)], [])
    assert observed(pool) == [0, 0, 50, 70, 70]
    pool.step()
    decisions, _ = pool.get_steps(ROBOT)
    assert decisions.reward.tolist() == [1] * 5
    assert len(set(decisions.agent_id.tolist())) == 5


def test_actions_are_dealt_to_the_players_whose_agents_asked() -> None:
    first = FakePlayer([4, 2], script={1: Message()})
    second, third = FakePlayer([4]), FakePlayer([0, 4], script={1: Message([Report(4, 0)], [Report(0, 0)])})
    pool = Launcher([first], [second], [third]).pool()
    pool.reset()
    pool.set_actions(ROBOT, numbered(5))
    pool.step()
    pool.set_actions(ROBOT, numbered(2, first=10))
    sent = [[action.continuous[:, 0].tolist() for action in player.actions] for player in (first, second, third)]
    assert sent == [[[0, 1]], [[2], [10]], [[3, 4], [11]]]
    pool.set_action_for_agent(ROBOT, 2 * ID_STRIDE + 4, numbered(1))
    assert [agent for agent, _ in third.single] == [4]


def test_agents_with_the_extreme_ids_stay_apart_and_are_addressed_in_their_own_player() -> None:
    extremes = [-(2**31), -1, 0, 2**20, 2**31 - 1]
    players = [FakePlayer(extremes) for _ in range(3)]
    pool = Launcher(*([player] for player in players)).pool()
    pool.reset()
    agents = pool.get_steps(ROBOT)[0].agent_id.tolist()
    assert len(set(agents)) == 15
    for agent in agents:
        pool.set_action_for_agent(ROBOT, agent, numbered(1))
    assert [[agent for agent, _ in player.single] for player in players] == [extremes] * 3


def test_ends_of_all_players_come_with_their_flags() -> None:
    scripts = [Message([], [Report(1, 11, 2.0, interrupted=True)]), Message([Report(1, 31)], [Report(1, 21, 3.0)])]
    pool = Launcher(*([FakePlayer([1], script={1: script})] for script in scripts)).pool()
    pool.reset()
    pool.step()
    assert ids(pool) == ([(1, 1)], [(0, 1), (1, 1)])
    _, terminals = pool.get_steps(ROBOT)
    assert terminals.interrupted.tolist() == [True, False]
    assert terminals.reward.tolist() == [2, 3]
    assert terminals.obs[0][:, 0].tolist() == [11, 21]


def test_players_are_stepped_side_by_side() -> None:
    pool = Launcher(*([FakePlayer(sleep_s=0.05)] for _ in range(4))).pool()
    pool.reset()
    pool.step()
    assert sum(seconds(pool.step) for _ in range(4)) < 4 * 0.15
    pool.close()


def test_a_behavior_that_only_one_player_shows_yet_has_that_ones_agents() -> None:
    pool = Launcher([FakePlayer(known_from=2)], [FakePlayer([7])]).pool()
    pool.reset()
    assert list(pool.behavior_specs) == [ROBOT]
    assert ids(pool) == ([(1, 7)], [])
    pool.set_actions(ROBOT, numbered(1))
    pool.step()
    pool.step()
    assert ids(pool) == ([(0, 0), (0, 1), (1, 7)], [])


def test_a_dead_players_episodes_end_as_interrupted_where_they_stood_and_the_new_ones_begin_in_that_step() -> None:
    end = Message([Report(0, 41)], [Report(1, 49, 5.0)])  # agent 1 has ended: nothing of it can be lost
    launcher = Launcher([FakePlayer(born=3, script={2: end}, dies_at=3), FakePlayer([8], born=6)], [FakePlayer()])
    pool = launcher.pool()
    pool.reset()
    for _ in range(3):
        pool.step()
    decisions, terminals = pool.get_steps(ROBOT)
    assert ids(pool) == ([(0, 8), (1, 0), (1, 1)], [(0, 0)])
    assert terminals.obs[0].tolist() == [[41]]
    assert terminals.interrupted.tolist() == [True]
    assert terminals.reward.tolist() == [0]
    assert decisions.obs[0][:, 0].tolist() == [60, 3, 3]
    pool.set_actions(ROBOT, numbered(3))
    pool.step()
    assert ids(pool) == ([(0, 8), (1, 0), (1, 1)], [])
    assert launcher.calls[2:] == [0]


def test_an_agent_that_last_reported_some_steps_ago_is_among_the_lost() -> None:
    silent = {1: Message([Report(0, 1)]), 2: Message([Report(0, 2)])}
    pool = Launcher([FakePlayer(born=3, script=silent, dies_at=3), FakePlayer([])]).pool()
    pool.reset()
    for _ in range(3):
        pool.step()
    _, terminals = pool.get_steps(ROBOT)
    lost = zip(terminals.agent_id.tolist(), terminals.obs[0][:, 0].tolist(), strict=True)
    assert dict(lost) == {0: 2, 1: 30}


def test_rows_of_a_dead_player_are_truncated_and_go_on_with_the_new_ones_agents() -> None:
    players = [FakePlayer([1, 2], born=3, dies_at=2), FakePlayer([2, 1], born=6)]
    env = UnityVectorEnv(Launcher([FakePlayer([5])], players).pool())
    env.reset()
    actions = numbered(3).continuous
    env.step(actions)
    obs, rew, terminated, truncated, infos = env.step(actions)
    assert obs[:, 0].tolist() == [2, 60, 60]
    assert rew.tolist() == [2, 0, 0]
    assert not terminated.any()
    assert truncated.tolist() == [False, True, True]
    assert infos["final_obs"][1:, 0].tolist() == [31, 31]
    assert infos["valid"].all()
    assert infos["requesting"].all()
    _, rew, terminated, truncated, infos = env.step(actions)
    assert rew.tolist() == [3, 1, 1]
    assert not (terminated | truncated).any()
    assert infos["valid"].all()


def test_a_player_that_dies_in_a_reset_is_replaced_too() -> None:
    old = FakePlayer(dies_at=-1)
    pool = Launcher([old, FakePlayer(born=6)], [FakePlayer()]).pool()
    pool.reset()
    assert observed(pool) == [60, 60, 0, 0]
    assert old.closed.is_set()


def test_a_new_player_that_dies_at_once_is_replaced_too_and_counts() -> None:
    in_handshake, in_reset = PlayerExitedError("the player exited with code 9"), FakePlayer(dies_at=-1)
    pool = Launcher([FakePlayer(dies_at=1), in_handshake, in_reset, FakePlayer(born=6)]).pool()
    pool.reset()
    pool.step()
    assert observed(pool) == [60, 60]
    assert ids(pool)[1] == [(0, 0), (0, 1)]
    pool = Launcher([FakePlayer(dies_at=1), FakePlayer(dies_at=-1)]).pool(RestartLimits(lifetime=1))
    pool.reset()
    with pytest.raises(PlayerExitedError, match="player 0 died once more after 1 restarts: the player exited with"):
        pool.step()


def test_a_new_player_may_show_its_behavior_later() -> None:
    pool = Launcher([FakePlayer([1], dies_at=1), FakePlayer([1], born=6, known_from=2)]).pool()
    env = UnityVectorEnv(pool)
    env.reset()
    obs, _, _, truncated, infos = env.step(numbered(1).continuous)
    assert truncated.tolist() == [True]
    assert infos["requesting"].tolist() == [False]
    obs, *_, infos = env.step(numbered(1).continuous)
    assert infos["requesting"].tolist() == [True]
    assert obs.tolist() == [[62]]


def dying(count: int) -> list[FakePlayer | BaseException]:
    return [FakePlayer(dies_at=1) for _ in range(count)]


def deaths_survived(limits: RestartLimits, count: int = 6) -> tuple[int, str]:
    """Return how many deaths in a row the pool mends, and what it says when it no longer does."""
    pool = Launcher(dying(count + 1)).pool(limits)
    pool.reset()
    for death in range(count):
        try:
            pool.step()
        except PlayerExitedError as error:
            return death, str(error)
    return count, ""


def test_a_player_may_die_as_often_as_its_lifetime_limit_allows() -> None:
    count, message = deaths_survived(RestartLimits(lifetime=2, rate_n=-1))
    assert count == 2
    assert "player 0 died once more after 2 restarts: the player was ended by signal SIGKILL" in message
    assert message.endswith("the tail")
    assert deaths_survived(RestartLimits(lifetime=0, rate_n=-1))[0] == 0


def test_a_player_may_die_as_often_in_a_period_as_the_rate_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    count, message = deaths_survived(RestartLimits(lifetime=-1, rate_n=1, rate_period_s=60))
    assert count == 1
    assert "player 0 died, and was restarted 1 times in the last 60 s already (restarts_rate_limit_n)" in message
    assert message.endswith("the tail")
    clock = iter(range(0, 1000, 31))
    monkeypatch.setattr("unity_env.link.pool.time.monotonic", lambda: next(clock))
    assert deaths_survived(RestartLimits(lifetime=-1, rate_n=2, rate_period_s=60))[0] == 6
    assert deaths_survived(RestartLimits(lifetime=-1, rate_n=1, rate_period_s=60))[0] == 1


def test_minus_one_is_no_limit() -> None:
    assert deaths_survived(UNLIMITED, 30)[0] == 30


def test_the_limits_are_each_players_own() -> None:
    pool = Launcher([*dying(1), FakePlayer()], [FakePlayer(dies_at=1), FakePlayer()]).pool(RestartLimits(1, 1))
    pool.reset()
    pool.step()
    assert ids(pool)[1] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_an_error_that_is_no_players_end_is_not_mended() -> None:
    class Broken(FakePlayer):
        def step(self) -> None:
            raise ZeroDivisionError

    launcher = Launcher([Broken()])
    pool = launcher.pool()
    pool.reset()
    with pytest.raises(ZeroDivisionError):
        pool.step()
    assert launcher.calls == [0]


def test_a_launch_that_fails_closes_the_players_that_did_start() -> None:
    players = [FakePlayer(), FakePlayer()]
    with pytest.raises(UnityEnvironmentException, match="no such Unity build"):
        Launcher([players[0]], [UnityEnvironmentException("no such Unity build")], [players[1]]).pool()
    assert [player.closed.wait(1) for player in players] == [True, True]


def test_a_restart_that_fails_says_why_and_the_others_can_still_be_closed() -> None:
    other = FakePlayer()
    pool = Launcher([FakePlayer(dies_at=1), UnityEnvironmentException("it did not come back")], [other]).pool()
    pool.reset()
    with pytest.raises(UnityEnvironmentException, match="it did not come back"):
        pool.step()
    pool.close()
    assert other.closed.is_set()


@pytest.mark.parametrize("error", [PlayerExitedError("gone already"), OSError("no such process")])
def test_close_closes_all_players_also_when_one_refuses(error: Exception) -> None:
    players = [FakePlayer(close_error=error), FakePlayer(), FakePlayer()]
    pool = Launcher(*([player] for player in players)).pool()
    with contextlib.suppress(OSError):
        pool.close()
    assert all(player.closed.wait(1) for player in players)


def test_close_a_second_time_does_nothing_and_nothing_can_be_done_afterwards() -> None:
    pool = Launcher([FakePlayer()]).pool()
    pool.reset()
    pool.close()
    pool.close()
    for use in (pool.reset, pool.step):
        with pytest.raises(UnityEnvironmentException, match="the environment is closed"):
            use()


def test_after_an_interrupted_step_close_does_not_wait_for_players_that_hang() -> None:
    players = [FakePlayer(hangs_at=1), FakePlayer(hangs_at=1)]
    pool = Launcher(*([player] for player in players)).pool()
    pool.reset()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with closing_after(*players):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                pool.step()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert seconds(pool.close) < 3
        assert all(player.closed.is_set() for player in players)


def test_masks_are_joined() -> None:
    mask = np.array([[True, False]])
    scripts = [Message([Report(0, 0)], masks=[mask]), Message([Report(0, 0)], masks=[~mask])]
    pool = Launcher(*([FakePlayer(script={0: script})] for script in scripts)).pool()
    pool.reset()
    assert [mask.tolist() for mask in pool.get_steps(ROBOT)[0].action_mask] == [[[True, False], [False, True]]]


def test_a_restart_is_warned_of_with_its_first_line(caplog: pytest.LogCaptureFixture) -> None:
    pool = Launcher([FakePlayer(dies_at=1), FakePlayer()]).pool()
    pool.reset()
    started = time.monotonic()
    pool.step()
    assert time.monotonic() - started < 1
    assert [record.getMessage() for record in caplog.records] == [
        "player 0 is started anew: the player was ended by signal SIGKILL"
    ]


def test_a_step_that_waits_for_its_player_ends_when_the_player_is_closed_meanwhile(tmp_path: Path) -> None:
    player = UnityPlayer(
        write_build(tmp_path), timeout_wait=6, log_folder=str(tmp_path), additional_args=["--script", "hang_in_a_step"]
    )
    player.reset()
    ended_by: list[Exception] = []
    waiting = threading.Thread(target=steps_until_error, args=(player, ended_by), daemon=True)
    waiting.start()
    time.sleep(0.5)
    assert seconds(lambda: player._close(0)) < 5
    waiting.join(timeout=1)
    assert not waiting.is_alive()
    assert isinstance(ended_by[0], LinkError)


def steps_until_error(player: UnityPlayer, ended_by: list[Exception]) -> None:
    try:
        while True:
            player.step()
    except Exception as error:
        ended_by.append(error)
