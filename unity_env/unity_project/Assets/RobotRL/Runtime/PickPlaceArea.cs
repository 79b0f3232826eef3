using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>arm_pick_place: a cube and a goal on the table.</summary>
    public class PickPlaceArea : TrainingArea
    {
        [SerializeField] RobotArmAgent m_Arm;
        [SerializeField] Cube m_Cube;
        [SerializeField] Transform m_Marker;
        PickPlaceRules m_Rules;
        Vec2 m_Goal;

        public void Configure(RobotArmAgent arm, Cube cube, Transform marker)
        {
            m_Arm = arm;
            m_Cube = cube;
            m_Marker = marker;
        }

        protected override TaskRules Rules => m_Rules;
        protected override void Prepare() => m_Rules = new PickPlaceRules(m_Arm.Role);
        protected override bool Judge() => m_Rules.Judge(m_Arm.Components);
        protected override void Remember() => m_Rules.Remember(m_Arm.Components);
        protected override bool Success(RobotAgent agent) => m_Rules.Success;

        protected override void Place()
        {
            var (numbers, arm) = (m_Arm.Role.Task.Parameters, m_Arm.Body.transform);
            m_Arm.Body.Place(ArmStarts.Pose(numbers["home_rad"].Numbers, numbers["start_noise_rad"].Number, Random));
            var place = ArmStarts.Place(numbers, Parameters["cube_spread"], Random);
            var yaw = Random.Uniform(-System.Math.PI, System.Math.PI);
            m_Cube.Place(arm, place, yaw, Parameters["cube_size"], Parameters["cube_mass"]);
            var clearance = new Interval(numbers["goal_clearance_m"].Number, Parameters["goal_distance"]);
            double distance;
            do
            {
                m_Goal = ArmStarts.Place(numbers, 1, Random);
                distance = (m_Goal - place).Length;
            }
            while (clearance.Clip(distance) != distance);
            m_Marker.position = arm.TransformPoint(m_Goal.ToUnity());
        }

        protected override void Measure()
        {
            m_Arm.Measure();
            var goal = new Vec3(m_Goal.X, m_Goal.Y, 0.5 * Parameters["cube_size"]);
            m_Arm.Measures.MeasureCube(m_Cube.StateIn(m_Arm.Body.transform), goal, m_Arm.Role.Task.Parameters, m_Arm.Components);
        }
    }
}
