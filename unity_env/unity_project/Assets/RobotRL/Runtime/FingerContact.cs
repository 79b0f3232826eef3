using UnityEngine;

namespace RobotRL
{
    /// <summary>The force of a finger on the one body that it is to grasp, in the last physics step.</summary>
    [DefaultExecutionOrder(1000)] // forgets after the agents have read it, before physics
    public class FingerContact : MonoBehaviour
    {
        [SerializeField] Rigidbody m_Cube;

        /// <summary>On the cube, world frame, N.</summary>
        public Vector3 Force { get; private set; }

        public void Configure(Rigidbody cube) => m_Cube = cube;

        void FixedUpdate() => Force = Vector3.zero;

        void OnCollisionEnter(Collision collision) => OnCollisionStay(collision);

        void OnCollisionStay(Collision collision)
        {
            if (m_Cube == null || collision.rigidbody != m_Cube)
            {
                return;
            }
            // The sign of the impulse is not told which body it acts on: a contact's normal points to this one.
            var normal = Vector3.zero;
            for (var i = 0; i < collision.contactCount; i++)
            {
                normal += collision.GetContact(i).normal;
            }
            Force = -collision.impulse.magnitude / Time.fixedDeltaTime * normal.normalized;
        }
    }
}
