using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>The arm as a chain of articulation bodies; its transform is the frame of its base.</summary>
    public class ArmBody : MonoBehaviour
    {
        [SerializeField] ArticulationBody[] m_Joints = new ArticulationBody[0];
        [SerializeField] ArticulationBody[] m_Fingers = new ArticulationBody[0];
        [SerializeField] FingerContact[] m_Contacts = new FingerContact[0];
        [SerializeField] ArticulationBody m_Pushed;
        ArmDescription m_Robot;
        double[] m_Targets, m_JustPlaced;
        double m_GainScale = 1, m_MassScale = 1;

        /// <summary>Called by the builder: what was built, base to tool.</summary>
        public void Configure(ArticulationBody[] joints, ArticulationBody[] fingers, FingerContact[] contacts, ArticulationBody pushed)
        {
            m_Joints = joints;
            m_Fingers = fingers;
            m_Contacts = contacts;
            m_Pushed = pushed;
        }

        public void Attach(ArmDescription robot)
        {
            m_Robot = robot;
            m_Targets = new double[robot.Joints.Length];
        }

        /// <summary>Let the arm stand still in a pose, rad, with the gripper open.</summary>
        public void Place(double[] angles)
        {
            for (var i = 0; i < m_Joints.Length; i++)
            {
                Rest(m_Joints[i], angles[i]);
            }
            foreach (var finger in m_Fingers)
            {
                Rest(finger, m_Robot.Gripper.Stroke);
                finger.SetDriveTarget(ArticulationDriveAxis.X, (float)m_Robot.Gripper.Stroke);
            }
            System.Array.Clear(m_Targets, 0, m_Targets.Length);
            ApplyTargets();
            m_JustPlaced = (double[])angles.Clone(); // the engine tells of it after its next step
        }

        static void Rest(ArticulationBody body, double position)
        {
            body.jointPosition = new ArticulationReducedSpace((float)position);
            body.jointVelocity = new ArticulationReducedSpace(0f);
        }

        /// <summary>Command joint velocities, fractions of their maxima, and the fingers' gap where they move.</summary>
        public void Act(double[] command)
        {
            for (var i = 0; i < m_Targets.Length; i++)
            {
                m_Targets[i] = command[i] * m_Robot.Joints[i].MaxVelocity;
            }
            ApplyTargets();
            foreach (var finger in m_Fingers)
            {
                finger.SetDriveTarget(ArticulationDriveAxis.X, (float)m_Robot.Gripper.FingerTarget(command[m_Targets.Length]));
            }
        }

        void ApplyTargets()
        {
            for (var i = 0; i < m_Joints.Length; i++)
            {
                m_Joints[i].SetDriveTargetVelocity(ArticulationDriveAxis.X, (float)m_Targets[i] * Mathf.Rad2Deg);
            }
        }

        /// <summary>Read the joints, the fingers and what they press on.</summary>
        public void Read(ArmState state)
        {
            for (var i = 0; i < m_Joints.Length; i++)
            {
                state.JointPos[i] = m_JustPlaced?[i] ?? m_Joints[i].jointPosition[0];
                state.JointVel[i] = m_JustPlaced == null ? m_Joints[i].jointVelocity[0] : 0;
                state.JointTorque[i] = m_Robot.Joints[i].Drive.Torque(m_Targets[i], state.JointVel[i], m_GainScale);
            }
            for (var i = 0; i < m_Fingers.Length; i++)
            {
                state.FingerPos[i] = m_JustPlaced == null ? m_Fingers[i].jointPosition[0] : m_Robot.Gripper.Stroke;
                state.FingerForce[i] = m_JustPlaced == null
                    ? transform.InverseTransformDirection(m_Contacts[i].Force).ToRobot() : default;
            }
            m_JustPlaced = null;
        }

        /// <summary>Give masses, inertias and gains their factors for an episode.</summary>
        public void Scale(double mass, double gain)
        {
            (m_MassScale, m_GainScale) = (mass, gain);
            var gripper = m_Robot.Gripper;
            for (var i = 0; i < m_Joints.Length; i++)
            {
                var (joint, body) = (m_Robot.Joints[i], m_Joints[i]);
                var palm = i == m_Joints.Length - 1 ? m_Fingers.Length * gripper.Finger.MassKg : 0;
                body.mass = (float)(mass * (joint.Link.MassKg - palm));
                body.inertiaTensor = (mass * joint.Link.Inertia + joint.Armature * Squared(joint.Axis)).ToUnityInertia();
                SetGains(body, 0, gain * joint.Drive.Damping);
            }
            foreach (var finger in m_Fingers)
            {
                finger.mass = (float)(mass * gripper.Finger.MassKg);
                finger.inertiaTensor = (mass * gripper.Finger.Inertia).ToUnityInertia();
                SetGains(finger, gain * gripper.Stiffness, gain * gripper.Damping);
            }
        }

        static Vec3 Squared(Vec3 v) => new Vec3(v.X * v.X, v.Y * v.Y, v.Z * v.Z);

        static void SetGains(ArticulationBody body, double stiffness, double damping)
        {
            body.SetDriveStiffness(ArticulationDriveAxis.X, (float)stiffness);
            body.SetDriveDamping(ArticulationDriveAxis.X, (float)damping);
        }

        /// <summary>Apply for one physics step: a push, world frame, N, and what the controller's gravity compensation misses.</summary>
        public void ApplyForces(Vector3 push)
        {
            m_Pushed.AddForce(push);
            if (m_MassScale == 1)
            {
                return; // links have no gravity: their controller compensates the nominal one
            }
            foreach (var body in m_Joints)
            {
                body.AddForce((float)((m_MassScale - 1) / m_MassScale) * body.mass * Physics.gravity);
            }
        }
    }
}
