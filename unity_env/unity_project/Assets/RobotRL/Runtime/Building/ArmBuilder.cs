using System.Collections.Generic;
using System.Linq;
using RobotRL.Logic;
using UnityEngine;
using Joint = RobotRL.Logic.Joint;

namespace RobotRL.Building
{
    /// <summary>Description -> the arm as a chain of articulation bodies.</summary>
    public sealed class ArmBuilder
    {
        readonly ArmDescription m_Robot;
        readonly Parts m_Parts;

        public ArmBuilder(ArmDescription robot, Parts parts)
        {
            m_Robot = robot;
            m_Parts = parts;
        }

        /// <summary>Build the arm.</summary>
        /// <param name="parent">where it stands.</param>
        /// <param name="height">of its base above the parent's origin, m.</param>
        /// <param name="cube">what its moving fingers feel; null: the fingers are closed and rigid.</param>
        public ArmBody Build(Transform parent, double height, Rigidbody cube)
        {
            var root = Parts.Empty("RobotArm", parent, new Vec3(0, 0, height));
            var fixedBase = root.AddComponent<ArticulationBody>();
            fixedBase.immovable = true;
            AddShapes(m_Robot.BaseShapes, root.transform);
            var joints = new List<ArticulationBody>();
            var link = root.transform;
            foreach (var joint in m_Robot.Joints)
            {
                joints.Add(AddJoint(joint, link));
                link = joints[joints.Count - 1].transform;
            }
            AddShapes(cube == null ? m_Robot.Gripper.ClosedShapes : m_Robot.Gripper.PalmShapes, link);
            var fingers = cube == null ? new ArticulationBody[0] : new[] { AddFinger(link, 1, cube), AddFinger(link, -1, cube) };
            var contacts = fingers.Select(finger => finger.GetComponent<FingerContact>()).ToArray();
            var pushed = joints.First(joint => joint.name == m_Robot.Push.Body);
            var body = root.AddComponent<ArmBody>();
            body.Configure(joints.ToArray(), fingers, contacts, pushed);
            root.AddComponent<LinksTouchFreely>();
            return body;
        }

        void AddShapes(IEnumerable<Shape> shapes, Transform link)
        {
            foreach (var shape in shapes)
            {
                m_Parts.Add(shape, link);
            }
        }

        ArticulationBody AddJoint(Joint joint, Transform parent)
        {
            var link = Parts.Empty(joint.Name, parent, joint.Origin);
            AddShapes(joint.Link.Shapes, link.transform);
            var body = Parts.Body(link, joint.Link.MassKg, joint.Link.Com, joint.Link.Inertia);
            body.useGravity = false; // the controller compensates it, as a cobot's does
            Parts.Hinge(body, joint.Axis, joint.Drive);
            Parts.Limit(body, joint.Range);
            return body;
        }

        ArticulationBody AddFinger(Transform hand, int side, Rigidbody cube)
        {
            var (gripper, finger) = (m_Robot.Gripper, m_Robot.Gripper.Finger);
            var link = Parts.Empty(side > 0 ? "finger_left" : "finger_right", hand);
            foreach (var shape in finger.Shapes)
            {
                var (from, to) = (gripper.Mirrored(shape.From, side), gripper.Mirrored(shape.To, side));
                var pad = m_Parts.Add(new Shape(shape.IsCapsule, from, to, shape.Radius, shape.Material, true), link.transform);
                pad.AddComponent<Surface>().Configure((float)gripper.SlidingFriction);
            }
            var body = Parts.Body(link, finger.MassKg, gripper.Mirrored(finger.Com, side), finger.Inertia);
            body.useGravity = false;
            body.jointType = ArticulationJointType.PrismaticJoint;
            body.anchorRotation = UnityFrames.Between(Vector3.right, (side * gripper.Axis).ToUnity());
            body.linearLockX = ArticulationDofLock.LimitedMotion;
            body.linearLockY = ArticulationDofLock.LockedMotion;
            body.linearLockZ = ArticulationDofLock.LockedMotion;
            body.xDrive = new ArticulationDrive
            {
                lowerLimit = 0f,
                upperLimit = (float)gripper.Stroke,
                stiffness = (float)gripper.Stiffness,
                damping = (float)gripper.Damping,
                forceLimit = (float)gripper.ForceLimit,
            };
            link.AddComponent<FingerContact>().Configure(cube);
            return body;
        }
    }
}
