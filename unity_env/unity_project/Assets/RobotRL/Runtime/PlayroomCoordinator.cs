using System;
using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>playroom: both robots in one room, a toy on the arm's table, a dock beside it.</summary>
    public class PlayroomCoordinator : TrainingArea
    {
        [SerializeField] RobotArmAgent m_Arm;
        [SerializeField] MobileRobotAgent m_Robot;
        [SerializeField] Cube m_Toy;
        readonly Circle[] m_Pedestal = new Circle[1];
        PlayroomRules m_Rules;
        Room m_Room;
        Vec2 m_Dock;

        public void Configure(RobotArmAgent arm, MobileRobotAgent robot, Cube toy)
        {
            m_Arm = arm;
            m_Robot = robot;
            m_Toy = toy;
        }

        protected override TaskRules Rules => m_Rules;
        protected override bool Success(RobotAgent agent) => agent == m_Arm ? m_Rules.ArmSuccess : m_Rules.MobileSuccess;
        protected override bool Judge() => m_Rules.Judge(m_Arm.Components, m_Robot.Components, m_Robot.State.Collided);
        protected override void Remember() => m_Rules.Remember(m_Arm.Components, m_Robot.Components);

        protected override void Prepare()
        {
            var (table, room) = (m_Arm.Role.Task.Parameters, m_Robot.Role.Task.Parameters);
            m_Rules = new PlayroomRules(m_Arm.Role, m_Robot.Role);
            m_Room = new Room(room["room_half_width_m"].Number, room["start_clearance_m"].Number);
            m_Dock = At(room["dock_m"]);
            m_Pedestal[0] = new Circle(At(table["table_centre_m"]), table["pedestal_radius_m"].Number);
        }

        static Vec2 At(Json place) => new Vec2(place.Numbers[0], place.Numbers[1]);

        protected override void Place()
        {
            var numbers = m_Arm.Role.Task.Parameters;
            m_Arm.Body.Place(ArmStarts.Pose(numbers["home_rad"].Numbers, numbers["start_noise_rad"].Number, Random));
            var place = ArmStarts.Place(numbers, 1, Random);
            var yaw = Random.Uniform(-Math.PI, Math.PI);
            m_Toy.Place(m_Arm.Body.transform, place, yaw, numbers["toy_size_m"].Number, numbers["toy_mass_kg"].Number);
            m_Robot.Body.Place(transform, DrawStart(), Vec2.At(Random.Uniform(-Math.PI, Math.PI)));
        }

        /// <summary>Where the base starts: away from walls, table and dock.</summary>
        Vec2 DrawStart()
        {
            var (table, room) = (m_Arm.Role.Task.Parameters, m_Robot.Role.Task.Parameters);
            var clearance = m_Robot.Robot.Radius + room["start_clearance_m"].Number;
            var top = new[] { new Circle(At(table["table_centre_m"]), Math.Sqrt(2) * table["table_half_width_m"].Number) };
            var reach = m_Room.HalfWidth - clearance;
            Vec2 start;
            do
            {
                start = new Vec2(Random.Uniform(-reach, reach), Random.Uniform(-reach, reach));
            }
            while ((start - m_Dock).Length < room["shortest_way_m"].Number || !m_Room.IsFree(start, top, clearance));
            return start;
        }

        protected override void Measure()
        {
            m_Arm.Measure();
            m_Robot.Measure(transform, m_Room, m_Pedestal);
            var (standing, toy) = (m_Robot.State.Position, m_Toy.StateIn(m_Arm.Body.transform));
            var tray = new Vec3(standing.X, standing.Y, 0.5 * toy.Size); // the table is as high as the tray
            m_Arm.Measures.MeasureCube(toy, tray, m_Arm.Role.Task.Parameters, m_Arm.Components);
            MobileMeasures.MeasurePlace("goal", m_Dock, m_Robot.State, m_Robot.Components);
        }
    }
}
