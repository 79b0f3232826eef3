"""The terms a reward may be made of, by name."""

from math import inf, pi

from reward_shaping.kernels import check_tolerance
from reward_shaping.term import Term
from reward_shaping.terms import arm, common, effort, mobile

TERMS: dict[str, Term] = {
    # any robot
    "env_reward": Term(common.env_reward, "per_step", (-inf, inf)),
    "time": Term(common.time, "per_step", (1, 1), sign=-1, scales_with_period=True),
    "success": Term(common.success, "event", (0, 1)),
    "failure": Term(common.failure, "event", (0, 1), sign=-1),
    "flag": Term(common.flag, "per_step", (0, 1), scales_with_period=True),
    "tolerance": Term(common.tolerance, "per_step", (0, 1), scales_with_period=True, check=check_tolerance),
    "reach": Term(common.reach, "per_step", (0, 1), scales_with_period=True),
    "coarse_fine": Term(common.coarse_fine, "per_step", (0, 1), scales_with_period=True),
    "goal_progress": Term(common.goal_progress, "potential", (-inf, 1), scales_with_period=True),
    "progress": Term(common.progress, "potential", (-inf, inf), "m"),
    "sparse_goal": Term(common.sparse_goal, "per_step", (-1, 0), scales_with_period=True),
    # how it moves
    "action_rate": Term(effort.action_rate, "per_step", (0, inf), sign=-1),
    "saturation": Term(effort.saturation, "per_step", (0, 1), sign=-1, scales_with_period=True),
    "joint_vel": Term(effort.joint_vel, "per_step", (0, inf), "rad^2/s^2", sign=-1, scales_with_period=True),
    "torque": Term(effort.torque, "per_step", (0, inf), "N^2 m^2", sign=-1, scales_with_period=True),
    "limits": Term(
        effort.limits, "per_step", (0, inf), "rad", sign=-1, scales_with_period=True, check=effort.check_limits
    ),
    "contact_force": Term(effort.contact_force, "cost", (0, inf), "N", sign=-1, scales_with_period=True),
    # the arm
    "orient": Term(arm.orient, "per_step", (0, pi), "rad", sign=-1, scales_with_period=True),
    "tool_tilt": Term(arm.tool_tilt, "per_step", (0, 1), sign=-1, scales_with_period=True),
    "grasp_reach": Term(arm.grasp_reach, "potential", (0, 1), scales_with_period=True),
    "grasp": Term(arm.grasp, "potential", (0, 1), scales_with_period=True),
    "pinch": Term(arm.pinch, "potential", (0, 1), scales_with_period=True),
    "lift": Term(arm.lift, "potential", (0, 1), scales_with_period=True),
    "lift_by_size": Term(arm.lift_by_size, "potential", (0, 1), scales_with_period=True),
    "transport": Term(arm.transport, "potential", (0, 1), scales_with_period=True),
    "place": Term(arm.place, "potential", (0, 1), scales_with_period=True),
    "place_release": Term(arm.place_release, "potential", (0, 1), scales_with_period=True),
    # the mobile robot
    "collision": Term(mobile.collision, "event", (0, 1), sign=-1),
    "arrived": Term(mobile.arrived, "event", (0, 1)),
    "clearance": Term(mobile.clearance, "per_step", (-1, 0), scales_with_period=True),
    "lidar_clearance": Term(mobile.lidar_clearance, "per_step", (-1, 0), scales_with_period=True),
    "ttc": Term(mobile.ttc, "per_step", (-1, 0), scales_with_period=True),
    "approach_speed": Term(mobile.approach_speed, "per_step", (-inf, inf), scales_with_period=True),
    "heading": Term(mobile.heading, "per_step", (0, pi), "rad", sign=-1, scales_with_period=True),
    "spin": Term(mobile.spin, "per_step", (0, inf), "rad/s", sign=-1, scales_with_period=True),
    "keep_distance": Term(mobile.keep_distance, "per_step", (0, 1), scales_with_period=True),
    "facing": Term(mobile.facing, "per_step", (0, 1), scales_with_period=True),
}
