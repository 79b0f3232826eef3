using RobotRL.Logic;
using Unity.Collections;
using UnityEngine;

namespace RobotRL
{
    /// <summary>The mobile robot as articulation bodies, with its lidar; its transform is the frame of its base.</summary>
    public class MobileBody : MonoBehaviour
    {
        const float k_NoHit = 100f; // m, further than any room
        [SerializeField] ArticulationBody m_Base;
        [SerializeField] ArticulationBody[] m_Wheels = new ArticulationBody[0];
        [SerializeField] Bumper m_Bumper;
        MobileDescription m_Robot;
        readonly double[] m_Targets = new double[2];
        double m_GainScale = 1;
        bool m_JustPlaced;
        Vec2 m_Position, m_Heading;
        NativeArray<RaycastCommand> m_Rays;
        NativeArray<RaycastHit> m_Hits;

        /// <summary>Called by the builder: what was built, the left wheel first.</summary>
        public void Configure(ArticulationBody body, ArticulationBody[] wheels, Bumper bumper)
        {
            m_Base = body;
            m_Wheels = wheels;
            m_Bumper = bumper;
        }

        public void Attach(MobileDescription robot)
        {
            m_Robot = robot;
            m_Rays = new NativeArray<RaycastCommand>(robot.Rays, Allocator.Persistent);
            m_Hits = new NativeArray<RaycastHit>(robot.Rays, Allocator.Persistent);
        }

        void OnDestroy()
        {
            if (m_Rays.IsCreated)
            {
                m_Rays.Dispose();
                m_Hits.Dispose();
            }
        }

        /// <summary>Let the base stand still on the floor of a room.</summary>
        public void Place(Transform room, Vec2 position, Vec2 heading)
        {
            m_Base.TeleportRoot(room.TransformPoint(position.ToUnity()), room.rotation * heading.ToUnityTurn());
            m_Base.linearVelocity = Vector3.zero;
            m_Base.angularVelocity = Vector3.zero;
            foreach (var wheel in m_Wheels)
            {
                wheel.jointVelocity = new ArticulationReducedSpace(0f);
            }
            Act(new double[2]);
            m_Bumper.Take();
            (m_JustPlaced, m_Position, m_Heading) = (true, position, heading); // the engine tells of it after its next step
        }

        /// <summary>Command forward and yaw velocity, fractions of their maxima.</summary>
        public void Act(double[] command)
        {
            for (var i = 0; i < 2; i++)
            {
                m_Targets[i] = m_Robot.WheelVelocity(
                    command[0] * m_Robot.MaxVelocity, command[1] * m_Robot.MaxYawVelocity, i == 0 ? 1 : -1);
                m_Wheels[i].SetDriveTargetVelocity(ArticulationDriveAxis.X, (float)m_Targets[i] * Mathf.Rad2Deg);
            }
        }

        /// <summary>Read pose, velocities, wheels, bumper and lidar.</summary>
        /// <param name="room">in whose frame.</param>
        /// <param name="state">where to write.</param>
        public void Read(Transform room, MobileState state)
        {
            ReadPose(room, state);
            for (var i = 0; i < 2; i++)
            {
                state.WheelVelocity[i] = m_JustPlaced ? 0 : m_Wheels[i].jointVelocity[0];
                state.WheelTorque[i] = m_Robot.WheelDrive.Torque(m_Targets[i], state.WheelVelocity[i], m_GainScale);
            }
            state.Collided = m_Bumper.Take();
            Scan(room, state);
            m_JustPlaced = false;
        }

        void ReadPose(Transform room, MobileState state)
        {
            if (m_JustPlaced)
            {
                (state.Position, state.Heading, state.Velocity, state.YawVelocity) = (m_Position, m_Heading, default, 0);
                return;
            }
            var ahead = room.InverseTransformDirection(transform.forward).ToRobot().OnFloor;
            var velocity = m_Base.GetPointVelocity(transform.position);
            state.Position = room.InverseTransformPoint(transform.position).ToRobot().OnFloor;
            state.Heading = 1 / ahead.Length * ahead;
            state.Velocity = room.InverseTransformDirection(velocity).ToRobot().OnFloor;
            state.YawVelocity = transform.InverseTransformDirection(m_Base.angularVelocity).ToRobotAxis().Z;
        }

        void Scan(Transform room, MobileState state)
        {
            var origin = room.TransformPoint(state.Position.ToUnity(m_Robot.LidarHeight));
            var what = new QueryParameters(Layers.SeenByLidar, false, QueryTriggerInteraction.Ignore, false);
            for (var ray = 0; ray < m_Robot.Rays; ray++)
            {
                var along = room.TransformDirection((state.Heading * m_Robot.RayDirection(ray)).ToUnity());
                m_Rays[ray] = new RaycastCommand(origin, along, what, k_NoHit);
            }
            RaycastCommand.ScheduleBatch(m_Rays, m_Hits, 8).Complete();
            for (var ray = 0; ray < m_Robot.Rays; ray++)
            {
                state.Ranges[ray] = m_Hits[ray].collider == null ? k_NoHit : m_Hits[ray].distance;
            }
        }

        /// <summary>Give masses, inertias and gains their factors for an episode.</summary>
        public void Scale(double mass, double gain)
        {
            m_GainScale = gain;
            m_Base.mass = (float)(mass * m_Robot.MassKg);
            m_Base.inertiaTensor = (mass * m_Robot.Inertia).ToUnityInertia();
            foreach (var wheel in m_Wheels)
            {
                wheel.mass = (float)(mass * m_Robot.WheelMassKg);
                wheel.inertiaTensor = (mass * m_Robot.WheelInertia + new Vec3(0, m_Robot.WheelArmature, 0)).ToUnityInertia();
                wheel.SetDriveDamping(ArticulationDriveAxis.X, (float)(gain * m_Robot.WheelDrive.Damping));
            }
        }

        /// <summary>Apply a push for one physics step, world frame, N.</summary>
        public void ApplyForces(Vector3 push) => m_Base.AddForce(push);
    }
}
