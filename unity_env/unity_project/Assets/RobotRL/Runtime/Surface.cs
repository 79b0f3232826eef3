using UnityEngine;

namespace RobotRL
{
    /// <summary>
    /// The friction of a collider: as described, times the episode's friction_scale. Of two surfaces the larger
    /// friction counts, as in MuJoCo; the ground has none of its own, so that a tyre's or a caster's decides.
    /// </summary>
    [RequireComponent(typeof(Collider))]
    public class Surface : MonoBehaviour
    {
        [SerializeField] float m_Friction = 1f;
        PhysicsMaterial m_Material;

        public void Configure(float friction) => m_Friction = friction;

        /// <summary>Give the collider its friction for an episode.</summary>
        public void Scale(float factor)
        {
            if (m_Material == null)
            {
                m_Material = new PhysicsMaterial { frictionCombine = PhysicsMaterialCombine.Maximum, bounciness = 0f };
                GetComponent<Collider>().sharedMaterial = m_Material;
            }
            m_Material.dynamicFriction = m_Friction * factor;
            m_Material.staticFriction = m_Friction * factor;
        }
    }
}
