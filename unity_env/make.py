"""env_settings -> a vector environment."""

from unity_env.settings import EnvSettings
from unity_env.vector_env import UnityVectorEnv


def make_vector_env(settings: EnvSettings, behavior: str, *, rows: int | None = None) -> UnityVectorEnv:
    """Make the environment that `env_path` names, with one row per agent.

    Args:
        settings: env_settings of a run.
        behavior: behavior name.
        rows: number of rows, where the environment lets one choose; None takes num_envs * num_areas.

    Raises:
        ValueError: an unknown task or behavior, or an env_path that this version cannot open.
    """
    if settings.sim_task is None:
        raise ValueError(f"env_path {settings.env_path}: expected sim:<task>; Unity players are not supported yet")
    from unity_env.sim.env import SimEnv  # noqa: PLC0415  # MuJoCo is loaded only where it simulates

    count = settings.num_envs * settings.num_areas if rows is None else rows
    env = SimEnv(settings.sim_task, count, max(settings.seed, 0), settings.sim_threads)
    return UnityVectorEnv(env, behavior, env.layouts.get(behavior))
