using System;
using System.Linq;
using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>mobile_goal, with velocities or with choices: a goal on the floor, and obstacles before it.</summary>
    public class MobileGoalArea : TrainingArea
    {
        const float k_Parked = -100f; // m, where obstacles wait that an episode does not use
        [SerializeField] MobileRobotAgent m_Robot;
        [SerializeField] Transform m_Marker;
        [SerializeField] Transform[] m_Obstacles = new Transform[0];
        MobileGoalRules m_Rules;
        Room m_Room;
        Circle[] m_Things = new Circle[0];
        Vec2 m_Goal;

        public void Configure(MobileRobotAgent robot, Transform marker, Transform[] obstacles)
        {
            m_Robot = robot;
            m_Marker = marker;
            m_Obstacles = obstacles;
        }

        protected override TaskRules Rules => m_Rules;
        protected override bool Judge() => m_Rules.Judge(m_Robot.Components, m_Robot.State.Collided);
        protected override void Remember() => m_Rules.Remember(m_Robot.Components);
        protected override bool Success(RobotAgent agent) => m_Rules.Success;

        protected override void Prepare()
        {
            var numbers = m_Robot.Role.Task.Parameters;
            m_Rules = new MobileGoalRules(m_Robot.Role);
            m_Room = new Room(numbers["room_half_width_m"].Number, numbers["passage_m"].Number);
        }

        protected override void Place()
        {
            var numbers = m_Robot.Role.Task.Parameters;
            m_Things = DrawObstacles(numbers["smallest_obstacle_m"].Number);
            for (var i = 0; i < m_Obstacles.Length; i++)
            {
                PlaceObstacle(m_Obstacles[i], i);
            }
            var clearance = m_Robot.Robot.Radius + numbers["start_clearance_m"].Number;
            var way = new Interval(numbers["shortest_way_m"].Number, Parameters["goal_distance"]);
            Vec2 start;
            (start, m_Goal) = m_Room.StartAndGoal(m_Things.ToList(), clearance, way, Random);
            m_Robot.Body.Place(transform, start, Vec2.At(Random.Uniform(-Math.PI, Math.PI)));
            m_Marker.position = transform.TransformPoint(m_Goal.ToUnity());
        }

        Circle[] DrawObstacles(double smallest)
        {
            var count = Math.Min(Random.Whole((int)Math.Round(Parameters["obstacle_count"])), m_Obstacles.Length);
            var radii = Enumerable.Range(0, count).Select(_ => Random.Uniform(smallest, Parameters["obstacle_size"]));
            return m_Room.Scatter(radii.ToArray(), Random).ToArray();
        }

        void PlaceObstacle(Transform obstacle, int index)
        {
            var used = index < m_Things.Length;
            obstacle.localPosition = used ? m_Things[index].Centre.ToUnity() : new Vector3(2f * index, k_Parked, 0f);
            var width = used ? 2f * (float)m_Things[index].Radius : 1f;
            obstacle.localScale = new Vector3(width, 1f, width);
        }

        protected override void Measure()
        {
            m_Robot.Measure(transform, m_Room, m_Things);
            MobileMeasures.MeasurePlace("goal", m_Goal, m_Robot.State, m_Robot.Components);
        }
    }
}
