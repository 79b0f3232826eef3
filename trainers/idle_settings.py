"""Settings that are read and change nothing, which is said rather than left to be found out."""

from trainers.settings import BehaviorSettings


def without_effect(behavior: BehaviorSettings) -> list[str]:
    """Return a line for everything that ML-Agents knows, was given, and changes nothing."""
    lines = [
        f"hyperparameters.{key} has no effect: no reward signal is learned"
        for key in ("reward_signal_steps_per_update", "reward_signal_num_update")
        if getattr(behavior.hyperparameters, key, None) is not None and not behavior.reward_signals.intrinsic
    ]
    if behavior.threaded:
        lines.append("threaded: true has no effect: simulation and updates take turns, so that a run can be repeated")
    if behavior.network_settings.deterministic:
        lines.append(
            "deterministic has no effect on a training, which explores; evaluation does not, nor need inference"
        )
    if behavior.network_settings.dueling and behavior.trainer_type != "dqn":
        lines.append(f"network_settings.dueling: true has no effect: {behavior.trainer_type} learns no action values")
    if behavior.reward_signals.extrinsic.strength == 0.0:
        lines.append("reward_signals.extrinsic has strength 0: the task's own reward has no effect")
    return lines
