using System;

namespace RobotRL.Logic
{
    /// <summary>What an arm's body tells of itself: joints base to tool, fingers left and right; rad, m, N.</summary>
    public sealed class ArmState
    {
        public readonly double[] JointPos, JointVel, JointTorque, FingerPos = new double[2];

        /// <summary>Force of each finger on what it touches, in the base's frame, N; zero where it touches nothing.</summary>
        public readonly Vec3[] FingerForce = new Vec3[2];

        public ArmState(int joints)
        {
            JointPos = new double[joints];
            JointVel = new double[joints];
            JointTorque = new double[joints];
        }
    }

    /// <summary>A cube in the frame of the arm's base.</summary>
    public struct CubeState
    {
        public Vec3 Position, Velocity;
        public Rotation Rotation;
        public double Size;
    }

    /// <summary>Measures an arm, its hand, and a cube beside both.</summary>
    public sealed class ArmMeasures
    {
        readonly ArmDescription m_Robot;
        readonly Interval m_ForceRange;
        readonly double[] m_Pressing = new double[2];
        bool m_Touches;
        Vec3 m_Tip;
        Rotation m_Tool;

        public ArmMeasures(ArmDescription robot)
        {
            m_Robot = robot;
            m_ForceRange = robot.Components["finger_force"].Limit;
        }

        /// <summary>Measure the arm itself.</summary>
        public void MeasureArm(ArmState state, Components c)
        {
            m_Tool = m_Robot.Forward(state.JointPos, out m_Tip);
            var axis = m_Tool * m_Robot.Gripper.Axis;
            m_Touches = false;
            for (var i = 0; i < 2; i++)
            {
                var inwards = i == 0 ? -1 : 1;
                m_Pressing[i] = m_ForceRange.Clip(inwards * Vec3.Dot(state.FingerForce[i], axis));
                m_Touches |= state.FingerForce[i].Length > 0;
            }
            c.Set("joint_pos", state.JointPos);
            c.Set("joint_vel", state.JointVel);
            c.Set("joint_torque", state.JointTorque);
            c.Set("tool_pos", m_Tip);
            c.Set("tool_axis", m_Tool.AxisZ);
            c.Set("tool_down", -m_Tool.AxisZ.Z);
            c.Set("finger_opening", state.FingerPos[0] + state.FingerPos[1]);
            c.Set("finger_force", m_Pressing);
        }

        /// <summary>Measure a cube, after the arm.</summary>
        /// <param name="cube">in the frame of the base.</param>
        /// <param name="goal">where its centre should be, likewise.</param>
        /// <param name="numbers">the task's parameters: from which force and distance on it counts as grasped and released.</param>
        /// <param name="c">where to write.</param>
        public void MeasureCube(CubeState cube, Vec3 goal, Json numbers, Components c)
        {
            var (toolCube, goalCube) = (cube.Position - m_Tip, goal - cube.Position);
            c.Set("cube_pos", cube.Position);
            c.Set("cube_vel", cube.Velocity);
            c.Set("cube_height", cube.Position.Z - 0.5 * cube.Size);
            c.Set("cube_size", cube.Size);
            c.Set("cube_tool", m_Tool.Inverse * toolCube);
            c.Set("cube_turn", TurnBetween(m_Tool * m_Robot.Gripper.Axis, cube.Rotation));
            c.Set("goal_cube", goalCube);
            c.Set("tool_cube_distance", toolCube.Length);
            c.Set("cube_goal_distance", goalCube.Length);
            c.Set("grasped", Math.Min(m_Pressing[0], m_Pressing[1]) >= numbers["grip_n"].Number);
            c.Set("released", !m_Touches && toolCube.Length >= numbers["release_m"].Number);
        }

        /// <summary>Sine and cosine of 4 times the angle about the vertical from an axis to a side of a cube.</summary>
        public static Vec2 TurnBetween(Vec3 axis, Rotation cube)
        {
            var axes = new[] { cube.AxisX, cube.AxisY, cube.AxisZ };
            var upright = 0;
            for (var i = 1; i < 3; i++)
            {
                upright = Math.Abs(axes[i].Z) > Math.Abs(axes[upright].Z) ? i : upright;
            }
            var turn = axes[(upright + 1) % 3].OnFloor * axis.OnFloor.Conjugate;
            turn = 1 / Math.Max(turn.Length, 1e-9) * turn;
            var fourTimes = turn * turn * (turn * turn);
            return new Vec2(fourTimes.Y, fourTimes.X);
        }
    }

    /// <summary>What a base's body tells of itself, in the room's frame; m, m/s, rad/s, N m.</summary>
    public sealed class MobileState
    {
        public Vec2 Position, Heading = new Vec2(1, 0), Velocity;
        public double YawVelocity;
        public bool Collided;
        public readonly double[] WheelVelocity = new double[2], WheelTorque = new double[2];

        /// <summary>How far the lidar's rays got, m; infinite where they hit nothing.</summary>
        public readonly double[] Ranges;

        public MobileState(int rays) { Ranges = new double[rays]; }
    }

    /// <summary>Measures a base and what is around it.</summary>
    public static class MobileMeasures
    {
        /// <summary>Speed over the ground, m/s.</summary>
        public static double Speed(Components c) =>
            new Vec2(c.Scalar("forward_velocity"), c.Scalar("sideways_velocity")).Length;

        /// <summary>Measure the base itself and its lidar.</summary>
        /// <param name="robot">the base.</param>
        /// <param name="state">its state.</param>
        /// <param name="free">distance of its axis from what is nearest, m.</param>
        /// <param name="c">where to write.</param>
        public static void MeasureBase(MobileDescription robot, MobileState state, double free, Components c)
        {
            var velocity = state.Velocity * state.Heading.Conjugate;
            c.Set("position", state.Position);
            c.Set("heading", state.Heading);
            c.Set("forward_velocity", velocity.X);
            c.Set("sideways_velocity", velocity.Y);
            c.Set("yaw_velocity", state.YawVelocity);
            c.Set("wheel_velocity", state.WheelVelocity);
            c.Set("wheel_torque", state.WheelTorque);
            c.Set("clearance", free - robot.Radius);
            PackLidar(robot, state.Ranges, c["lidar"], c["nearness"]);
        }

        /// <summary>Ranges of rays -> distances up to the lidar's range, and the chassis' radius over them.</summary>
        public static void PackLidar(MobileDescription robot, double[] ranges, double[] lidar, double[] nearness)
        {
            for (var ray = 0; ray < robot.Rays; ray++)
            {
                lidar[ray] = Math.Min(ranges[ray], robot.LidarRange);
                nearness[ray] = robot.Radius / lidar[ray];
            }
        }

        /// <summary>Measure distance, direction and bearing of a place: of `goal`, say, as goal_distance and so on.</summary>
        public static void MeasurePlace(string name, Vec2 place, MobileState state, Components c)
        {
            var (distance, direction) = Polar(place - state.Position, state.Heading);
            c.Set(name + "_distance", distance);
            c.Set(name + "_direction", direction);
            c.Set(name + "_bearing", direction.Angle);
        }

        /// <summary>Distance and direction of a point as seen by somebody who looks along `heading`.</summary>
        public static (double distance, Vec2 direction) Polar(Vec2 offset, Vec2 heading)
        {
            var distance = offset.Length;
            return (distance, 1 / Math.Max(distance, 1e-9) * (offset * heading.Conjugate));
        }
    }
}
