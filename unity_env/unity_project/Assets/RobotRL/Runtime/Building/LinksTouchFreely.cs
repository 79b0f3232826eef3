using UnityEngine;

namespace RobotRL.Building
{
    /// <summary>Lets links pass through each other that overlap by construction: neighbours, and neighbours but one.</summary>
    public class LinksTouchFreely : MonoBehaviour
    {
        void Start()
        {
            foreach (var link in GetComponentsInChildren<ArticulationBody>())
            {
                var parent = Above(link);
                if (parent != null)
                {
                    Ignore(link, parent);
                    foreach (var other in new[] { Above(parent), Beside(link, parent) })
                    {
                        Ignore(link, other);
                    }
                }
            }
        }

        static ArticulationBody Above(ArticulationBody link) =>
            link.transform.parent == null ? null : link.transform.parent.GetComponent<ArticulationBody>();

        /// <summary>The other finger, where the link is one.</summary>
        static ArticulationBody Beside(ArticulationBody link, ArticulationBody parent)
        {
            foreach (var child in parent.GetComponentsInChildren<ArticulationBody>())
            {
                if (child != link && child != parent && Above(child) == parent)
                {
                    return child;
                }
            }
            return null;
        }

        static void Ignore(ArticulationBody a, ArticulationBody b)
        {
            if (b == null)
            {
                return;
            }
            foreach (var one in Own(a))
            {
                foreach (var other in Own(b))
                {
                    Physics.IgnoreCollision(one, other);
                }
            }
        }

        /// <summary>The colliders of a link, without those of the links that it carries.</summary>
        static Collider[] Own(ArticulationBody link) => System.Array.FindAll(
            link.GetComponentsInChildren<Collider>(), part => part.GetComponentInParent<ArticulationBody>() == link);
    }
}
