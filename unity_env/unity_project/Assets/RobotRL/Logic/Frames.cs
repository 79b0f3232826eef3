namespace RobotRL.Logic
{
    /// <summary>
    /// Between the robots' frames (right-handed: x forward, y left, z up) and Unity's (left-handed: x right, y up,
    /// z forward). The map mirrors: lengths are kept, and what turns about an axis changes its sign.
    /// </summary>
    public static class Frames
    {
        /// <summary>A point, a velocity or a force: robot (x, y, z) is Unity (-y, z, x).</summary>
        public static Vec3 ToUnity(Vec3 v) => new Vec3(-v.Y, v.Z, v.X);

        /// <summary>The inverse of <see cref="ToUnity(Vec3)"/>.</summary>
        public static Vec3 ToRobot(Vec3 v) => new Vec3(v.Z, -v.X, v.Y);

        /// <summary>An angular velocity, a torque or the axis of a joint: what a mirror turns around.</summary>
        public static Vec3 AxisToUnity(Vec3 v) => -ToUnity(v);

        /// <summary>The inverse of <see cref="AxisToUnity"/>.</summary>
        public static Vec3 AxisToRobot(Vec3 v) => -ToRobot(v);

        public static Rotation ToUnity(Rotation r)
        {
            var v = AxisToUnity(r.Imaginary);
            return new Rotation(r.W, v.X, v.Y, v.Z);
        }

        public static Rotation ToRobot(Rotation r)
        {
            var v = AxisToRobot(r.Imaginary);
            return new Rotation(r.W, v.X, v.Y, v.Z);
        }
    }
}
