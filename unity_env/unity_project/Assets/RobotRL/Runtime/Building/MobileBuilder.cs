using RobotRL.Logic;
using UnityEngine;

namespace RobotRL.Building
{
    /// <summary>Description -> the mobile robot as articulation bodies: chassis, tray, caster, two driven wheels.</summary>
    public sealed class MobileBuilder
    {
        readonly MobileDescription m_Robot;
        readonly Parts m_Parts;

        public MobileBuilder(MobileDescription robot, Parts parts)
        {
            m_Robot = robot;
            m_Parts = parts;
        }

        /// <summary>Build the robot at the origin of its parent's floor.</summary>
        public MobileBody Build(Transform parent)
        {
            var root = Parts.Empty("MobileRobot", parent);
            var hull = AddHull(root.transform);
            AddTray(root.transform);
            var caster = new Vec3(m_Robot.CasterAt[0], m_Robot.CasterAt[1], m_Robot.CasterRadius);
            m_Parts.Ball("dark", root.transform, caster, m_Robot.CasterRadius);
            Parts.FeltBall("caster", root.transform, caster, m_Robot.CasterRadius, 0, Layers.Tyre);
            var chassis = Parts.Body(root, m_Robot.MassKg, m_Robot.Com, m_Robot.Inertia);
            var wheels = new[] { AddWheel(root.transform, "left_wheel", 1), AddWheel(root.transform, "right_wheel", -1) };
            var body = root.AddComponent<MobileBody>();
            var bumper = root.AddComponent<Bumper>();
            bumper.Configure(hull);
            body.Configure(chassis, wheels, bumper);
            return body;
        }

        Collider AddHull(Transform root)
        {
            var (low, high) = (m_Robot.Bottom, m_Robot.Top);
            var hull = m_Parts.Cylinder("body", root, new Vec3(0, 0, 0.5 * (low + high)), m_Robot.Radius, high - low, Layers.Robot);
            hull.name = "hull";
            var lidar = new Vec3(0, 0, m_Robot.LidarHeight);
            m_Parts.Cylinder("dark", root, lidar, 1.002 * m_Robot.Radius, 0.03, null);
            var front = new Vec3(m_Robot.Radius, 0, 0.5 * (low + high));
            m_Parts.Box("accent", root, front, new Vec3(0.012, 0.1, 0.04), null);
            return hull.GetComponent<Collider>();
        }

        void AddTray(Transform root)
        {
            var (half, thick, rim) = (m_Robot.TrayHalfWidth, m_Robot.TrayThickness, m_Robot.TrayRim);
            var plate = new Vec3(0, 0, m_Robot.TrayTop - 0.5 * thick);
            m_Parts.Box("accent", root, plate, new Vec3(2 * half, 2 * half, thick), Layers.Robot);
            var (edge, up) = (half - 0.5 * thick, m_Robot.TrayTop + 0.5 * rim);
            foreach (var sign in new[] { -1, 1 })
            {
                m_Parts.Box("body", root, new Vec3(sign * edge, 0, up), new Vec3(thick, 2 * half, rim), Layers.Robot);
                m_Parts.Box("body", root, new Vec3(0, sign * edge, up), new Vec3(2 * half, thick, rim), Layers.Robot);
            }
        }

        /// <summary>Add a wheel, which feels as a ball: it touches the ground, and nothing else, in one point.</summary>
        ArticulationBody AddWheel(Transform root, string name, int side)
        {
            var wheel = Parts.Empty(name, root, new Vec3(0, side * 0.5 * m_Robot.Track, m_Robot.WheelRadius));
            var half = new Vec3(0, 0.5 * m_Robot.WheelWidth, 0);
            m_Parts.Add(new Shape(false, -half, half, m_Robot.WheelRadius, "dark", false), wheel.transform);
            Parts.FeltBall("tyre", wheel.transform, default, m_Robot.WheelRadius, m_Robot.TyreFriction, Layers.Tyre);
            var inertia = m_Robot.WheelInertia + new Vec3(0, m_Robot.WheelArmature, 0);
            var body = Parts.Body(wheel, m_Robot.WheelMassKg, default, inertia);
            Parts.Hinge(body, new Vec3(0, 1, 0), m_Robot.WheelDrive);
            return body;
        }
    }
}
