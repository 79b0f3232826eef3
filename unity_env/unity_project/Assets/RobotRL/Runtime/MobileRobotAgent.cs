using RobotRL.Logic;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace RobotRL
{
    /// <summary>The mobile robot: forward and yaw velocity, or one of the described choices of both.</summary>
    public class MobileRobotAgent : RobotAgent
    {
        [SerializeField] MobileBody m_Body;

        public void Configure(MobileBody body) => m_Body = body;

        public MobileBody Body => m_Body;
        public MobileDescription Robot { get; private set; }
        public MobileState State { get; private set; }

        protected override RobotDescription Load()
        {
            Robot = Descriptions.Mobile();
            m_Body.Attach(Robot);
            State = new MobileState(Robot.Rays);
            return Robot;
        }

        /// <summary>Measure the base and what is around it.</summary>
        /// <param name="room">in whose frame.</param>
        /// <param name="walls">of the room.</param>
        /// <param name="things">round ones that stand in it.</param>
        public void Measure(Transform room, Room walls, Circle[] things)
        {
            m_Body.Read(room, State);
            MobileMeasures.MeasureBase(Robot, State, walls.Clearance(State.Position, things), Components);
        }

        protected override void Act(double[] command) => m_Body.Act(command);
        public override void Scale(double mass, double gain) => m_Body.Scale(mass, gain);
        public override void ApplyForces() => m_Body.ApplyForces(Push);

        /// <summary>The arrow keys drive; where the policy chooses, the choice that is nearest to them is taken.</summary>
        public override void Heuristic(in ActionBuffers actionsOut)
        {
            var wanted = new Vec2(Keys(KeyCode.DownArrow, KeyCode.UpArrow), Keys(KeyCode.RightArrow, KeyCode.LeftArrow));
            if (Role.Choices.Length > 0)
            {
                var discrete = actionsOut.DiscreteActions;
                discrete[0] = Nearest(Role.Choices[0], wanted);
                return;
            }
            var continuous = actionsOut.ContinuousActions;
            continuous[0] = (float)wanted.X;
            continuous[1] = (float)wanted.Y;
        }

        static int Nearest(double[][] choices, Vec2 wanted)
        {
            var (best, least) = (0, double.PositiveInfinity);
            for (var i = 0; i < choices.Length; i++)
            {
                var distance = (new Vec2(choices[i][0], choices[i][1]) - wanted).Length;
                (best, least) = distance < least ? (i, distance) : (best, least);
            }
            return best;
        }
    }
}
