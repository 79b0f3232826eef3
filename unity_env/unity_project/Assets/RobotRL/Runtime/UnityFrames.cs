using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>The only place where the robots' frames meet Unity's: `RobotRL.Logic.Frames` in Unity's types.</summary>
    public static class UnityFrames
    {
        public static Vector3 ToUnity(this Vec3 v) => Plain(Frames.ToUnity(v));
        public static Vector3 ToUnityAxis(this Vec3 v) => Plain(Frames.AxisToUnity(v));
        public static Vec3 ToRobot(this Vector3 v) => Frames.ToRobot(new Vec3(v.x, v.y, v.z));
        public static Vec3 ToRobotAxis(this Vector3 v) => Frames.AxisToRobot(new Vec3(v.x, v.y, v.z));
        public static Quaternion ToUnity(this Rotation r) => Plain(Frames.ToUnity(r));
        public static Rotation ToRobot(this Quaternion q) => Frames.ToRobot(new Rotation(q.w, q.x, q.y, q.z));

        /// <summary>A point of the floor, at a height, m.</summary>
        public static Vector3 ToUnity(this Vec2 v, double height = 0) => new Vec3(v.X, v.Y, height).ToUnity();

        /// <summary>A turn about the vertical that lets x point along a unit vector of the floor.</summary>
        public static Quaternion ToUnityTurn(this Vec2 heading) =>
            Rotation.About(new Vec3(0, 0, 1), heading.Angle).ToUnity();

        /// <summary>A diagonal inertia along the robots' axes, kg m^2, along Unity's.</summary>
        public static Vector3 ToUnityInertia(this Vec3 i) => new Vector3((float)i.Y, (float)i.Z, (float)i.X);

        /// <summary>The rotation that takes one of Unity's directions to another.</summary>
        public static Quaternion Between(Vector3 from, Vector3 to) =>
            Plain(Rotation.Between(new Vec3(from.x, from.y, from.z), new Vec3(to.x, to.y, to.z)));

        static Vector3 Plain(Vec3 v) => new Vector3((float)v.X, (float)v.Y, (float)v.Z);
        static Quaternion Plain(Rotation r) => new Quaternion((float)r.X, (float)r.Y, (float)r.Z, (float)r.W);
    }
}
