using UnityEngine;

namespace RobotRL
{
    /// <summary>What a collider belongs to, as Unity's layers: rays see what is solid, tyres touch the ground only.</summary>
    public static class Layers
    {
        public const int Solid = 8, Robot = 9, Ground = 10, Tyre = 11;
        public const int SeenByLidar = 1 << Solid;

        public static void Apply()
        {
            Physics.IgnoreLayerCollision(Tyre, Solid);
            Physics.IgnoreLayerCollision(Tyre, Robot);
            Physics.IgnoreLayerCollision(Tyre, Tyre);
        }
    }
}
