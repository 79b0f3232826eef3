using UnityEngine;

namespace RobotRL
{
    /// <summary>
    /// What a collider belongs to, as Unity's layers: tyres touch the ground only; rays see what is solid, and what is
    /// there for them alone.
    /// </summary>
    public static class Layers
    {
        public const int Solid = 8, Robot = 9, Ground = 10, Tyre = 11, Seen = 12;
        public const int SeenByLidar = 1 << Solid | 1 << Seen;

        public static void Apply()
        {
            Physics.IgnoreLayerCollision(Tyre, Solid);
            Physics.IgnoreLayerCollision(Tyre, Robot);
            Physics.IgnoreLayerCollision(Tyre, Tyre);
            foreach (var layer in new[] { Solid, Robot, Ground, Tyre, Seen })
            {
                Physics.IgnoreLayerCollision(Seen, layer);
            }
        }
    }
}
