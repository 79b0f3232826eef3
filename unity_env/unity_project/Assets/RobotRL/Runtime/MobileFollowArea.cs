using System;
using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>mobile_follow: a person who walks about.</summary>
    public class MobileFollowArea : TrainingArea
    {
        [SerializeField] MobileRobotAgent m_Robot;
        [SerializeField] WalkingPerson m_Person;
        readonly Circle[] m_Things = new Circle[1];
        MobileFollowRules m_Rules;
        Room m_Room;
        double m_PersonRadius;

        public void Configure(MobileRobotAgent robot, WalkingPerson person)
        {
            m_Robot = robot;
            m_Person = person;
        }

        protected override TaskRules Rules => m_Rules;
        protected override bool Judge() => m_Rules.Judge(m_Robot.Components, m_Robot.State.Collided);
        protected override void Remember() => m_Rules.Remember(m_Robot.Components);
        protected override bool Success(RobotAgent agent) => m_Rules.Success;

        protected override void Prepare()
        {
            var numbers = m_Robot.Role.Task.Parameters;
            m_Rules = new MobileFollowRules(m_Robot.Role);
            m_Room = new Room(numbers["room_half_width_m"].Number, 0);
            m_PersonRadius = numbers["person_radius_m"].Number;
            m_Person.Attach(numbers, m_Robot.Robot.PeriodS);
            m_Robot.Acted -= Walk;
            m_Robot.Acted += Walk;
        }

        void Walk() => m_Person.Step(m_Robot.State.Position);

        protected override void Place()
        {
            var numbers = m_Robot.Role.Task.Parameters;
            m_Person.Begin(Parameters["person_speed"], Parameters["person_pause"], Random);
            var clearance = m_Robot.Robot.Radius + numbers["start_clearance_m"].Number;
            Vec2 start;
            do
            {
                var way = Random.Uniform(numbers["start_distance_m"].Interval);
                start = m_Person.Position + way * Vec2.At(Random.Uniform(-Math.PI, Math.PI));
            }
            while (!m_Room.IsFree(start, new Circle[0], clearance));
            m_Robot.Body.Place(transform, start, Vec2.At(Random.Uniform(-Math.PI, Math.PI)));
        }

        protected override void Measure()
        {
            m_Things[0] = new Circle(m_Person.Position, m_PersonRadius);
            m_Robot.Measure(transform, m_Room, m_Things);
            var (state, c) = (m_Robot.State, m_Robot.Components);
            MobileMeasures.MeasurePlace("person", m_Person.Position, state, c);
            c.Set("person_velocity", m_Person.Velocity * state.Heading.Conjugate);
        }
    }
}
