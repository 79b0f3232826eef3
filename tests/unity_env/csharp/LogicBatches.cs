// Calls the project's engine-free functions for many inputs at once, rows of numbers in and out, so that Python can
// compare them with its own.
using System;
using System.Collections.Generic;
using System.Linq;
using RobotRL.Logic;

public static class LogicBatches
{
    static double[] Rows(double[] input, int width, Func<double[], IEnumerable<double>> each)
    {
        var rows = new List<double>();
        for (var at = 0; at < input.Length; at += width)
        {
            rows.AddRange(each(input.Skip(at).Take(width).ToArray()));
        }
        return rows.ToArray();
    }

    static IEnumerable<double> Numbers(Vec3 v) => new[] { v.X, v.Y, v.Z };
    static IEnumerable<double> Numbers(Vec2 v) => new[] { v.X, v.Y };
    static IEnumerable<double> Numbers(Rotation r) => new[] { r.W, r.X, r.Y, r.Z };
    static Vec3 Vector(double[] row, int at) => new Vec3(row[at], row[at + 1], row[at + 2]);
    static Vec2 OnFloor(double[] row, int at) => new Vec2(row[at], row[at + 1]);
    static Rotation Turn(double[] row, int at) => new Rotation(row[at], row[at + 1], row[at + 2], row[at + 3]);

    public static ArmDescription Arm(string json) => new ArmDescription(Json.Parse(json, "arm.json"));
    public static MobileDescription Mobile(string json) => new MobileDescription(Json.Parse(json, "mobile.json"));

    public static double[] Forward(ArmDescription arm, double[] angles) => Rows(angles, arm.Joints.Length, row =>
    {
        var tool = arm.Forward(row, out var tip);
        return Numbers(tip).Concat(Numbers(tool.AxisX)).Concat(Numbers(tool.AxisY)).Concat(Numbers(tool.AxisZ));
    });

    /// vector, unit quaternion -> in Unity's frame: vector, axis, quaternion, the turned vector; and all of them back
    public static double[] Frame(double[] input) => Rows(input, 7, row =>
    {
        var (vector, turn) = (Vector(row, 0), Turn(row, 3));
        var (v, axis, r) = (Frames.ToUnity(vector), Frames.AxisToUnity(vector), Frames.ToUnity(turn));
        var there = Numbers(v).Concat(Numbers(axis)).Concat(Numbers(r)).Concat(Numbers(r * v));
        return there.Concat(Numbers(Frames.ToRobot(v))).Concat(Numbers(Frames.AxisToRobot(axis))).Concat(Numbers(Frames.ToRobot(r)));
    });

    /// two unit vectors -> the first one, turned by the rotation between them
    public static double[] Between(double[] input) => Rows(input, 6, row =>
        Numbers(Rotation.Between(Vector(row, 0), Vector(row, 3)) * Vector(row, 0)));

    /// forward and yaw velocity -> left and right wheel, and back
    public static double[] Drive(MobileDescription robot, double[] input) => Rows(input, 2, row =>
    {
        var (left, right) = (robot.WheelVelocity(row[0], row[1], 1), robot.WheelVelocity(row[0], row[1], -1));
        var (forward, yaw) = robot.BodyVelocity(left, right);
        return new[] { left, right, forward, yaw };
    });

    public static double[] RayDirections(MobileDescription robot) =>
        Enumerable.Range(0, robot.Rays).SelectMany(ray => Numbers(robot.RayDirection(ray))).ToArray();

    /// target, velocity, gain scale -> torque
    public static double[] Torque(VelocityDrive drive, double[] input) =>
        Rows(input, 3, row => new[] { drive.Torque(row[0], row[1], row[2]) });

    /// axis, quaternion of a cube -> sine and cosine
    public static double[] TurnBetween(double[] input) =>
        Rows(input, 7, row => Numbers(ArmMeasures.TurnBetween(Vector(row, 0), Turn(row, 3))));

    /// commands, one latency for all -> what reaches the drives, and what was commanded last
    public static double[] Delayed(int size, int latency, double[] commands)
    {
        var delayed = new DelayedCommands(size);
        return Rows(commands, size, row => delayed.Take(row, latency).Concat(delayed.Last).ToArray());
    }

    public static double[] Continuous(Role role, double[] actions) => Rows(actions, role.CommandSize, row =>
    {
        var command = new double[role.CommandSize];
        role.Command(row.Select(value => (float)value).ToArray(), command);
        return command;
    });

    public static double[] Chosen(Role role, double[] actions) => Rows(actions, role.Branches.Length, row =>
    {
        var command = new double[role.CommandSize];
        role.Command(row.Select(value => (int)value).ToArray(), command);
        return command;
    });

    /// Packed sensors of a state: joints' pos, vel, torque; fingers; their forces; cube pos, vel, quaternion, size; goal.
    public static double[] ArmSensors(Role role, double[] input)
    {
        var arm = (ArmDescription)role.Robot;
        var (n, measures, state, c) = (arm.Joints.Length, new ArmMeasures(arm), new ArmState(arm.Joints.Length), role.NewComponents());
        return Rows(input, 3 * n + 22, row =>
        {
            Array.Copy(row, 0, state.JointPos, 0, n);
            Array.Copy(row, n, state.JointVel, 0, n);
            Array.Copy(row, 2 * n, state.JointTorque, 0, n);
            var at = 3 * n;
            Array.Copy(row, at, state.FingerPos, 0, 2);
            (state.FingerForce[0], state.FingerForce[1]) = (Vector(row, at + 2), Vector(row, at + 5));
            var cube = new CubeState { Position = Vector(row, at + 8), Velocity = Vector(row, at + 11), Rotation = Turn(row, at + 14), Size = row[at + 18] };
            measures.MeasureArm(state, c);
            if (role.Observation.Parts.Any(part => part.Name == "goal_pos"))
            {
                ArmReachRules.Measure(c, Vector(row, at + 19));
            }
            else
            {
                measures.MeasureCube(cube, Vector(row, at + 19), role.Task.Parameters, c);
            }
            return Packed(role, c);
        });
    }

    /// Packed sensors of a state: position, heading, velocity, yaw velocity, wheels' velocities and torques, free, place, ranges.
    public static double[] MobileSensors(Role role, string place, double[] input)
    {
        var robot = (MobileDescription)role.Robot;
        var (state, c) = (new MobileState(robot.Rays), role.NewComponents());
        return Rows(input, 14 + robot.Rays, row =>
        {
            (state.Position, state.Heading, state.Velocity) = (OnFloor(row, 0), OnFloor(row, 2), OnFloor(row, 4));
            state.YawVelocity = row[6];
            Array.Copy(row, 7, state.WheelVelocity, 0, 2);
            Array.Copy(row, 9, state.WheelTorque, 0, 2);
            Array.Copy(row, 14, state.Ranges, 0, robot.Rays);
            MobileMeasures.MeasureBase(robot, state, row[11], c);
            MobileMeasures.MeasurePlace(place, OnFloor(row, 12), state, c);
            return Packed(role, c);
        });
    }

    static IEnumerable<double> Packed(Role role, Components c)
    {
        var (observation, signals) = (new float[role.Observation.Size], new float[role.Signals.Size]);
        role.Observation.Pack(c, observation);
        role.Signals.Pack(c, signals);
        return observation.Concat(signals).Select(value => (double)value);
    }

    /// point -> distance from the nearest wall or thing
    public static double[] Clearance(double halfWidth, double[] circles, double[] points)
    {
        var (room, things) = (new Room(halfWidth, 0), Circles(circles));
        return Rows(points, 2, row => new[] { room.Clearance(OnFloor(row, 0), things) });
    }

    static List<Circle> Circles(double[] rows)
    {
        var circles = new List<Circle>();
        Rows(rows, 3, row => { circles.Add(new Circle(OnFloor(row, 0), row[2])); return row; });
        return circles;
    }

    /// x, y, radius of every thing; then start and goal
    public static double[] Scattered(Room room, double[] radii, double clearance, double shortest, double longest, int seed)
    {
        var random = new RandomSource(seed);
        var things = room.Scatter(radii, random);
        var (start, goal) = room.StartAndGoal(things, clearance, new Interval(shortest, longest), random);
        var rows = things.SelectMany(thing => Numbers(thing.Centre).Append(thing.Radius));
        return rows.Concat(Numbers(start)).Concat(Numbers(goal)).ToArray();
    }

    public static double[] Goals(Role role, double[] uniform, int count)
    {
        var random = new Given(uniform);
        return Enumerable.Range(0, count)
            .SelectMany(_ => Numbers(ArmStarts.Goal((ArmDescription)role.Robot, role.Task.Parameters, random))).ToArray();
    }

    public static double[] Places(Role role, double spread, double[] uniform)
    {
        var random = new Given(uniform);
        return Enumerable.Range(0, uniform.Length / 2)
            .SelectMany(_ => Numbers(ArmStarts.Place(role.Task.Parameters, spread, random))).ToArray();
    }

    /// legs of x, y, speed, pause; start x, y; ahead x, y; then where somebody else stands in each step
    /// -> position, ahead and velocity after each step
    public static double[] Walked(Json numbers, double periodS, double[] legs, double[] start, double[] others)
    {
        var walk = new Walk(numbers, periodS);
        var drawn = new List<Leg>();
        Rows(legs, 4, row => { drawn.Add(new Leg(OnFloor(row, 0), row[2], row[3])); return row; });
        walk.Begin(drawn.ToArray(), OnFloor(start, 0), OnFloor(start, 2));
        return Rows(others, 2, row =>
        {
            walk.Step(OnFloor(row, 0));
            return Numbers(walk.Position).Concat(Numbers(walk.Ahead)).Concat(Numbers(walk.Velocity));
        });
    }

    public static double[] Normal(int seed, int count)
    {
        var random = new RandomSource(seed);
        return Enumerable.Range(0, count).Select(_ => random.Normal()).ToArray();
    }

    /// packed values -> the same with noise
    public static double[] Noisy(SensorLayout layout, double[] values, double level, int seed)
    {
        var packed = values.Select(value => (float)value).ToArray();
        layout.AddNoise(packed, level, new RandomSource(seed));
        return packed.Select(value => (double)value).ToArray();
    }

    /// Judges an episode from the packed signals of its steps and whether something was touched in each.
    /// -> ended, over, success of each robot; then what the rules have remembered, as packed signals
    public static double[] Judged(string task, Role[] roles, double[] steps)
    {
        var components = roles.Select(role => role.NewComponents()).ToArray();
        var sizes = roles.Select(role => role.Signals.Size + role.Observation.Size).ToArray();
        var judge = Judge(task, roles, components);
        return Rows(steps, sizes.Sum() + 1, row =>
        {
            var at = 0;
            for (var i = 0; i < roles.Length; i++)
            {
                at = Unpack(roles[i].Observation, row, at, components[i]);
                at = Unpack(roles[i].Signals, row, at, components[i]);
            }
            var judged = judge(row[at] != 0);
            return judged.Concat(roles.SelectMany((role, i) => Packed(role, components[i])));
        });
    }

    static int Unpack(SensorLayout layout, double[] row, int at, Components c)
    {
        foreach (var part in layout.Parts)
        {
            Array.Copy(row, at, c[part.Name], 0, part.Size);
            at += part.Size;
        }
        return at;
    }

    static double One(bool value) => value ? 1 : 0;

    static Func<bool, double[]> Judge(string task, Role[] roles, Components[] c)
    {
        if (task == "arm_reach")
        {
            var rules = new ArmReachRules(roles[0]);
            return _ => Told(rules.Judge(c[0]), rules, () => rules.Remember(c[0]), rules.Success);
        }
        if (task == "arm_pick_place")
        {
            var rules = new PickPlaceRules(roles[0]);
            return _ => Told(rules.Judge(c[0]), rules, () => rules.Remember(c[0]), rules.Success);
        }
        if (task == "playroom")
        {
            var rules = new PlayroomRules(roles[0], roles[1]);
            return hit => Told(rules.Judge(c[0], c[1], hit), rules, () => rules.Remember(c[0], c[1]), rules.ArmSuccess, rules.MobileSuccess);
        }
        if (task == "mobile_follow")
        {
            var rules = new MobileFollowRules(roles[0]);
            return hit => Told(rules.Judge(c[0], hit), rules, () => rules.Remember(c[0]), rules.Success);
        }
        var goal = new MobileGoalRules(roles[0]);
        return hit => Told(goal.Judge(c[0], hit), goal, () => goal.Remember(c[0]), goal.Success);
    }

    // Success is a property: C# evaluates arguments from left to right, so it is read after the judgement.
    static double[] Told(bool ended, TaskRules rules, Action remember, params bool[] success)
    {
        remember();
        return success.Select(One).Prepend(One(rules.IsOver)).Prepend(One(ended)).ToArray();
    }

    class Given : RandomSource
    {
        readonly double[] m_Numbers;
        int m_At;

        public Given(double[] numbers) : base(0) { m_Numbers = numbers; }
        public override double Next() => m_Numbers[m_At++];
    }
}
