// Takes the place of UnityEngine.PhysicsModule: articulation bodies whose joints follow their drives with a lag of
// first order, wheels that roll without slip, rays against boxes and upright round things. Nothing collides, nothing
// falls, no mass has inertia.
using System;
using System.Collections.Generic;
using System.Linq;
using Unity.Collections;
using Unity.Jobs;

namespace UnityEngine
{
    public enum ArticulationJointType { FixedJoint, PrismaticJoint, RevoluteJoint, SphericalJoint }
    public enum ArticulationDofLock { LockedMotion, LimitedMotion, FreeMotion }
    public enum ArticulationDriveAxis { X, Y, Z }
    public enum QueryTriggerInteraction { UseGlobal, Ignore, Collide }
    public enum PhysicsMaterialCombine { Average, Multiply, Minimum, Maximum }
    public enum CollisionDetectionMode { Discrete, Continuous, ContinuousDynamic, ContinuousSpeculative }

    public struct ArticulationReducedSpace
    {
        float m_Value;
        public ArticulationReducedSpace(float value) => m_Value = value;
        public float this[int index] => m_Value;
    }

    public struct ArticulationDrive
    {
        public float lowerLimit, upperLimit, stiffness, damping, forceLimit, target, targetVelocity;
    }

    public class ArticulationBody : Behaviour
    {
        const double k_Lag = 0.02; // s
        const double k_Radian = Math.PI / 180;
        ArticulationDrive m_Drive;
        double m_Position, m_Velocity;
        bool m_Rests;
        Vector3 m_RestPosition;
        Quaternion m_RestRotation;

        public float mass { get; set; } = 1;
        public Vector3 centerOfMass { get; set; }
        public Vector3 inertiaTensor { get; set; }
        public Quaternion inertiaTensorRotation { get; set; }
        public bool automaticCenterOfMass { get; set; }
        public bool automaticInertiaTensor { get; set; }
        public bool immovable { get; set; }
        public bool useGravity { get; set; }
        public float linearDamping { get; set; }
        public float angularDamping { get; set; }
        public float jointFriction { get; set; }
        public float maxAngularVelocity { get; set; } = 7;
        public ArticulationJointType jointType { get; set; }
        public Vector3 anchorPosition { get; set; }
        public Quaternion anchorRotation { get; set; } = Quaternion.identity;
        public ArticulationDofLock twistLock { get; set; }
        public ArticulationDofLock linearLockX { get; set; }
        public ArticulationDofLock linearLockY { get; set; }
        public ArticulationDofLock linearLockZ { get; set; }
        public Vector3 linearVelocity { get; set; }
        public Vector3 angularVelocity { get; set; }
        public ArticulationDrive xDrive { get => m_Drive; set => m_Drive = value; }

        public ArticulationReducedSpace jointPosition
        {
            get => new ArticulationReducedSpace((float)m_Position);
            set { m_Position = value[0]; Show(); }
        }

        public ArticulationReducedSpace jointVelocity
        {
            get => new ArticulationReducedSpace((float)m_Velocity);
            set => m_Velocity = value[0];
        }

        public void SetDriveTarget(ArticulationDriveAxis axis, float value) => m_Drive.target = value;
        public void SetDriveTargetVelocity(ArticulationDriveAxis axis, float value) => m_Drive.targetVelocity = value;
        public void SetDriveStiffness(ArticulationDriveAxis axis, float value) => m_Drive.stiffness = value;
        public void SetDriveDamping(ArticulationDriveAxis axis, float value) => m_Drive.damping = value;
        public void SetDriveLimits(ArticulationDriveAxis axis, float low, float high) => (m_Drive.lowerLimit, m_Drive.upperLimit) = (low, high);
        public void AddForce(Vector3 force) { }
        public void TeleportRoot(Vector3 position, Quaternion rotation) => transform.SetPositionAndRotation(position, rotation);
        public Vector3 GetPointVelocity(Vector3 point) => linearVelocity + Vector3.Cross(angularVelocity, point - transform.position);

        internal bool IsRoot => transform.parent == null || transform.parent.GetComponentInParent<ArticulationBody>() == null;

        bool IsHinge => jointType == ArticulationJointType.RevoluteJoint;
        Vector3 Axis => anchorRotation * Vector3.right;

        /// Its own turning about its axis, world frame, rad/s.
        internal Vector3 Spin => (float)m_Velocity * (transform.rotation * Axis);

        internal void Advance(double dt)
        {
            var unit = IsHinge ? k_Radian : 1;
            var wanted = m_Drive.stiffness > 0 ? (m_Drive.target * unit - m_Position) / (5 * k_Lag) : m_Drive.targetVelocity * unit;
            m_Velocity += (wanted - m_Velocity) * Math.Min(dt / k_Lag, 1);
            m_Velocity = IsHinge ? Math.Min(Math.Max(m_Velocity, -maxAngularVelocity), maxAngularVelocity) : m_Velocity;
            m_Position += m_Velocity * dt;
            if (m_Drive.upperLimit > m_Drive.lowerLimit)
            {
                var kept = Math.Min(Math.Max(m_Position, m_Drive.lowerLimit * unit), m_Drive.upperLimit * unit);
                m_Velocity = kept == m_Position ? m_Velocity : 0;
                m_Position = kept;
            }
            Show();
        }

        void Show()
        {
            if (!m_Rests)
            {
                (m_Rests, m_RestPosition, m_RestRotation) = (true, transform.localPosition, transform.localRotation);
            }
            if (IsHinge)
            {
                transform.localRotation = m_RestRotation * Quaternion.About(Axis, m_Position);
            }
            else
            {
                transform.localPosition = m_RestPosition + m_RestRotation * ((float)m_Position * Axis);
            }
        }

        /// Move a root as its wheels roll: each is still where it touches the ground.
        internal void Roll(ArticulationBody[] wheels, double dt)
        {
            var rolling = wheels.Select(wheel => Vector3.Cross(wheel.Spin, wheel.GetComponentsInChildren<SphereCollider>()[0].radius * Vector3.up)).ToArray();
            var apart = wheels[1].transform.position - wheels[0].transform.position;
            var yaw = Vector3.Dot(rolling[1] - rolling[0], Vector3.Cross(Vector3.up, apart)) / Vector3.Dot(apart, apart);
            (linearVelocity, angularVelocity) = (0.5f * (rolling[0] + rolling[1]), yaw * Vector3.up);
            transform.position += (float)dt * linearVelocity;
            transform.rotation = Quaternion.About(Vector3.up, yaw * dt) * transform.rotation;
        }
    }

    public class Rigidbody : Component
    {
        public float mass { get; set; }
        public float linearDamping { get; set; }
        public float angularDamping { get; set; }
        public bool isKinematic { get; set; }
        public Vector3 linearVelocity { get; set; }
        public Vector3 angularVelocity { get; set; }
        public CollisionDetectionMode collisionDetectionMode { get; set; }
    }

    public class PhysicsMaterial : Object
    {
        public float dynamicFriction { get; set; }
        public float staticFriction { get; set; }
        public float bounciness { get; set; }
        public PhysicsMaterialCombine frictionCombine { get; set; }
    }

    public struct ContactPoint
    {
        public Vector3 normal { get; }
        public Collider thisCollider { get; }
    }

    public class Collision
    {
        public Collider collider { get; }
        public Rigidbody rigidbody { get; }
        public Vector3 impulse { get; }
        public int contactCount { get; }
        public ContactPoint GetContact(int index) => default;
    }

    public class Collider : Component
    {
        public PhysicsMaterial sharedMaterial { get; set; }

        /// Distance to where a ray enters; infinite where it passes by.
        internal virtual double Hit(Vector3 origin, Vector3 along) => double.PositiveInfinity;

        protected double HitRound(Vector3 origin, Vector3 along, double radius, double halfHeight)
        {
            var (offset, scale) = (transform.position - origin, transform.lossyScale);
            if (Math.Abs(offset.y) > halfHeight * scale.y)
            {
                return double.PositiveInfinity; // the ray is level
            }
            var towards = (double)offset.x * along.x + (double)offset.z * along.z;
            var beside = (double)offset.x * along.z - (double)offset.z * along.x;
            var half = radius * radius * scale.x * scale.x - beside * beside;
            return half < 0 || towards < 0 ? double.PositiveInfinity : towards - Math.Sqrt(half);
        }
    }

    public class SphereCollider : Collider { public float radius { get; set; } = 0.5f; }

    public class CapsuleCollider : Collider
    {
        public float radius { get; set; } = 0.5f;
        public float height { get; set; } = 2;
        internal override double Hit(Vector3 origin, Vector3 along) => HitRound(origin, along, radius, 0.5 * height);
    }

    public class MeshCollider : Collider
    {
        public Mesh sharedMesh { get; set; }
        public bool convex { get; set; }

        internal override double Hit(Vector3 origin, Vector3 along) =>
            sharedMesh.name == "Cylinder" ? HitRound(origin, along, 0.5, 1) : double.PositiveInfinity;
    }

    public class BoxCollider : Collider
    {
        internal override double Hit(Vector3 origin, Vector3 along)
        {
            var (from, direction) = (transform.InverseTransformDirection(origin - transform.position), transform.InverseTransformDirection(along));
            var (enters, leaves, half) = (double.NegativeInfinity, double.PositiveInfinity, 0.5f * transform.lossyScale);
            for (var i = 0; i < 3; i++)
            {
                var (a, b) = ((-half[i] - from[i]) / (double)direction[i], (half[i] - from[i]) / (double)direction[i]);
                (enters, leaves) = (Math.Max(enters, Math.Min(a, b)), Math.Min(leaves, Math.Max(a, b)));
            }
            return enters > leaves || enters < 0 ? double.PositiveInfinity : enters;
        }
    }

    public struct RaycastHit
    {
        internal Collider Found;
        public Collider collider => Found;
        public float distance { get; set; }
    }

    public struct QueryParameters
    {
        public int layerMask;
        public QueryParameters(int layerMask, bool hitMultipleFaces, QueryTriggerInteraction hitTriggers, bool hitBackfaces) => this.layerMask = layerMask;
    }

    public struct RaycastCommand
    {
        readonly Vector3 m_From, m_Along;
        readonly QueryParameters m_What;
        readonly float m_Distance;

        public RaycastCommand(Vector3 from, Vector3 direction, QueryParameters queryParameters, float distance = float.MaxValue) =>
            (m_From, m_Along, m_What, m_Distance) = (from, direction, queryParameters, distance);

        public static JobHandle ScheduleBatch(
            NativeArray<RaycastCommand> commands, NativeArray<RaycastHit> results, int minCommandsPerJob, JobHandle dependsOn = default)
        {
            var colliders = Engine.All<Collider>().ToArray();
            for (var i = 0; i < commands.Length; i++)
            {
                results[i] = commands[i].Cast(colliders);
            }
            return default;
        }

        RaycastHit Cast(IEnumerable<Collider> colliders)
        {
            var (nearest, distance) = ((Collider)null, (double)m_Distance);
            foreach (var collider in colliders)
            {
                if ((m_What.layerMask & 1 << collider.gameObject.layer) != 0)
                {
                    var hit = collider.Hit(m_From, m_Along);
                    (nearest, distance) = hit < distance ? (collider, hit) : (nearest, distance);
                }
            }
            return new RaycastHit { Found = nearest, distance = (float)distance };
        }
    }

    public class Physics
    {
        public static Vector3 gravity => new Vector3(0, -9.81f, 0);
        public static void SyncTransforms() { }
        public static void IgnoreLayerCollision(int one, int other) { }
        public static void IgnoreCollision(Collider one, Collider other) { }

        /// One step of Time.fixedDeltaTime.
        public static void Step()
        {
            var bodies = Engine.All<ArticulationBody>().ToArray();
            foreach (var body in bodies.Where(body => !body.IsRoot))
            {
                body.Advance(Time.fixedDeltaTime);
            }
            foreach (var root in bodies.Where(body => body.IsRoot && !body.immovable))
            {
                var wheels = root.GetComponentsInChildren<ArticulationBody>().Where(body => body != root).ToArray();
                root.Roll(wheels, Time.fixedDeltaTime);
            }
        }
    }
}
