using System;

namespace RobotRL.Logic
{
    /// <summary>A vector or point of a right-handed frame: x forward, y left, z up.</summary>
    public readonly struct Vec3
    {
        public readonly double X, Y, Z;

        public Vec3(double x, double y, double z)
        {
            X = x;
            Y = y;
            Z = z;
        }

        public double Length => Math.Sqrt(Dot(this, this));
        public Vec2 OnFloor => new Vec2(X, Y);

        public static Vec3 operator +(Vec3 a, Vec3 b) => new Vec3(a.X + b.X, a.Y + b.Y, a.Z + b.Z);
        public static Vec3 operator -(Vec3 a, Vec3 b) => new Vec3(a.X - b.X, a.Y - b.Y, a.Z - b.Z);
        public static Vec3 operator -(Vec3 a) => new Vec3(-a.X, -a.Y, -a.Z);
        public static Vec3 operator *(double s, Vec3 a) => new Vec3(s * a.X, s * a.Y, s * a.Z);
        public static double Dot(Vec3 a, Vec3 b) => a.X * b.X + a.Y * b.Y + a.Z * b.Z;

        public static Vec3 Cross(Vec3 a, Vec3 b) =>
            new Vec3(a.Y * b.Z - a.Z * b.Y, a.Z * b.X - a.X * b.Z, a.X * b.Y - a.Y * b.X);
    }

    /// <summary>A vector of the floor, x + iy: a product of two turns the one by the angle of the other.</summary>
    public readonly struct Vec2
    {
        public readonly double X, Y;

        public Vec2(double x, double y)
        {
            X = x;
            Y = y;
        }

        public double Length => Math.Sqrt(X * X + Y * Y);
        public double Angle => Math.Atan2(Y, X);
        public Vec2 Conjugate => new Vec2(X, -Y);

        /// <summary>The unit vector at an angle from the x axis, rad, counter-clockwise.</summary>
        public static Vec2 At(double angle) => new Vec2(Math.Cos(angle), Math.Sin(angle));

        public static Vec2 operator +(Vec2 a, Vec2 b) => new Vec2(a.X + b.X, a.Y + b.Y);
        public static Vec2 operator -(Vec2 a, Vec2 b) => new Vec2(a.X - b.X, a.Y - b.Y);
        public static Vec2 operator *(double s, Vec2 a) => new Vec2(s * a.X, s * a.Y);
        public static Vec2 operator *(Vec2 a, Vec2 b) => new Vec2(a.X * b.X - a.Y * b.Y, a.X * b.Y + a.Y * b.X);
    }

    /// <summary>A rotation as a unit quaternion, w + xi + yj + zk.</summary>
    public readonly struct Rotation
    {
        public static readonly Rotation Identity = new Rotation(1, 0, 0, 0);
        public readonly double W, X, Y, Z;

        public Rotation(double w, double x, double y, double z)
        {
            W = w;
            X = x;
            Y = y;
            Z = z;
        }

        public Vec3 Imaginary => new Vec3(X, Y, Z);
        public Rotation Inverse => new Rotation(W, -X, -Y, -Z);
        public Vec3 AxisX => this * new Vec3(1, 0, 0);
        public Vec3 AxisY => this * new Vec3(0, 1, 0);
        public Vec3 AxisZ => this * new Vec3(0, 0, 1);

        /// <summary>The rotation about a unit axis by an angle, rad.</summary>
        public static Rotation About(Vec3 axis, double angle)
        {
            var sine = Math.Sin(0.5 * angle);
            return new Rotation(Math.Cos(0.5 * angle), sine * axis.X, sine * axis.Y, sine * axis.Z);
        }

        /// <summary>The shortest rotation that takes one unit vector to another.</summary>
        public static Rotation Between(Vec3 from, Vec3 to)
        {
            var cosine = Vec3.Dot(from, to);
            if (cosine < -1 + 1e-12)
            {
                return HalfTurnFrom(from);
            }
            var axis = Vec3.Cross(from, to);
            var scale = 1 / Math.Sqrt(2 * (1 + cosine));
            return new Rotation(0.5 / scale, scale * axis.X, scale * axis.Y, scale * axis.Z);
        }

        static Rotation HalfTurnFrom(Vec3 from)
        {
            var other = Math.Abs(from.X) < 0.9 ? new Vec3(1, 0, 0) : new Vec3(0, 1, 0);
            var axis = Vec3.Cross(from, other);
            return About(1 / axis.Length * axis, Math.PI);
        }

        public static Rotation operator *(Rotation a, Rotation b)
        {
            var (p, q) = (a.Imaginary, b.Imaginary);
            var v = a.W * q + b.W * p + Vec3.Cross(p, q);
            return new Rotation(a.W * b.W - Vec3.Dot(p, q), v.X, v.Y, v.Z);
        }

        public static Vec3 operator *(Rotation a, Vec3 v)
        {
            var twice = 2 * Vec3.Cross(a.Imaginary, v);
            return v + a.W * twice + Vec3.Cross(a.Imaginary, twice);
        }
    }
}
