using System;

namespace RobotRL.Logic
{
    /// <summary>A base with differential drive, from robots/mobile.json.</summary>
    public sealed class MobileDescription : RobotDescription
    {
        public readonly double Radius, Bottom, Top, MassKg;
        public readonly Vec3 Com, Inertia;
        public readonly double TrayTop, TrayHalfWidth, TrayThickness, TrayRim;
        public readonly double WheelRadius, WheelWidth, Track, WheelMassKg, WheelArmature, TyreFriction;
        public readonly Vec3 WheelInertia;
        public readonly VelocityDrive WheelDrive;
        public readonly double CasterRadius;
        public readonly double[] CasterAt;
        public readonly int Rays;
        public readonly double LidarHeight, LidarRange;
        public readonly double MaxVelocity, MaxYawVelocity;

        /// <exception cref="DescriptionException">It breaks the schema.</exception>
        public MobileDescription(Json json) : base(json, "mobile")
        {
            var (chassis, tray, wheels, lidar) = (json["chassis"], json["tray"], json["wheels"], json["lidar"]);
            (Radius, MassKg) = (chassis["radius_m"].Number, chassis["mass_kg"].Number);
            (Bottom, Top) = (chassis["bottom_m"].Number, chassis["top_m"].Number);
            (Com, Inertia) = (chassis["com_m"].Vector, chassis["inertia_kg_m2"].Vector);
            (TrayTop, TrayHalfWidth) = (tray["top_m"].Number, tray["half_width_m"].Number);
            (TrayThickness, TrayRim) = (tray["thickness_m"].Number, tray["rim_m"].Number);
            (WheelRadius, WheelWidth, Track) = (wheels["radius_m"].Number, wheels["width_m"].Number, wheels["track_m"].Number);
            (WheelMassKg, WheelArmature) = (wheels["mass_kg"].Number, wheels["armature_kg_m2"].Number);
            (WheelInertia, TyreFriction) = (wheels["inertia_kg_m2"].Vector, wheels["friction"].Number);
            WheelDrive = new VelocityDrive(wheels["drive"]);
            (CasterRadius, CasterAt) = (json["caster"]["radius_m"].Number, json["caster"]["at_m"].Numbers);
            (Rays, LidarHeight, LidarRange) = (lidar["rays"].Count, lidar["height_m"].Number, lidar["max_range_m"].Number);
            MaxVelocity = json["max_velocity_m_s"].Number;
            MaxYawVelocity = json["max_yaw_velocity_rad_s"].Number;
        }

        /// <summary>Differential drive: velocities of the left (side 1) or right (side -1) wheel, rad/s.</summary>
        /// <param name="forward">m/s.</param>
        /// <param name="yaw">rad/s, counter-clockwise.</param>
        /// <param name="side">of the wheel.</param>
        public double WheelVelocity(double forward, double yaw, int side) => (forward - side * 0.5 * Track * yaw) / WheelRadius;

        /// <summary>The inverse: forward velocity, m/s, and yaw velocity, rad/s, of wheels that roll.</summary>
        public (double forward, double yaw) BodyVelocity(double left, double right) =>
            (0.5 * WheelRadius * (left + right), WheelRadius * (right - left) / Track);

        /// <summary>Direction of a ray of the lidar in the base's frame: all around, counter-clockwise, the first one forward.</summary>
        public Vec2 RayDirection(int ray) => Vec2.At(ray * (2 * Math.PI / Rays));
    }
}
