using System;
using RobotRL.Logic;
using UnityEngine;

namespace RobotRL.Building
{
    /// <summary>Puts shapes together: what is seen, and what is felt. Lengths in m, places in the robots' frames.</summary>
    public sealed class Parts
    {
        readonly Func<string, Material> m_Material;

        /// <param name="material">name -> material: body, accent, dark, ground, wall, wood, goal, obstacle, cube, skin, shirt.</param>
        public Parts(Func<string, Material> material) { m_Material = material; }

        /// <summary>Add an empty object at a place of its parent's frame.</summary>
        public static GameObject Empty(string name, Transform parent, Vec3 at = default)
        {
            var added = new GameObject(name);
            added.transform.SetParent(parent, false);
            added.transform.localPosition = at.ToUnity();
            return added;
        }

        /// <summary>Add one of Unity's primitives that is seen; without its collider it is not felt.</summary>
        GameObject Seen(PrimitiveType type, string material, Transform parent, Vec3 at, Vector3 size)
        {
            var added = GameObject.CreatePrimitive(type);
            UnityEngine.Object.DestroyImmediate(added.GetComponent<Collider>());
            added.name = material;
            added.transform.SetParent(parent, false);
            added.transform.localPosition = at.ToUnity();
            added.transform.localScale = size;
            added.GetComponent<Renderer>().sharedMaterial = m_Material(material);
            return added;
        }

        /// <summary>Add a box, its full size along x, y and z.</summary>
        public GameObject Box(string material, Transform parent, Vec3 at, Vec3 size, int? layer)
        {
            var extent = size.ToUnity();
            extent = new Vector3(Mathf.Abs(extent.x), extent.y, extent.z);
            var box = Seen(PrimitiveType.Cube, material, parent, at, extent);
            return layer == null ? box : Felt<BoxCollider>(box, layer.Value).gameObject;
        }

        public GameObject Ball(string material, Transform parent, Vec3 at, double radius) =>
            Seen(PrimitiveType.Sphere, material, parent, at, 2f * (float)radius * Vector3.one);

        /// <summary>Add an upright cylinder about `at`.</summary>
        public GameObject Cylinder(string material, Transform parent, Vec3 at, double radius, double height, int? layer)
        {
            var size = new Vector3(2f * (float)radius, 0.5f * (float)height, 2f * (float)radius);
            var cylinder = Seen(PrimitiveType.Cylinder, material, parent, at, size);
            if (layer != null)
            {
                AddHull(cylinder, layer.Value);
            }
            return cylinder;
        }

        /// <summary>Let a primitive be felt as the convex hull of what is seen.</summary>
        static void AddHull(GameObject primitive, int layer)
        {
            var hull = Felt<MeshCollider>(primitive, layer);
            hull.sharedMesh = primitive.GetComponent<MeshFilter>().sharedMesh;
            hull.convex = true;
        }

        static T Felt<T>(GameObject on, int layer) where T : Collider
        {
            on.layer = layer;
            return on.AddComponent<T>();
        }

        /// <summary>Add a ball that is felt, with its friction, and not seen.</summary>
        public static void FeltBall(string name, Transform parent, Vec3 at, double radius, double friction, int layer)
        {
            var ball = Empty(name, parent, at);
            Felt<SphereCollider>(ball, layer).radius = (float)radius;
            ball.AddComponent<Surface>().Configure((float)friction);
        }

        /// <summary>Add an upright capsule that is felt and not seen; between its ends it feels as a cylinder.</summary>
        public static void FeltPillar(Transform parent, double radius, double height, int layer)
        {
            var pillar = Empty("pillar", parent, new Vec3(0, 0, 0.5 * height));
            var capsule = Felt<CapsuleCollider>(pillar, layer);
            capsule.radius = (float)radius;
            capsule.height = (float)(height + 4 * radius);
        }

        /// <summary>Add a described shape to a link.</summary>
        public GameObject Add(Shape shape, Transform link)
        {
            var (along, middle) = (shape.To - shape.From, 0.5 * (shape.To + shape.From));
            var part = Empty("shape", link, middle);
            var direction = (1 / along.Length * along).ToUnity();
            part.transform.localRotation = UnityFrames.Between(Vector3.up, direction);
            var cylinder = Cylinder(shape.Material, part.transform, default, shape.Radius, along.Length, null);
            if (shape.IsCapsule)
            {
                Ball(shape.Material, part.transform, new Vec3(0, 0, 0.5 * along.Length), shape.Radius);
                Ball(shape.Material, part.transform, new Vec3(0, 0, -0.5 * along.Length), shape.Radius);
            }
            if (shape.Collides && shape.IsCapsule)
            {
                var capsule = Felt<CapsuleCollider>(part, Layers.Robot);
                capsule.radius = (float)shape.Radius;
                capsule.height = (float)(along.Length + 2 * shape.Radius);
            }
            else if (shape.Collides)
            {
                AddHull(cylinder, Layers.Robot);
            }
            return part;
        }

        /// <summary>Add an articulation body with the described mass, which does not follow from its colliders.</summary>
        public static ArticulationBody Body(GameObject on, double massKg, Vec3 com, Vec3 inertia)
        {
            var body = on.AddComponent<ArticulationBody>();
            body.mass = (float)massKg;
            body.automaticCenterOfMass = false;
            body.centerOfMass = com.ToUnity();
            body.automaticInertiaTensor = false;
            body.inertiaTensor = inertia.ToUnityInertia();
            body.inertiaTensorRotation = Quaternion.identity;
            body.linearDamping = 0f;
            body.angularDamping = 0f;
            body.jointFriction = 0f;
            return body;
        }

        /// <summary>Let a body turn about an axis of the robots' frame through its own origin.</summary>
        public static void Hinge(ArticulationBody body, Vec3 axis, VelocityDrive drive)
        {
            body.jointType = ArticulationJointType.RevoluteJoint;
            body.anchorPosition = Vector3.zero;
            body.anchorRotation = UnityFrames.Between(Vector3.right, axis.ToUnityAxis());
            body.twistLock = ArticulationDofLock.FreeMotion;
            body.xDrive = new ArticulationDrive { damping = (float)drive.Damping, forceLimit = (float)drive.TorqueLimit };
        }

        /// <summary>Keep a hinge's angle within an interval, rad.</summary>
        public static void Limit(ArticulationBody hinge, Interval range)
        {
            hinge.twistLock = ArticulationDofLock.LimitedMotion;
            hinge.SetDriveLimits(
                ArticulationDriveAxis.X, (float)range.Low * Mathf.Rad2Deg, (float)range.High * Mathf.Rad2Deg);
        }
    }
}
