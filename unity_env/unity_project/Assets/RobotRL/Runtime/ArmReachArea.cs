using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>arm_reach: a goal in the air.</summary>
    public class ArmReachArea : TrainingArea
    {
        [SerializeField] RobotArmAgent m_Arm;
        [SerializeField] Transform m_Marker;
        ArmReachRules m_Rules;
        Vec3 m_Goal;

        public void Configure(RobotArmAgent arm, Transform marker)
        {
            m_Arm = arm;
            m_Marker = marker;
        }

        protected override TaskRules Rules => m_Rules;
        protected override void Prepare() => m_Rules = new ArmReachRules(m_Arm.Role);
        protected override bool Judge() => m_Rules.Judge(m_Arm.Components);
        protected override void Remember() => m_Rules.Remember(m_Arm.Components);
        protected override bool Success(RobotAgent agent) => m_Rules.Success;

        protected override void Place()
        {
            var (robot, numbers) = (m_Arm.Robot, m_Arm.Role.Task.Parameters);
            m_Arm.Body.Place(ArmStarts.Pose(robot.Home, numbers["start_noise_rad"].Number, Random));
            robot.Forward(robot.Home, out var home);
            do
            {
                m_Goal = ArmStarts.Goal(robot, numbers, Random);
            }
            while ((m_Goal - home).Length > Parameters["goal_distance"]);
            m_Marker.position = m_Arm.Body.transform.TransformPoint(m_Goal.ToUnity());
        }

        protected override void Measure()
        {
            m_Arm.Measure();
            ArmReachRules.Measure(m_Arm.Components, m_Goal);
        }
    }
}
