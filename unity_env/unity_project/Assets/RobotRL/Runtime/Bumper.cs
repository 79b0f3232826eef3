using UnityEngine;

namespace RobotRL
{
    /// <summary>Tells whether the hull of a body has touched anything since it was last asked.</summary>
    public class Bumper : MonoBehaviour
    {
        [SerializeField] Collider m_Hull;
        bool m_Touched;

        public void Configure(Collider hull) => m_Hull = hull;

        /// <summary>Return whether something was touched, and forget it.</summary>
        public bool Take()
        {
            var touched = m_Touched;
            m_Touched = false;
            return touched;
        }

        void OnCollisionEnter(Collision collision) => OnCollisionStay(collision);

        void OnCollisionStay(Collision collision)
        {
            for (var i = 0; i < collision.contactCount; i++)
            {
                m_Touched |= collision.GetContact(i).thisCollider == m_Hull; // not the tray, on which things may lie
            }
        }
    }
}
