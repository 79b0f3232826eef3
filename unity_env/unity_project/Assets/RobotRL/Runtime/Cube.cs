using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>A cube that an arm grasps.</summary>
    public class Cube : MonoBehaviour
    {
        [SerializeField] Rigidbody m_Body;
        double m_Size;

        public void Configure(Rigidbody body) => m_Body = body;

        /// <summary>Give the cube its size, m, and mass, kg, and let it lie somewhere in an arm's frame.</summary>
        public void Place(Transform arm, Vec2 position, double yaw, double size, double mass)
        {
            m_Size = size;
            m_Body.mass = (float)mass;
            transform.localScale = (float)size * Vector3.one;
            var at = arm.TransformPoint(position.ToUnity(0.5 * size));
            transform.SetPositionAndRotation(at, arm.rotation * Vec2.At(yaw).ToUnityTurn());
            m_Body.linearVelocity = Vector3.zero;
            m_Body.angularVelocity = Vector3.zero;
        }

        /// <summary>Its state in an arm's frame.</summary>
        public CubeState StateIn(Transform arm) => new CubeState
        {
            Position = arm.InverseTransformPoint(transform.position).ToRobot(),
            Velocity = arm.InverseTransformDirection(m_Body.linearVelocity).ToRobot(),
            Rotation = arm.rotation.ToRobot().Inverse * transform.rotation.ToRobot(),
            Size = m_Size,
        };
    }
}
