using System.Linq;
using RobotRL.Logic;
using UnityEngine;

namespace RobotRL.Building
{
    /// <summary>What stands around the robots.</summary>
    public sealed class Scenery
    {
        const double k_Wall = 0.12, k_WallHeight = 0.34, k_Slab = 0.03;
        const double k_PillarHeight = 0.5; // higher than a robot
        readonly Parts m_Parts;

        public Scenery(Parts parts) { m_Parts = parts; }

        /// <summary>Add a floor whose surface goes through the origin, and four walls; the room is square.</summary>
        public void AddRoom(Transform area, double halfWidth)
        {
            AddFloor("ground", area, 2 * (halfWidth + k_Wall));
            var (middle, length) = (halfWidth + 0.5 * k_Wall, 2 * (halfWidth + k_Wall));
            foreach (var sign in new[] { -1, 1 })
            {
                m_Parts.Box("wall", area, new Vec3(sign * middle, 0, 0.5 * k_WallHeight), new Vec3(k_Wall, length, k_WallHeight), Layers.Solid);
                m_Parts.Box("wall", area, new Vec3(0, sign * middle, 0.5 * k_WallHeight), new Vec3(length, k_Wall, k_WallHeight), Layers.Solid);
            }
        }

        /// <summary>Add a square slab whose surface goes through the origin; it has no friction of its own.</summary>
        public void AddFloor(string material, Transform area, double width)
        {
            var floor = m_Parts.Box(material, area, new Vec3(0, 0, -0.5 * k_Slab), new Vec3(width, width, k_Slab), Layers.Ground);
            floor.AddComponent<Surface>().Configure(0f);
        }

        /// <summary>Add a square table on a round pedestal, which a lidar sees.</summary>
        public void AddTable(Transform area, Json numbers, double height)
        {
            var (centre, width) = (numbers["table_centre_m"].Numbers, 2 * numbers["table_half_width_m"].Number);
            var top = new Vec3(centre[0], centre[1], height - 0.5 * k_Slab);
            m_Parts.Box("wood", area, top, new Vec3(width, width, k_Slab), Layers.Robot).name = "table";
            var pedestal = Parts.Empty("pedestal", area, new Vec3(centre[0], centre[1], 0));
            var radius = numbers["pedestal_radius_m"].Number;
            var under = height - k_Slab;
            m_Parts.Cylinder("wall", pedestal.transform, new Vec3(0, 0, 0.5 * under), radius, under, Layers.Robot);
            Parts.FeltPillar(pedestal.transform, radius, under, Layers.Seen); // rounder than the hull of what is seen
        }

        /// <summary>Add a flat mark on the floor, or on a table.</summary>
        public Transform AddDisc(Transform area, double radius)
        {
            var disc = Parts.Empty("goal", area);
            m_Parts.Cylinder("goal", disc.transform, new Vec3(0, 0, 0.001), radius, 0.002, null);
            return disc.transform;
        }

        /// <summary>Add a ball in the air that touches nothing.</summary>
        public Transform AddMarker(Transform area, double radius)
        {
            var marker = Parts.Empty("goal", area);
            m_Parts.Ball("goal", marker.transform, default, radius);
            return marker.transform;
        }

        /// <summary>Add round obstacles of 1 m width; their scale along the floor is their width.</summary>
        public Transform[] AddObstacles(Transform area, int count) =>
            Enumerable.Range(0, count).Select(i => AddObstacle(area, $"obstacle_{i}")).ToArray();

        Transform AddObstacle(Transform area, string name)
        {
            var obstacle = Parts.Empty(name, area);
            m_Parts.Cylinder("obstacle", obstacle.transform, new Vec3(0, 0, 0.22), 0.5, 0.44, null);
            Parts.FeltPillar(obstacle.transform, 0.5, k_PillarHeight, Layers.Solid);
            AddKinematic(obstacle);
            return obstacle.transform;
        }

        /// <summary>Add a cube of 1 m, to be scaled to its size.</summary>
        public Cube AddCube(Transform area)
        {
            var cube = m_Parts.Box("cube", area, default, new Vec3(1, 1, 1), Layers.Robot);
            cube.name = "cube";
            cube.AddComponent<Surface>(); // the table's friction, which is larger than its own
            var body = cube.AddComponent<Rigidbody>();
            body.linearDamping = 0f;
            body.angularDamping = 0f;
            body.collisionDetectionMode = CollisionDetectionMode.ContinuousDynamic;
            var added = cube.AddComponent<Cube>();
            added.Configure(body);
            return added;
        }

        /// <summary>Add a figure that looks along x and feels as a cylinder.</summary>
        public WalkingPerson AddPerson(Transform area, double radius)
        {
            var person = Parts.Empty("person", area);
            Parts.FeltPillar(person.transform, radius, 1.0, Layers.Solid);
            AddKinematic(person);
            foreach (var side in new[] { -1, 1 })
            {
                Limb(person, "trousers", new Vec3(side * 0.08, side * 0.085, 0.05), new Vec3(0, side * 0.085, 0.9), 0.07);
                Limb(person, "shirt", new Vec3(-side * 0.1, side * 0.22, 0.88), new Vec3(0, side * 0.19, 1.38), 0.05);
            }
            Limb(person, "shirt", new Vec3(0, 0, 0.95), new Vec3(0, 0, 1.35), 0.16);
            m_Parts.Ball("skin", person.transform, new Vec3(0.02, 0, 1.64), 0.12);
            return person.AddComponent<WalkingPerson>();
        }

        void Limb(GameObject person, string material, Vec3 from, Vec3 to, double radius) =>
            m_Parts.Add(new Shape(true, from, to, radius, material, false), person.transform);

        static void AddKinematic(GameObject moved) => moved.AddComponent<Rigidbody>().isKinematic = true;
    }
}
