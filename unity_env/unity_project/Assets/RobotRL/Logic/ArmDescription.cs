using System.Linq;

namespace RobotRL.Logic
{
    /// <summary>A rigid body; its inertia is the diagonal about the centre of mass, along the link's axes.</summary>
    public sealed class Link
    {
        public readonly double MassKg;
        public readonly Vec3 Com, Inertia;
        public readonly Shape[] Shapes;

        public Link(Json json)
        {
            MassKg = json["mass_kg"].Number;
            Com = json["com_m"].Vector;
            Inertia = json["inertia_kg_m2"].Vector;
            Shapes = Shape.All(json["shapes"]);
        }
    }

    /// <summary>torque = damping * (target - velocity), held within the torque limit.</summary>
    public sealed class VelocityDrive
    {
        public readonly double Damping, TorqueLimit;

        public VelocityDrive(Json json)
        {
            Damping = json["damping_nm_s_per_rad"].Number;
            TorqueLimit = json["torque_limit_nm"].Number;
        }

        /// <summary>The drive's torque, N m.</summary>
        /// <param name="target">rad/s.</param>
        /// <param name="velocity">rad/s.</param>
        /// <param name="gainScale">factor on the damping.</param>
        public double Torque(double target, double velocity, double gainScale) =>
            new Interval(-TorqueLimit, TorqueLimit).Clip(gainScale * Damping * (target - velocity));
    }

    /// <summary>A revolute joint and the link it carries.</summary>
    public sealed class Joint
    {
        public readonly string Name;
        public readonly Vec3 Origin, Axis;
        public readonly Interval Range;
        public readonly double MaxVelocity, Armature;
        public readonly VelocityDrive Drive;
        public readonly Link Link;

        public Joint(Json json)
        {
            Name = json["name"].Text;
            Origin = json["origin_m"].Vector;
            Axis = json["axis"].Vector;
            Range = json["range_rad"].Interval;
            MaxVelocity = json["max_velocity_rad_s"].Number;
            Armature = json["armature_kg_m2"].Number;
            Drive = new VelocityDrive(json["drive"]);
            Link = new Link(json["link"]);
        }
    }

    /// <summary>Two parallel fingers, coupled as by a gear; the finger is the left one, closed.</summary>
    public sealed class Gripper
    {
        public readonly Shape[] ClosedShapes, PalmShapes;
        public readonly Vec3 Axis;
        public readonly double Stroke, Stiffness, Damping, ForceLimit, SlidingFriction;
        public readonly Link Finger;

        public Gripper(Json json)
        {
            ClosedShapes = Shape.All(json["closed_shapes"]);
            PalmShapes = Shape.All(json["palm_shapes"]);
            Axis = json["axis"].Vector;
            Stroke = json["stroke_m"].Number;
            Finger = new Link(json["finger"]);
            Stiffness = json["drive"]["stiffness_n_per_m"].Number;
            Damping = json["drive"]["damping_n_s_per_m"].Number;
            ForceLimit = json["drive"]["force_limit_n"].Number;
            SlidingFriction = json["pad_friction"].Numbers[0];
        }

        /// <summary>A point of the left finger (side 1), or its mirror image on the right one (side -1).</summary>
        public Vec3 Mirrored(Vec3 point, int side) => side > 0 ? point : point - 2 * Vec3.Dot(point, Axis) * Axis;

        /// <summary>Where each finger shall be, m: half open at command 0, open at 1.</summary>
        public double FingerTarget(double command) => 0.5 * Stroke * (command + 1);
    }

    /// <summary>A serial arm with a parallel gripper, from robots/arm.json.</summary>
    public sealed class ArmDescription : RobotDescription
    {
        public readonly Shape[] BaseShapes;
        public readonly Joint[] Joints;
        public readonly Gripper Gripper;
        public readonly Vec3 ToolTip;
        public readonly double[] Home;

        /// <exception cref="DescriptionException">It breaks the schema.</exception>
        public ArmDescription(Json json) : base(json, "arm")
        {
            BaseShapes = Shape.All(json["base"]["shapes"]);
            Joints = json["joints"].Items.Select(item => new Joint(item)).ToArray();
            Gripper = new Gripper(json["gripper"]);
            ToolTip = json["tool_tip_m"].Vector;
            Home = json["home_rad"].Numbers;
            if (Home.Length != Joints.Length)
            {
                throw json["home_rad"].Fault($"{Home.Length} angles for {Joints.Length} joints");
            }
        }

        /// <summary>Position and axes of the tool, in the frame of the base.</summary>
        /// <param name="angles">of the joints, base to tool, rad.</param>
        /// <param name="tip">of the tool, m.</param>
        public Rotation Forward(double[] angles, out Vec3 tip)
        {
            var (position, rotation) = (new Vec3(0, 0, 0), Rotation.Identity);
            for (var i = 0; i < Joints.Length; i++)
            {
                position += rotation * Joints[i].Origin;
                rotation *= Rotation.About(Joints[i].Axis, angles[i]);
            }
            tip = position + rotation * ToolTip;
            return rotation;
        }
    }
}
