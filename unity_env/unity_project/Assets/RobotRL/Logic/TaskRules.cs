using System;

namespace RobotRL.Logic
{
    /// <summary>The clock of an episode, and how long something has held.</summary>
    public abstract class TaskRules
    {
        protected readonly double PeriodS;
        readonly int m_EpisodeSteps;

        protected TaskRules(double periodS, double episodeS)
        {
            PeriodS = periodS;
            m_EpisodeSteps = (int)Math.Round(episodeS / periodS);
        }

        /// <summary>Control periods since the episode began.</summary>
        public int Steps { get; private set; }

        public bool IsOver => Steps >= m_EpisodeSteps;

        /// <summary>Share of the episode's time limit that a number of steps makes.</summary>
        protected double ShareOfEpisode(int steps) => (double)steps / m_EpisodeSteps;

        /// <summary>A new episode begins.</summary>
        public virtual void Begin() => Steps = 0;

        protected void CountStep() => Steps++;

        protected int StepsIn(double seconds) => (int)Math.Ceiling(seconds / PeriodS);
    }

    /// <summary>arm_reach: bring the tool tip to the goal and hold it there; success ends the episode.</summary>
    public sealed class ArmReachRules : TaskRules
    {
        readonly double m_Tolerance;
        readonly int m_HoldSteps;
        int m_Held;

        public ArmReachRules(Role role) : base(role.Robot.PeriodS, role.Task.EpisodeS)
        {
            m_Tolerance = role.Task.Parameters["goal_tolerance_m"].Number;
            m_HoldSteps = StepsIn(role.Task.Parameters["hold_s"].Number);
        }

        public bool Success => m_Held >= m_HoldSteps;

        public override void Begin()
        {
            base.Begin();
            m_Held = 0;
        }

        /// <summary>Measure the goal's components; those of the arm itself are there already.</summary>
        public static void Measure(Components c, Vec3 goal)
        {
            var error = goal - c.Vector("tool_pos");
            c.Set("goal_pos", goal);
            c.Set("goal_error", error);
            c.Set("goal_distance", error.Length);
        }

        /// <summary>Judge the new state; return whether the episode has ended for good.</summary>
        public bool Judge(Components c)
        {
            CountStep();
            m_Held = c.Scalar("goal_distance") <= m_Tolerance ? m_Held + 1 : 0;
            return Success;
        }

        public void Remember(Components c) => c.Set("hold_time", m_Held * PeriodS);
    }

    /// <summary>arm_pick_place: grasp, lift, carry, put down, let go; a cube out of reach ends the episode, too.</summary>
    public sealed class PickPlaceRules : TaskRules
    {
        readonly double m_Tolerance, m_Lift, m_Still, m_OutOfReach;
        readonly int m_HoldSteps;
        bool m_Lifted, m_Placed;
        int m_Held;

        public PickPlaceRules(Role role) : base(role.Robot.PeriodS, role.Task.EpisodeS)
        {
            var numbers = role.Task.Parameters;
            m_Tolerance = numbers["goal_tolerance_m"].Number;
            m_Lift = numbers["lift_m"].Number;
            m_Still = numbers["still_m_s"].Number;
            m_OutOfReach = numbers["out_of_reach_m"].Number;
            m_HoldSteps = StepsIn(numbers["hold_s"].Number);
        }

        public bool Success => m_Held >= m_HoldSteps;

        public override void Begin()
        {
            base.Begin();
            (m_Lifted, m_Placed, m_Held) = (false, false, 0);
        }

        /// <summary>Judge the new state; return whether the episode has ended for good.</summary>
        public bool Judge(Components c)
        {
            CountStep();
            m_Lifted |= c.Is("grasped") && c.Scalar("cube_height") >= m_Lift;
            m_Placed = m_Lifted && c.Scalar("cube_goal_distance") <= m_Tolerance;
            var still = c.Vector("cube_vel").Length <= m_Still;
            m_Held = still && m_Placed && c.Is("released") ? m_Held + 1 : 0;
            return c.OnFloor("cube_pos").Length > m_OutOfReach || Success;
        }

        public void Remember(Components c)
        {
            c.Set("lifted", m_Lifted);
            c.Set("placed", m_Placed);
            c.Set("hold_time", m_Held * PeriodS);
        }
    }

    /// <summary>mobile_goal: reach the goal and stop; success ends the episode, and so does a collision.</summary>
    public sealed class MobileGoalRules : TaskRules
    {
        readonly double m_Tolerance, m_StopVelocity;
        bool m_Collided;

        public MobileGoalRules(Role role) : base(role.Robot.PeriodS, role.Task.EpisodeS)
        {
            m_Tolerance = role.Task.Parameters["goal_tolerance_m"].Number;
            m_StopVelocity = role.Task.Parameters["stop_velocity_m_s"].Number;
        }

        public bool Success { get; private set; }

        public override void Begin()
        {
            base.Begin();
            (Success, m_Collided) = (false, false);
        }

        /// <summary>Judge the new state; return whether the episode has ended for good.</summary>
        public bool Judge(Components c, bool collided)
        {
            CountStep();
            m_Collided = collided;
            Success = !collided && c.Scalar("goal_distance") <= m_Tolerance && MobileMeasures.Speed(c) < m_StopVelocity;
            return Success || collided;
        }

        public void Remember(Components c) => c.Set("collision", m_Collided);
    }

    /// <summary>mobile_follow: keep near a person, facing them, to the end; only a collision ends it before its time.</summary>
    public sealed class MobileFollowRules : TaskRules
    {
        readonly Interval m_Distance;
        readonly double m_LeastCosine, m_Share;
        int m_StepsInPlace;
        bool m_InPlace, m_Collided;

        public MobileFollowRules(Role role) : base(role.Robot.PeriodS, role.Task.EpisodeS)
        {
            m_Distance = role.Task.Parameters["distance_m"].Interval;
            m_LeastCosine = Math.Cos(role.Task.Parameters["bearing_rad"].Number);
            m_Share = role.Task.Parameters["share"].Number;
        }

        public bool Success => IsOver && !m_Collided && ShareOfEpisode(m_StepsInPlace) >= m_Share;

        public override void Begin()
        {
            base.Begin();
            (m_StepsInPlace, m_InPlace, m_Collided) = (0, false, false);
        }

        /// <summary>Judge the new state; return whether the episode has ended for good.</summary>
        public bool Judge(Components c, bool collided)
        {
            CountStep();
            var distance = c.Scalar("person_distance");
            m_InPlace = c["person_direction"][0] > m_LeastCosine && distance >= m_Distance.Low && distance <= m_Distance.High;
            m_StepsInPlace += m_InPlace ? 1 : 0;
            m_Collided = collided;
            return collided;
        }

        public void Remember(Components c)
        {
            c.Set("in_place", m_InPlace);
            c.Set("in_place_share", (double)m_StepsInPlace / Math.Max(Steps, 1));
            c.Set("collision", m_Collided);
        }
    }

    /// <summary>
    /// playroom: the toy lies on the tray, let go, while the base stands at its dock. That ends the episode, and so
    /// does a toy that has fallen from the table; at the time limit each robot is judged by its own part.
    /// </summary>
    public sealed class PlayroomRules : TaskRules
    {
        readonly double m_Lift, m_ToyStill, m_ToyHalf, m_TrayRoom, m_Dock, m_StopVelocity;
        readonly int m_HoldSteps;
        bool m_Lifted, m_Placed, m_Docked, m_Collided;
        int m_Held;

        public PlayroomRules(Role arm, Role mobile) : base(arm.Robot.PeriodS, arm.Task.EpisodeS)
        {
            var (toy, dock, robot) = (arm.Task.Parameters, mobile.Task.Parameters, (MobileDescription)mobile.Robot);
            m_Lift = toy["lift_m"].Number;
            m_ToyStill = toy["still_m_s"].Number;
            m_ToyHalf = 0.5 * toy["toy_size_m"].Number;
            m_TrayRoom = robot.TrayHalfWidth - robot.TrayThickness - m_ToyHalf;
            m_Dock = dock["goal_tolerance_m"].Number;
            m_StopVelocity = dock["stop_velocity_m_s"].Number;
            m_HoldSteps = StepsIn(toy["hold_s"].Number);
        }

        bool Together => m_Held >= m_HoldSteps;
        public bool ArmSuccess => Together || (IsOver && m_Placed);
        public bool MobileSuccess => Together || (IsOver && m_Docked);

        public override void Begin()
        {
            base.Begin();
            (m_Lifted, m_Placed, m_Docked, m_Collided, m_Held) = (false, false, false, false, 0);
        }

        /// <summary>Judge the new state of both robots; return whether the episode has ended for good.</summary>
        public bool Judge(Components arm, Components mobile, bool collided)
        {
            CountStep();
            var height = arm.Scalar("cube_height");
            m_Lifted |= arm.Is("grasped") && height >= m_Lift;
            m_Placed = m_Lifted && OnTray(arm.Vector("goal_cube"), mobile.OnFloor("heading"));
            m_Collided = collided;
            var still = MobileMeasures.Speed(mobile) <= m_StopVelocity;
            m_Docked = still && !collided && mobile.Scalar("goal_distance") <= m_Dock;
            var delivered = m_Placed && arm.Is("released") && arm.Vector("cube_vel").Length <= m_ToyStill;
            m_Held = m_Docked && delivered ? m_Held + 1 : 0;
            return height < -0.1 || Together;
        }

        bool OnTray(Vec3 toTray, Vec2 heading)
        {
            var offset = toTray.OnFloor * heading.Conjugate;
            var inside = Math.Max(Math.Abs(offset.X), Math.Abs(offset.Y)) <= m_TrayRoom;
            return inside && Math.Abs(toTray.Z) <= m_ToyHalf;
        }

        public void Remember(Components arm, Components mobile)
        {
            arm.Set("lifted", m_Lifted);
            mobile.Set("collision", m_Collided);
            foreach (var robot in new[] { arm, mobile })
            {
                robot.Set("docked", m_Docked);
                robot.Set("placed", m_Placed);
                robot.Set("joint_success", Together);
            }
        }
    }
}
