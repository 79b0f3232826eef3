using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>A person who walks about a room and walks into nobody; see `RobotRL.Logic.Walk`.</summary>
    public class WalkingPerson : MonoBehaviour
    {
        Walk m_Walk;

        public Vec2 Position => m_Walk.Position;
        public Vec2 Velocity => m_Walk.Velocity;

        public void Attach(Json numbers, double periodS) => m_Walk = new Walk(numbers, periodS);

        /// <summary>Stand somewhere, about to walk.</summary>
        /// <param name="fastest">gait, m/s.</param>
        /// <param name="pauseChance">that the person pauses at a waypoint.</param>
        /// <param name="random">where the walk comes from.</param>
        public void Begin(double fastest, double pauseChance, RandomSource random)
        {
            m_Walk.Begin(fastest, pauseChance, random);
            Show();
        }

        /// <summary>Walk for one control period, past somebody.</summary>
        public void Step(Vec2 other)
        {
            m_Walk.Step(other);
            Show();
        }

        void Show()
        {
            transform.localPosition = m_Walk.Position.ToUnity();
            transform.localRotation = m_Walk.Ahead.ToUnityTurn();
        }
    }
}
