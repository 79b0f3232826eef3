"""YAML -> settings: numbers, defaults, overrides, round trips, and no exception but UserError."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import BEHAVIOR, NAME, TINY, changed, write_config
from trainers.config import CONFIGS_DIR, dump_settings, find_config, load_settings
from trainers.errors import UserError
from trainers.hyperparameters import PpoHyperparameters
from trainers.idle_settings import without_effect
from trainers.settings import BehaviorSettings, RunSettings
from trainers.yaml_file import parse_value, parse_yaml
from unity_env.settings import UniformSampler
from unity_env.sim.description import common_parameters

THREE_D_BALL = """
behaviors:
  3DBall:
    trainer_type: ppo
    hyperparameters:
      batch_size: 64
      buffer_size: 12000
      learning_rate: 0.0003
      beta: 0.001
      epsilon: 0.2
      lambd: 0.99
      num_epoch: 3
      learning_rate_schedule: linear
    network_settings:
      normalize: true
      hidden_units: 128
      num_layers: 2
      vis_encode_type: simple
    reward_signals:
      extrinsic:
        gamma: 0.99
        strength: 1.0
    keep_checkpoints: 5
    max_steps: 500000
    time_horizon: 1000
    summary_freq: 12000
"""


def load(folder: Path, text: str, *overrides: str, **options: Any) -> RunSettings:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, options, overrides)[0]


def ppo_of(behavior: BehaviorSettings) -> PpoHyperparameters:
    assert isinstance(behavior.hyperparameters, PpoHyperparameters)
    return behavior.hyperparameters


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1E3", 1e3), ("-2e+1", -20.0), (".5e1", 5.0), ("5.e-1", 0.5), ("1e-3", 1e-3), ("3", 3),
     ("3_000_000", 3_000_000), ("e5", "e5"), ("3e", "3e"), ("'3e-4'", "3e-4"), ("true", True), ("null", None)],
)  # fmt: skip
def test_scalars_are_read_as_a_person_means_them(text: str, value: Any) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_an_ml_agents_file_loads_unchanged(tmp_path: Path) -> None:
    ball = load(tmp_path, THREE_D_BALL).behaviors["3DBall"]
    assert ppo_of(ball).lambd == 0.99
    assert ppo_of(ball).buffer_size == 12000
    assert ball.network_settings.normalize
    assert (ball.time_horizon, ball.summary_freq) == (1000, 12000)


def test_ml_agents_reward_signals_are_those_that_are_named(tmp_path: Path) -> None:
    def signals(text: str) -> Any:
        return load(tmp_path, f"behaviors: {{{NAME}: {{reward_signals: {text}}}}}").behaviors[NAME].reward_signals

    both = signals("{extrinsic: {strength: 2.0}, curiosity: {gamma: 0.9, strength: 0.02}, rnd: {}}")
    assert (both.extrinsic.strength, both.curiosity.strength, both.curiosity.learning_rate) == (2.0, 0.02, 3e-4)
    assert (both.rnd.gamma, both.rnd.strength, both.rnd.learning_rate) == (0.99, 1.0, 1e-4)
    assert list(both.intrinsic) == ["curiosity", "rnd"]
    alone = signals("{rnd: {}}")
    assert alone.extrinsic.strength == 0.0
    assert "the task's own reward has no effect" in without_effect(BehaviorSettings(reward_signals=alone))[0]
    assert signals("{rnd: null}").extrinsic.strength == 1.0
    older = signals("{extrinsic: {}, curiosity: {encoding_size: 64}}")
    assert older.curiosity.network_settings.hidden_units == 64
    newer = signals("{extrinsic: {}, curiosity: {encoding_size: 64, network_settings: {hidden_units: 32}}}")
    assert newer.curiosity.network_settings.hidden_units == 32


C1_DEFAULTS: dict[str, dict[str, Any]] = {
    f"{BEHAVIOR}": {
        "trainer_type": "ppo", "checkpoint_interval": 500000, "keep_checkpoints": 5, "even_checkpoints": False,
        "max_steps": 500000, "time_horizon": 64, "summary_freq": 50000, "threaded": False, "init_path": None,
        "self_play": None, "behavioral_cloning": None,
    },
    f"{BEHAVIOR}.hyperparameters": {
        "batch_size": 1024, "buffer_size": 10240, "learning_rate": 3e-4, "learning_rate_schedule": "linear",
        "beta": 5e-3, "beta_schedule": "linear", "epsilon": 0.2, "epsilon_schedule": "linear", "lambd": 0.95,
        "num_epoch": 3,
    },
    f"{BEHAVIOR}.network_settings": {
        "normalize": False, "hidden_units": 128, "num_layers": 2, "vis_encode_type": "simple", "memory": None,
        "goal_conditioning_type": "hyper", "deterministic": False,
    },
    f"{BEHAVIOR}.reward_signals.extrinsic": {"gamma": 0.99, "strength": 1.0},
    "env_settings": {
        "env_path": None, "env_args": None, "base_port": None,  # ML-Agents: 5005; None finds a free one
         "num_envs": 1, "num_areas": 1, "timeout_wait": 60,
        "max_lifetime_restarts": 10, "restarts_rate_limit_n": 1, "restarts_rate_limit_period_s": 60,
    },
    "engine_settings": {
        "width": 84, "height": 84, "quality_level": 5, "time_scale": 20, "target_frame_rate": -1,
        "capture_frame_rate": 60, "no_graphics": False, "no_graphics_monitor": False,
    },
    "checkpoint_settings": {
        "initialize_from": None, "load_model": False, "resume": False, "force": False,
        "train_model": False, "inference": False, "results_dir": "results",
    },
    "torch_settings": {"device": None},
}  # fmt: skip


def section(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document[key]
    return document


@pytest.mark.parametrize("path", C1_DEFAULTS)
@pytest.mark.parametrize("text", [f"behaviors: {{{NAME}: {{trainer_type: ppo}}}}", f"behaviors:\n  {NAME}:\n"])
def test_everything_left_out_has_ml_agents_default(tmp_path: Path, path: str, text: str) -> None:
    found = section(load(tmp_path, text).model_dump(), path)
    assert {key: found[key] for key in C1_DEFAULTS[path]} == C1_DEFAULTS[path]


def test_a_run_is_called_after_its_file_where_nothing_names_it(tmp_path: Path) -> None:
    text = f"behaviors: {{{NAME}: }}\n"
    assert load(tmp_path, text).checkpoint_settings.run_id == "run"
    assert load(tmp_path, text + "checkpoint_settings: {run_id: mine}").checkpoint_settings.run_id == "mine"
    named = load(tmp_path, text, **{"checkpoint_settings.run_id": "flag"})
    assert named.checkpoint_settings.run_id == "flag"


def test_shared_critic_false_is_accepted(tmp_path: Path) -> None:
    text = f"behaviors: {{{NAME}: {{hyperparameters: {{shared_critic: false}}}}}}"
    assert not ppo_of(load(tmp_path, text).behaviors[NAME]).shared_critic


def test_a_seed_of_minus_one_is_drawn_between_0_and_9999(tmp_path: Path) -> None:
    seeds = {load(tmp_path, f"behaviors: {{{NAME}: }}").env_settings.seed for _ in range(20)}
    assert len(seeds) > 1
    assert all(0 <= seed <= 9999 for seed in seeds)


@pytest.mark.parametrize(
    ("given_keys", "beta", "epsilon"),
    [
        ("learning_rate_schedule: constant", "constant", "constant"),
        ("learning_rate_schedule: linear", "linear", "linear"),
        ("learning_rate_schedule: constant, beta_schedule: linear", "linear", "constant"),
        ("learning_rate_schedule: constant, epsilon_schedule: linear", "constant", "linear"),
        ("epsilon_schedule: constant", "linear", "constant"),
    ],
)
def test_beta_and_epsilon_follow_the_learning_rates_schedule(
    tmp_path: Path, given_keys: str, beta: str, epsilon: str
) -> None:
    hyper = ppo_of(load(tmp_path, f"behaviors: {{{NAME}: {{hyperparameters: {{{given_keys}}}}}}}").behaviors[NAME])
    assert (hyper.beta_schedule, hyper.epsilon_schedule) == (beta, epsilon)


@pytest.mark.parametrize("number", ["5.0e5", "5e5", "500000.0", "500_000"])
def test_whole_numbers_may_be_written_as_floats(tmp_path: Path, number: str) -> None:
    steps = load(tmp_path, f"behaviors: {{{NAME}: {{max_steps: {number}}}}}").behaviors[NAME].max_steps
    assert steps == 500_000
    assert type(steps) is int


def test_default_settings_lie_below_every_behavior(tmp_path: Path) -> None:
    text = """
default_settings:
  max_steps: 7
  hyperparameters: {batch_size: 16, num_epoch: 9}
behaviors:
  A: {hyperparameters: {num_epoch: 2}}
  B: {max_steps: 8}
  C:
"""
    behaviors = load(tmp_path, text).behaviors
    assert [behaviors[name].max_steps for name in "ABC"] == [7, 8, 7]
    assert [ppo_of(behaviors[name]).num_epoch for name in "ABC"] == [2, 9, 9]
    assert [ppo_of(behaviors[name]).batch_size for name in "ABC"] == [16, 16, 16]


def test_empty_sections_and_the_deprecated_framework_are_no_matter(tmp_path: Path) -> None:
    text = f"env_settings:\nengine_settings:\nenvironment_parameters:\nbehaviors: {{{NAME}: {{framework: pytorch}}}}"
    assert load(tmp_path, text).engine_settings.width == 84


def test_set_beats_options_and_options_beat_the_file(tmp_path: Path) -> None:
    text = f"env_settings: {{seed: 1, num_areas: 2, num_envs: 3}}\nbehaviors: {{{NAME}: }}"
    options = {"env_settings.seed": 10, "env_settings.num_areas": 20}
    found = load(tmp_path, text, "env_settings.seed=100", **options).env_settings
    assert (found.seed, found.num_areas, found.num_envs) == (100, 20, 3)


def test_set_makes_the_sections_it_needs_and_reads_numbers(tmp_path: Path) -> None:
    key = f"{BEHAVIOR}.hyperparameters.learning_rate"
    found = load(tmp_path, f"behaviors: {{{NAME}: }}", f"{key}=1e-3", f"{BEHAVIOR}.network_settings.normalize=true")
    assert found.behaviors[NAME].hyperparameters.learning_rate == 1e-3
    assert found.behaviors[NAME].network_settings.normalize


def test_a_reward_file_is_looked_up_beside_the_config_then_among_the_shipped(tmp_path: Path) -> None:
    shipped = load(tmp_path, f"behaviors: {{{NAME}: {{reward_shaping: rewards/arm_reach_shaped.yaml}}}}")
    assert shipped.behaviors[NAME].reward_shaping is not None
    (tmp_path / "rewards").mkdir()
    own = tmp_path / "rewards" / "arm_reach_shaped.yaml"
    own.write_text("terms: {only: {term: time, weight: 1.0}}")
    reward = load(tmp_path, f"behaviors: {{{NAME}: {{reward_shaping: {own.relative_to(tmp_path)}}}}}")
    settings_ = reward.behaviors[NAME].reward_shaping
    assert settings_ is not None
    assert list(settings_.terms) == ["only"]


@pytest.mark.parametrize("name", ["randomized", "randomized_gradually"])
def test_shipped_environment_parameters_go_with_the_tasks_they_name(name: str) -> None:
    shipped, _ = load_settings(
        find_config("arm_pick_place_ppo"), {}, [f"environment_parameters=parameters/{name}.yaml"]
    )
    assert set(shipped.environment_parameters) == set(common_parameters())


def test_environment_parameters_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    whole = "environment_parameters=parameters/randomized.yaml"
    found = load(tmp_path, f"behaviors: {{{NAME}: }}", whole, "environment_parameters.mass_scale=1.5")
    assert isinstance(found.environment_parameters["push_scale"], UniformSampler)
    assert found.environment_parameters["mass_scale"] == 1.5


def test_an_error_in_a_file_of_environment_parameters_points_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("push_scale: 1.0\nmass_scale: {sampler_type: triangle}\n")
    path = write_config(tmp_path)
    with pytest.raises(UserError, match=r"own\.yaml:2: mass_scale.*"):
        load_settings(path, {}, ["environment_parameters=own.yaml"])
    with pytest.raises(UserError, match=r"command line: environment_parameters: no such file: .*missing\.yaml"):
        load_settings(path, {}, ["environment_parameters=missing.yaml"])


def test_a_file_named_on_the_command_line_is_looked_for_where_one_stands_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, scale in ((here, 0.9), (there, 1.1)):
        folder.mkdir()
        (folder / "own.yaml").write_text(f"mass_scale: {scale}\n")
    path = write_config(there)
    monkeypatch.chdir(here)
    assert load_settings(path, {}, ["environment_parameters=own.yaml"])[0].environment_parameters == {"mass_scale": 0.9}
    (here / "own.yaml").unlink()
    assert load_settings(path, {}, ["environment_parameters=own.yaml"])[0].environment_parameters == {"mass_scale": 1.1}


@pytest.mark.parametrize("path", sorted(CONFIGS_DIR.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_loads_by_its_name_and_survives_the_round_trip(path: Path, tmp_path: Path) -> None:
    loaded, _ = load_settings(find_config(path.stem))
    assert load(tmp_path, dump_settings(loaded)) == loaded


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"checkpoint_settings.run_id": "3e-4"},
        {"checkpoint_settings.run_id": "1e5"},
        {"checkpoint_settings.run_id": "007"},
        {"checkpoint_settings.run_id": "true"},
        {"behaviors": {"1e5": {}}},
        {"behaviors": {"My Behaviour: \u00e4": {}}},
        {f"{BEHAVIOR}.hyperparameters.max_grad_norm": None},
        {f"{BEHAVIOR}.hyperparameters.learning_rate": 1e-17},
        {"environment_parameters": {"mass": 1.5, "size": {"sampler_type": "uniform"}}},
        {
            "environment_parameters": {
                "size": {
                    "curriculum": [
                        {"name": "a", "value": 1.0, "completion_criteria": {"behavior": NAME, "threshold": 0.5}},
                        {"name": "b", "value": {"sampler_type": "gaussian", "sampler_parameters": {"mean": 2.0}}},
                    ]
                }
            }
        },
    ],
)
def test_the_resolved_configuration_reads_back_as_the_same_settings(tmp_path: Path, changes: dict[str, Any]) -> None:
    loaded = RunSettings.model_validate(changed(changes))
    assert load(tmp_path, dump_settings(loaded)) == loaded


@given(st.floats(1e-300, 1e300), st.floats(0, 1), st.integers(1, 10**12), st.integers(0, 2**31 - 1))
@settings(max_examples=30)
def test_any_number_survives_the_round_trip(rate: float, lambd: float, steps: int, seed: int) -> None:
    changes = {
        f"{BEHAVIOR}.hyperparameters.learning_rate": rate,
        f"{BEHAVIOR}.hyperparameters.lambd": lambd,
        f"{BEHAVIOR}.max_steps": steps,
        "env_settings.seed": seed,
    }
    loaded = RunSettings.model_validate(changed(changes))
    document = parse_yaml(dump_settings(loaded), "resolved")
    assert RunSettings.model_validate(document.data) == loaded


FRAGMENTS = (
    *("behaviors", "a", "1", "3e-4", "null", "{", "}", "[", "]", ":", ": ", "- ", "\n", "\n  ", "\t", "&a ", "*a"),
    *("!!int ", "'", '"', "|", ">", "#", "%", "@", "<<", "0x_", "2020-13-45", "=", "\u00e4", "\x00", "\ufeff", "? "),
)
words = st.sampled_from(FRAGMENTS)


def refusal(load_it: Callable[[], object]) -> str | None:
    """The message of a UserError, None where there was none; anything else is raised on."""
    try:
        load_it()
    except UserError as error:
        return str(error)
    return None


@given(st.one_of(st.text(max_size=40), st.lists(words, max_size=12).map("".join)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_gives_anything_but_a_document_or_a_user_error(text: str) -> None:
    message = refusal(lambda: parse_yaml(text, "any.yaml"))
    assert message is None or "any.yaml" in message
    assert len((message or "").splitlines()) <= 2


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = (
        [found for key, part in value.items() for found in places(part, (*path, key))]
        if isinstance(value, dict)
        else []
    )
    return [*([path] if path else []), *inner]


@given(st.sampled_from(places(TINY)), anything)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_value_anywhere_gives_anything_but_settings_or_a_user_error(
    tmp_path: Path, place: tuple[str, ...], value: Any
) -> None:
    config = copy.deepcopy(TINY)
    parent = config
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    message = refusal(lambda: load_settings(path))
    assert message is None or "any.yaml" in message


def test_an_error_of_the_command_line_does_not_point_into_the_file(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    with pytest.raises(UserError, match=r"command line: env_settings\.num_areas: .*found 0"):
        load_settings(path, {"env_settings.num_areas": 0})
    with pytest.raises(UserError, match=r"command line: env_settings\.sed: unknown key, did you mean seed"):
        load_settings(path, {}, ["env_settings.sed=1"])
