using RobotRL.Logic;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace RobotRL
{
    /// <summary>The arm: joint velocities, and the gap of its gripper where the task lets it grasp.</summary>
    public class RobotArmAgent : RobotAgent
    {
        static readonly KeyCode[] k_Less = { KeyCode.A, KeyCode.S, KeyCode.D, KeyCode.F, KeyCode.G, KeyCode.H, KeyCode.Z };
        static readonly KeyCode[] k_More = { KeyCode.Q, KeyCode.W, KeyCode.E, KeyCode.R, KeyCode.T, KeyCode.Y, KeyCode.X };
        [SerializeField] ArmBody m_Body;
        ArmState m_State;

        public void Configure(ArmBody body) => m_Body = body;

        public ArmBody Body => m_Body;
        public ArmDescription Robot { get; private set; }
        public ArmMeasures Measures { get; private set; }

        protected override RobotDescription Load()
        {
            Robot = Descriptions.Arm();
            m_Body.Attach(Robot);
            m_State = new ArmState(Robot.Joints.Length);
            Measures = new ArmMeasures(Robot);
            return Robot;
        }

        /// <summary>Measure the arm itself.</summary>
        public void Measure()
        {
            m_Body.Read(m_State);
            Measures.MeasureArm(m_State, Components);
        }

        protected override void Act(double[] command) => m_Body.Act(command);
        public override void Scale(double mass, double gain) => m_Body.Scale(mass, gain);
        public override void ApplyForces() => m_Body.ApplyForces(Push);

        /// <summary>Q/A to Y/H move the joints, base to tool; X opens the gripper, Z closes it.</summary>
        public override void Heuristic(in ActionBuffers actionsOut)
        {
            var actions = actionsOut.ContinuousActions;
            for (var i = 0; i < actions.Length; i++)
            {
                actions[i] = Keys(k_Less[i], k_More[i]);
            }
        }
    }
}
