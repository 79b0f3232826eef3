using UnityEngine;

namespace RobotRL
{
    /// <summary>Tells whether a body has touched anything but the ground since it was last asked.</summary>
    public class Bumper : MonoBehaviour
    {
        bool m_Touched;

        /// <summary>Return whether something was touched, and forget it.</summary>
        public bool Take()
        {
            var touched = m_Touched;
            m_Touched = false;
            return touched;
        }

        void OnCollisionEnter(Collision collision) => OnCollisionStay(collision);

        void OnCollisionStay(Collision collision) =>
            m_Touched |= collision.collider.gameObject.layer != Layers.Ground;
    }
}
