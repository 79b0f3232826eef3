"""arm_pick_place: pick a cube up from the table, put it down at a goal on the table, let go."""

import math
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from unity_env.sim.description import load_description, number_error, task_numbers
from unity_env.sim.model.arm import add_arm
from unity_env.sim.model.gripper import add_finger_sensors
from unity_env.sim.model.scene import add_cube, add_disc, add_table, new_scene
from unity_env.sim.plane import to_complex
from unity_env.sim.tasks.arm_parts import ArmInScene
from unity_env.sim.tasks.cube import CubeInScene, GraspNumbers
from unity_env.sim.tasks.task import Episode, Measured, Rows, Task, View

Array = np.ndarray
CUBE = "cube"
_HALF_UP = np.array([0.0, 0.0, 0.5])


class Parameters(GraspNumbers):
    """The numbers of tasks.arm_pick_place.parameters in robots/arm.yaml."""

    goal_tolerance_m: float
    goal_clearance_m: float
    out_of_reach_m: float


class ArmPickPlace(Task):
    """Grasp, lift, carry, put down, let go; success ends the episode, and so does a cube out of reach."""

    view = View(lookat=(0.22, 0.02, 0.18), distance=1.45, azimuth=132.0, elevation=-24.0)

    def __init__(self, name: str, num_rows: int, threads: int) -> None:
        super().__init__(name, num_rows, threads)
        (self.role,) = self.roles
        robot = load_description("arm")
        self.arm = ArmInScene(robot, self.batch)
        self.parameters = task_numbers(Parameters, robot, name)
        self.parameters.check_reach(robot, name)
        self._check_goals()
        self.cube = CubeInScene(CUBE, self.batch, self.arm, self.parameters)
        self._goal_pos = self.batch.bind("mocap_pos")[:, self.model.body("goal").mocapid[0]]
        self._period_s = self.role.control.period_s
        self._hold_steps = int(np.ceil(self.parameters.hold_s / self._period_s))
        self._size = np.full((num_rows, 1), self.role.task.environment_parameters["cube_size"].default)
        self.memory = {
            "lifted": np.zeros(num_rows, dtype=bool),
            "placed": np.zeros(num_rows, dtype=bool),
            "held_steps": np.zeros(num_rows, dtype=np.int64),
        }

    def build(self) -> mujoco.MjSpec:
        """Put the arm on its table, with a cube and a disc that marks the goal."""
        robot, (role,) = load_description("arm"), self.roles
        spec = new_scene(role.control)
        add_table(spec, "table")
        add_arm(spec, robot, grips=True)
        own = role.task.environment_parameters
        add_cube(spec, CUBE, own["cube_size"].default, own["cube_mass"].default)
        add_finger_sensors(spec, robot, CUBE)
        add_disc(spec, "goal", task_numbers(Parameters, robot, self.name).goal_tolerance_m)
        return spec

    def _check_goals(self) -> None:
        """Refuse a clearance that leaves no goal to some place of the cube."""
        fractions = np.linspace(0.0, 1.0, 9)
        places = [self.parameters.place_at(along, about) for along in fractions for about in fractions]
        farthest = min(max(math.dist(cube, goal) for goal in places) for cube in places)
        most = min(farthest, self.role.task.environment_parameters["goal_distance"].range[0])
        clearance = self.parameters.goal_clearance_m
        if clearance >= most:
            why = f"{clearance:g} m leaves no goal in the sector and within goal_distance; below {most:.2g} m does"
            raise number_error(self.role.robot, self.name, "goal_clearance_m", why)

    def vary(self, rows: Array, parameters: Mapping[str, Array]) -> None:
        """Give the rows' cubes their size and mass."""
        size, mass = parameters["cube_size"][rows], parameters["cube_mass"][rows]
        self._size[rows, 0] = size
        own = self.role.task.environment_parameters
        varied = (size != own["cube_size"].default).any() or (mass != own["cube_mass"].default).any()
        if not (varied or self.batch.expanded("geom_size") is not None):
            return
        half = 0.5 * size[:, None]
        self.batch.expand("geom_size")[rows, self.cube.geom_id] = half
        self.batch.expand("geom_aabb").reshape(self.num_rows, -1, 6)[rows, self.cube.geom_id, 3:] = half
        self.batch.expand("geom_rbound")[rows, self.cube.geom_id] = math.sqrt(3.0) * half[:, 0]
        self.batch.expand("body_mass")[rows, self.cube.body_id] = mass
        self.batch.expand("body_inertia")[rows, self.cube.body_id] = (mass * size**2 / 6.0)[:, None]
        self.batch.set_const(ids=rows)

    def reset(self, rows: Array, episodes: Iterable[Episode]) -> None:
        """Start near the home pose, at rest, with a cube and a goal on the table."""
        joint_starts = []
        for row, episode in zip(rows.tolist(), episodes, strict=True):
            joint_pos, cube, yaw, goal = self._start(episode)
            joint_starts.append(joint_pos)
            half_size = 0.5 * episode.parameters["cube_size"]
            self.cube.place(row, np.array([*cube, half_size]), yaw)
            self._goal_pos[row] = (*goal, 0.0)
        self.arm.start(rows, np.array(joint_starts))
        for remembered in self.memory.values():
            remembered[rows] = 0

    def _start(self, episode: Episode) -> tuple[Array, tuple[float, float], float, tuple[float, float]]:
        """Draw joint angles, the cube's place and its yaw, the goal's place."""
        rng, numbers = episode.rng, self.parameters
        joint_pos = numbers.sample_pose(rng)
        yaw = rng.uniform(-math.pi, math.pi)
        cube = numbers.sample_place(rng, episode.parameters["cube_spread"])
        while True:
            goal = numbers.sample_place(rng)
            if numbers.goal_clearance_m <= math.dist(cube, goal) <= episode.parameters["goal_distance"]:
                return joint_pos, cube, yaw, goal

    def act(self, commands: Mapping[str, Array]) -> None:
        """Command joint velocities and the gap of the fingers."""
        self.arm.act(commands[self.role.behavior])

    def measure(self, rows: Rows) -> Measured:
        """Measure the components of robots/arm.yaml that arm_pick_place uses."""
        size = self._size[rows]
        goal = self._goal_pos[rows] + size * _HALF_UP
        hand = self.arm.hand(rows)
        return {self.role.behavior: self.arm.components(rows, hand) | self.cube.measure(rows, hand, size, goal)}

    def judge(self, measured: Measured) -> Array:
        """Remember whether the cube was lifted and how long it has lain placed; tell whose episode has ended."""
        cube, numbers, memory = measured[self.role.behavior], self.parameters, self.memory
        lifted, placed, held = memory["lifted"], memory["placed"], memory["held_steps"]
        lifted |= (cube["grasped"] & (cube["cube_height"] >= numbers.lift_m))[:, 0]
        np.logical_and(lifted, cube["cube_goal_distance"][:, 0] <= numbers.goal_tolerance_m, out=placed)
        still = np.vecdot(cube["cube_vel"], cube["cube_vel"]) <= numbers.still_m_s**2
        held += 1
        held *= still & placed & cube["released"][:, 0]
        out_of_reach = np.abs(to_complex(cube["cube_pos"][:, :2])) > numbers.out_of_reach_m
        ended: Array = out_of_reach | (held >= self._hold_steps)
        return ended

    def remembered(self, rows: Rows) -> Measured:
        """Tell what has become of the cube in the episode."""
        memory = self.memory
        return {
            self.role.behavior: {
                "lifted": memory["lifted"][rows, None],
                "placed": memory["placed"][rows, None],
                "hold_time": memory["held_steps"][rows, None] * self._period_s,
            }
        }

    def success(self) -> dict[str, Array]:
        """Placed, at rest and released for `hold_s`."""
        return {self.role.behavior: self.memory["held_steps"] >= self._hold_steps}
