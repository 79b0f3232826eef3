"""ActorRunner: the trained policy's actions, and what leaves it when something is wrong."""

import json
import logging
import math
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.edge.bundles import SHAPES, edit_card, make_actor, make_bundle, observation
from trainers.edge import ActorRunner, EdgeError, read_bundle
from trainers.edge.bundle import verify

PERIOD = 0.04


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    formats = ("onnx", "numpy")
    return {kind: make_bundle(folder / kind, kind, formats=formats).folder for kind in SHAPES}


@pytest.fixture
def arm(bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A bundle of a test's own, to be damaged."""
    return Path(shutil.copytree(bundles["continuous"], tmp_path / "actor"))


def runner_of(folder: Path, clock: Clock | None = None, **safety: Any) -> ActorRunner:
    rate = None if read_bundle(folder).period_s else 25.0
    return ActorRunner(folder, safety=safety, clock=clock or Clock(), rate_hz=rate)


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_actions_are_the_trained_policys(bundles: dict[str, Path], kind: str, backend: str) -> None:
    actor, runner = make_actor(kind), ActorRunner(bundles[kind], backend, rate_hz=25.0)
    allowed = torch.ones(SHAPES[kind].choices)
    for seed in range(20):
        obs = observation(kind, seed)
        with torch.no_grad():
            expected = actor.action(torch.cat((torch.from_numpy(obs), allowed))[None])[0].numpy()
        np.testing.assert_allclose(runner.act(obs), expected, atol=1e-5)


def test_a_mask_forbids_and_the_next_observation_without_one_allows_again(bundles: dict[str, Path]) -> None:
    runner, obs = runner_of(bundles["discrete"]), observation("discrete")
    free = int(runner.act(obs)[0])
    masks = np.ones(9, np.float32)
    masks[free] = 0.0
    assert int(runner.act(np.concatenate((obs, masks)))[0]) != free
    assert int(runner.act(obs)[0]) == free
    assert int(runner.act({**named(runner, obs), "action_masks": masks})[0]) != free
    assert int(runner.act(named(runner, obs))[0]) == free


def test_masks_that_allow_nothing_or_are_no_numbers_give_the_safe_choice(bundles: dict[str, Path]) -> None:
    runner, obs = runner_of(bundles["discrete"], safe_action=[3]), observation("discrete")
    for masks, reason in (
        (np.zeros(9), "action_masks forbid every choice of branch 0"),
        (np.full(9, math.nan), "observation action_masks[0] is not finite"),
        ([1.0, 1.0, math.inf, *[0.0] * 6], "observation action_masks[2] is not finite"),
    ):
        assert runner.act(np.concatenate((obs, masks))).tolist() == [3.0]
        assert runner.reason == reason
    hybrid = runner_of(bundles["hybrid"])
    seen = observation("hybrid")
    hybrid.act(np.concatenate((seen, [1, 1, 1, 0, 0])))
    assert hybrid.reason == "action_masks forbid every choice of branch 1"
    hybrid.act(np.concatenate((seen, [0, 0, 1, 0, 1])))
    assert hybrid.reason == ""


def named(runner: ActorRunner, obs: np.ndarray) -> dict[str, np.ndarray]:
    ends = np.cumsum([part.size for part in runner.bundle.observation])[:-1]
    names = [part.name for part in runner.bundle.observation]
    return dict(zip(names, np.split(obs, ends), strict=True))


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_acting_allocates_no_arrays(tmp_path: Path, kind: str) -> None:
    """A layer of 1,024 units is 4 KiB; what Python and numpy need in passing is less."""
    folder = make_bundle(tmp_path, kind, make_actor(kind, hidden_units=1024, num_layers=1), formats=("numpy",)).folder
    runner = runner_of(folder, rate_limit_per_s=5.0 if SHAPES[kind].continuous else None)
    obs = np.concatenate((observation(kind), np.ones(SHAPES[kind].choices, np.float32)))
    tracemalloc.start()
    for _ in range(20):
        runner.act(obs)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(20):
        runner.act(obs)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100
    assert peak - before < 3000


def test_actions_keep_to_the_limits(bundles: dict[str, Path]) -> None:
    high = [0.02, 0.01, 0.01, 0.01, 0.01, 0.01]
    runner = runner_of(bundles["continuous"], action_low=-0.01, action_high=high)
    actions = np.array([runner.act(observation(seed=seed)).copy() for seed in range(50)])
    assert actions.min() == pytest.approx(-0.01)
    assert actions[:, 0].max() == pytest.approx(0.02)
    assert actions[:, 1:].max() == pytest.approx(0.01)


def test_actions_change_no_faster_than_the_rate(bundles: dict[str, Path]) -> None:
    """2 per second and 25 decisions per second: 0.08 at most, from the safe action on."""
    free, limited = runner_of(bundles["continuous"]), runner_of(bundles["continuous"], rate_limit_per_s=2.0)
    before = np.zeros(6, np.float32)
    for seed in range(30):
        obs = observation(seed=seed)
        expected = before + np.clip(free.act(obs) - before, -0.08, 0.08)
        before = limited.act(obs).copy()
        np.testing.assert_allclose(before, expected, atol=1e-6)


@pytest.mark.parametrize("high", [1.0, 0.3])
@pytest.mark.parametrize("rate", [None, 10.0])
def test_an_actor_beyond_its_limits_is_the_same_on_every_backend(
    bundles: dict[str, Path], high: float, rate: float | None
) -> None:
    runners = [
        ActorRunner(bundles["continuous"], backend, safety={"action_high": high, "rate_limit_per_s": rate})
        for backend in ("numpy", "onnx")
    ]
    ends = []
    for seed in range(30):
        obs = observation(seed=seed) * np.float32(1e4)
        numpy_action, onnx_action = (runner.act(obs).copy() for runner in runners)
        np.testing.assert_allclose(numpy_action, onnx_action, atol=1e-5)
        ends += [numpy_action.min(), numpy_action.max()]
    assert (min(ends), max(ends)) == (-1.0, np.float32(high))


VECTORS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": lambda obs: obs.tolist(),
    "doubles": lambda obs: obs.astype(np.float64),
    "the other byte order": lambda obs: obs.astype(">f4"),
    "every second number": lambda obs: obs.repeat(2)[::2],
    "objects": lambda obs: obs.astype(object),
    "a row": lambda obs: obs[None],
    "a tensor": torch.from_numpy,
    "a memoryview": lambda obs: obs.data,
}


@pytest.mark.parametrize("kind", VECTORS)
def test_any_vector_of_numbers_is_an_observation(bundles: dict[str, Path], kind: str) -> None:
    runner = runner_of(bundles["continuous"])
    expected = runner.act(observation()).copy()
    runner.act(observation(seed=1))
    np.testing.assert_array_equal(runner.act(VECTORS[kind](observation())), expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300, 1e20, 1e16])
def test_an_observation_that_is_not_finite_gives_the_safe_action_and_the_reason(
    bundles: dict[str, Path], bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    runner = runner_of(bundles["continuous"], safe_action=[0.5, None, 0, 0, 0, 0])
    normal = runner.act(observation()).copy()
    obs = observation().astype(np.float64)
    obs[8] = bad
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            np.testing.assert_allclose(runner.act(obs), [0.5, normal[1], 0, 0, 0, 0])
    assert runner.reason == "observation joint_vel[2] is not finite"
    assert len(caplog.records) == 1, "said once"
    assert "joint_vel[2]" in caplog.text
    np.testing.assert_array_equal(runner.act(observation()), normal)
    assert runner.reason == ""


def test_a_network_whose_action_is_not_finite_gives_the_safe_action(tmp_path: Path) -> None:
    runner = runner_of(make_bundle(tmp_path, formats=("numpy",)).folder)
    runner._network.outputs["deterministic_continuous_actions"].fill(math.nan)
    runner._compute = lambda: None
    assert runner.act(observation()).tolist() == [0.0] * 6
    assert "network" in runner.reason


def test_the_watchdog_gives_the_safe_action_after_its_periods(bundles: dict[str, Path]) -> None:
    clock = Clock()
    runner = runner_of(bundles["continuous"], clock, watchdog_periods=3, safe_action=[0.1, None, 0, 0, 0, 0])
    action = runner.act(observation()).copy()
    clock.now += 2.9 * PERIOD
    np.testing.assert_array_equal(runner.command(), action)
    clock.now += 0.2 * PERIOD
    np.testing.assert_allclose(runner.command(), [0.1, action[1], 0, 0, 0, 0])
    assert runner.reason == "no observation for 3 periods of 0.04 s"
    np.testing.assert_array_equal(runner.act(observation()), action)
    np.testing.assert_array_equal(runner.command(), action)


def test_bad_observations_do_not_feed_the_watchdog(bundles: dict[str, Path]) -> None:
    clock = Clock()
    runner = runner_of(bundles["continuous"], clock, watchdog_periods=3)
    runner.act(observation())
    for _ in range(4):
        clock.now += PERIOD
        with pytest.raises(EdgeError, match="26 numbers"):
            runner.act(observation()[:-1])
    assert runner.command().tolist() == [0.0] * 6


def test_the_safe_action_is_approached_within_the_rate_limits(bundles: dict[str, Path]) -> None:
    runner = runner_of(bundles["continuous"], rate_limit_per_s=2.5, safe_action=[1.0] + [0.0] * 5)
    runner._action.fill(0.0)
    found = [float(runner.stop("test")[0]) for _ in range(12)]
    np.testing.assert_allclose(found, [*np.arange(1, 11) * 0.1, 1.0, 1.0], atol=1e-6)


def test_velocities_stop_by_default_and_a_choice_takes_the_one_that_stands_still(bundles: dict[str, Path]) -> None:
    assert read_bundle(bundles["continuous"]).safety.safe_action == (0.0,) * 6
    discrete = read_bundle(bundles["discrete"])
    (still,) = discrete.safety.safe_action
    assert still is not None
    assert discrete.card["action"][0]["choices_in_si"][int(still)] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (np.zeros(26, np.float32), r"26 numbers, the actor was trained with 27; they end in last_action, .* 21 to 26"),
        (np.zeros(28, np.float32), r"28 numbers, the actor was trained with 27; 1 are behind last_action"),
        (np.zeros(5), r"they end in joint_pos, which is numbers 0 to 5"),
        ([["a"]], r"expected 27 numbers, got \[\['a'\]\]"),
        (np.array([["a"], ["b"]]), r"expected 27 numbers, got array\(\[\['a'\], \['b'\]\]"),
        (torch.zeros(27, requires_grad=True), r"expected 27 numbers, got tensor\(\[0"),
        (None, r"expected 27 numbers, got None|27"),
        ({"joint_pos": [0.0] * 6}, r"component joint_vel is missing"),
        ({"joint_pos": [0.0] * 5}, r"component joint_pos has 5 numbers, the actor was trained with 6"),
        ({"joint_pos": "fast"}, r"component joint_pos needs 6 numbers, got 'fast'"),
        ({"gripper": [0.0]}, r"no component gripper; the actor has joint_pos, joint_vel"),
    ],
)
def test_an_observation_that_does_not_fit_is_refused_by_its_component(
    bundles: dict[str, Path], obs: Any, message: str
) -> None:
    with pytest.raises(EdgeError, match=message) as refused:
        runner_of(bundles["continuous"]).act(obs)
    assert "\n" not in str(refused.value)


def test_another_order_is_refused_by_the_first_component_that_differs(bundles: dict[str, Path]) -> None:
    runner = runner_of(bundles["continuous"])
    right = [part.name for part in runner.bundle.observation]
    runner.check_order(right)
    with pytest.raises(EdgeError, match="component 1 is tool_pos, the actor was trained with joint_vel there"):
        runner.check_order([right[0], right[2], right[1], *right[3:]])
    with pytest.raises(EdgeError, match="component 5 is nothing, the actor was trained with last_action there"):
        runner.check_order(right[:-1])


def test_actions_in_si_units_are_the_descriptions(bundles: dict[str, Path]) -> None:
    runner = runner_of(bundles["continuous"])
    command = runner.in_si(np.array([1, -1, 0.5, 1, 0, -0.2], np.float32))
    assert command == {"joint_velocity_target": pytest.approx([1.5, -1.5, 0.75, 2.5, 0.0, -0.5])}
    discrete = runner_of(bundles["discrete"])
    ((name, values),) = discrete.in_si(np.array([3.0], np.float32)).items()
    assert name == discrete.bundle.card["action"][0]["commands"]
    assert values == discrete.bundle.card["action"][0]["choices_in_si"][3]


@pytest.mark.parametrize(
    ("safety", "message"),
    [
        ({"watchdog": 3}, "unknown watchdog; known are action_low"),
        ({"watchdog_periods": 0}, "watchdog_periods has to be a number from 1 on, got 0"),
        ({"rate_limit_per_s": 0.0}, "rate_limit_per_s has to be above 0"),
        ({"rate_limit_per_s": [1.0, 2.0]}, r"rate_limit_per_s needs 6 numbers, or one for all, got \[1.0, 2.0\]"),
        ({"action_low": 2.0}, r"action_low\[0\] 2 is above action_high\[0\] 1"),
        ({"action_high": math.nan}, "action_high needs 6 numbers"),
        ({"safe_action": [0.0]}, "safe_action needs 6 entries, numbers or null"),
        ({"safe_action": [2.0] * 6}, r"safe_action\[0\] 2.0 is not in -1 .. 1"),
        ({"safe_action": ["x"] * 6}, r"safe_action\[0\] x is not in -1 .. 1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(bundles: dict[str, Path], safety: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgeError, match=message):
        runner_of(bundles["continuous"], **safety)


def test_a_safe_choice_has_to_be_one(bundles: dict[str, Path]) -> None:
    for wrong in (9, 0.5, -1):
        with pytest.raises(EdgeError, match=r"safe_action\[0\]"):
            runner_of(bundles["discrete"], safe_action=[wrong])


@pytest.mark.parametrize("name", ["actor.json", "actor.npz"])
def test_a_flipped_byte_is_found(arm: Path, name: str) -> None:
    data = bytearray((arm / name).read_bytes())
    data[len(data) // 2] ^= 1
    (arm / name).write_bytes(data)
    with pytest.raises(EdgeError, match=rf"{name}: was changed or damaged: its SHA-256 is"):
        ActorRunner(arm)


def test_every_file_of_a_bundle_is_covered_by_its_hashes(arm: Path) -> None:
    assert set(verify(arm)) == {path.name for path in arm.iterdir()} - {"SHA256SUMS"}
    for name in verify(arm):
        original = (arm / name).read_bytes()
        (arm / name).write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        with pytest.raises(EdgeError, match=name):
            verify(arm)
        (arm / name).write_bytes(original)


@pytest.mark.parametrize("name", ["actor.json", "actor.npz"])
def test_a_missing_file_is_named(arm: Path, name: str) -> None:
    (arm / name).unlink()
    with pytest.raises(EdgeError, match=f"{name}: missing"):
        ActorRunner(arm)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, arm: Path) -> None:
    with pytest.raises(EdgeError, match="not a bundle"):
        ActorRunner(tmp_path)
    (arm / "SHA256SUMS").write_text("what\n")
    with pytest.raises(EdgeError, match="SHA256SUMS:1: not a line of sha256sum"):
        ActorRunner(arm)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 3}, "schema 3 is newer than 2, the newest that this runtime reads"),
        ({"schema_version": 1}, "schema 1, this runtime reads 2; export the run again"),
        ({"schema_version": None}, "no schema_version"),
        ({"network": {}}, "without continuous, not an actor of schema 2"),
        ({"network": 7}, "not an actor of schema 2"),
        ({"observation": []}, "the network reads 27 numbers, the observation has 0"),
    ],
)
def test_a_card_of_another_schema_is_refused(arm: Path, changes: dict[str, Any], message: str) -> None:
    edit_card(arm, **changes)
    with pytest.raises(EdgeError, match=message):
        ActorRunner(arm)


def test_a_format_that_was_not_exported_is_said_to_be_missing(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path, formats=("onnx",)).folder
    with pytest.raises(EdgeError, match=r"actor.npz: not in SHA256SUMS: this bundle was exported without it"):
        ActorRunner(folder)
    assert ActorRunner(folder, "onnx").act(observation()).shape == (6,)


def test_an_operator_of_a_newer_runtime_is_refused(arm: Path) -> None:
    with np.load(arm / "actor.npz") as archive:
        arrays = dict(archive)
    program = json.loads(arrays["program"].tobytes())
    program["steps"][0]["op"] = "GridSample"
    arrays["program"] = np.frombuffer(json.dumps(program).encode(), np.uint8)
    contents: dict[str, Any] = arrays
    np.savez(arm / "actor.npz", **contents)
    edit_card(arm)
    with pytest.raises(EdgeError, match="operator GridSample is not one of this runtime's"):
        ActorRunner(arm)


def test_backends_that_are_not_there_say_so(arm: Path) -> None:
    with pytest.raises(EdgeError, match="onnxruntime has no TensorrtExecutionProvider here"):
        ActorRunner(arm, "tensorrt")
    with pytest.raises(EdgeError, match="backend cuda: expected one of numpy, onnx, tensorrt"):
        ActorRunner(arm, "cuda")


def test_a_training_without_a_period_needs_a_rate(bundles: dict[str, Path]) -> None:
    with pytest.raises(EdgeError, match="give a rate"):
        ActorRunner(bundles["hybrid"])
    assert ActorRunner(bundles["hybrid"], rate_hz=50.0).period_s == 0.02
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(EdgeError, match="decisions per second have to be above 0"):
            ActorRunner(bundles["continuous"], rate_hz=wrong)


def test_what_is_commanded_before_any_observation_is_within_the_limits(bundles: dict[str, Path]) -> None:
    runner = runner_of(bundles["continuous"], action_low=0.25, safe_action=[None] * 6)
    assert runner.command().tolist() == [0.25] * 6
