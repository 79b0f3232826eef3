"""The terms a reward may be made of, by name."""

from math import inf

from reward_shaping.term import Term
from reward_shaping.terms import arm, common, mobile

TERMS: dict[str, Term] = {
    "env_reward": Term(common.env_reward, kind="per_step", range=(-inf, inf), unit="1"),
    "time": Term(common.time, kind="per_step", range=(1, 1), unit="1"),
    "success": Term(common.success, kind="event", range=(0, 1), unit="1"),
    "reach": Term(common.reach, kind="per_step", range=(0, 1), unit="1"),
    "progress": Term(common.progress, kind="per_step", range=(-inf, inf), unit="m"),
    "change": Term(common.change, kind="potential", range=(-1, 1), unit="1"),
    "action_rate": Term(common.action_rate, kind="per_step", range=(0, inf), unit="1"),
    "joint_vel": Term(common.joint_vel, kind="per_step", range=(0, inf), unit="rad^2/s^2"),
    "grasp_reach": Term(arm.grasp_reach, kind="potential", range=(-1, 1), unit="1"),
    "grasp": Term(arm.grasp, kind="potential", range=(-1, 1), unit="1"),
    "lift": Term(arm.lift, kind="potential", range=(-1, 1), unit="1"),
    "transport": Term(arm.transport, kind="potential", range=(-1, 1), unit="1"),
    "place_release": Term(arm.place_release, kind="potential", range=(-1, 1), unit="1"),
    "tool_tilt": Term(arm.tool_tilt, kind="per_step", range=(0, 1), unit="1"),
    "collision": Term(mobile.collision, kind="event", range=(0, 1), unit="1"),
    "clearance": Term(mobile.clearance, kind="per_step", range=(-1, 0), unit="1"),
    "approach_speed": Term(mobile.approach_speed, kind="per_step", range=(-inf, inf), unit="1"),
    "spin": Term(mobile.spin, kind="per_step", range=(0, inf), unit="rad/s"),
    "keep_distance": Term(mobile.keep_distance, kind="per_step", range=(0, 1), unit="1"),
    "facing": Term(mobile.facing, kind="per_step", range=(0, 1), unit="1"),
    "in_place": Term(mobile.in_place, kind="per_step", range=(0, 1), unit="1"),
}
