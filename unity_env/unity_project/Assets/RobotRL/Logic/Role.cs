using System;
using System.Collections.Generic;
using System.Linq;

namespace RobotRL.Logic
{
    /// <summary>All that the sensors of one robot may carry, measured now: component name -> numbers.</summary>
    public sealed class Components
    {
        readonly Dictionary<string, double[]> m_Values;

        public Components(IEnumerable<Component> parts)
        {
            m_Values = parts.ToDictionary(part => part.Name, part => new double[part.Size]);
        }

        public double[] this[string name] => m_Values[name];
        public double Scalar(string name) => m_Values[name][0];
        public bool Is(string name) => m_Values[name][0] != 0;
        public Vec3 Vector(string name) => new Vec3(m_Values[name][0], m_Values[name][1], m_Values[name][2]);
        public Vec2 OnFloor(string name) => new Vec2(m_Values[name][0], m_Values[name][1]);

        public void Set(string name, double value) => m_Values[name][0] = value;
        public void Set(string name, bool value) => m_Values[name][0] = value ? 1 : 0;
        public void Set(string name, double[] values) => Array.Copy(values, m_Values[name], m_Values[name].Length);

        public void Set(string name, Vec2 value)
        {
            var into = m_Values[name];
            (into[0], into[1]) = (value.X, value.Y);
        }

        public void Set(string name, Vec3 value)
        {
            var into = m_Values[name];
            (into[0], into[1], into[2]) = (value.X, value.Y, value.Z);
        }
    }

    /// <summary>The components of one vector sensor, in order.</summary>
    public sealed class SensorLayout
    {
        public readonly Component[] Parts;
        public readonly int Size;

        public SensorLayout(IEnumerable<Component> parts)
        {
            Parts = parts.ToArray();
            Size = Parts.Sum(part => part.Size);
        }

        /// <summary>Write the components one after the other into an array of the layout's size.</summary>
        public void Pack(Components known, float[] into)
        {
            var at = 0;
            foreach (var part in Parts)
            {
                foreach (var value in known[part.Name])
                {
                    into[at++] = (float)value;
                }
            }
        }

        /// <summary>Add noise to packed values, and keep them within the components' limits.</summary>
        /// <param name="values">packed.</param>
        /// <param name="level">multiple of the described noise.</param>
        /// <param name="random">where the noise comes from.</param>
        public void AddNoise(float[] values, double level, RandomSource random)
        {
            var at = 0;
            foreach (var part in Parts)
            {
                for (var i = 0; i < part.Size; i++, at++)
                {
                    values[at] = (float)part.Limit.Clip(values[at] + level * part.Noise * random.Normal());
                }
            }
        }
    }

    /// <summary>One robot in one task: its sensors in order, and what its actions mean.</summary>
    public sealed class Role
    {
        public readonly RobotDescription Robot;
        public readonly string TaskName;
        public readonly TaskDescription Task;
        public readonly SensorLayout Observation, Signals;
        public readonly int CommandSize;
        public readonly double[][][] Choices;

        /// <exception cref="DescriptionException">The robot has no such task.</exception>
        public Role(RobotDescription robot, string task)
        {
            Robot = robot;
            TaskName = task;
            if (!robot.Tasks.TryGetValue(task, out Task))
            {
                throw new DescriptionException($"{robot.Name} has no task {task}, it has {string.Join(", ", robot.Tasks.Keys)}");
            }
            var actions = Task.Action.Select(name => robot.Action[name]).ToArray();
            CommandSize = actions.Sum(action => robot.Action.TryGetValue(action.Commands ?? "", out var of) ? of.Size : action.Size);
            Choices = actions.Where(action => action.Choices != null).Select(action => action.Choices).ToArray();
            Observation = new SensorLayout(Task.Observation.Select(Part));
            Signals = new SensorLayout(Task.Signals.Select(Part));
        }

        /// <summary>Number of choices of each discrete branch; none for continuous actions.</summary>
        public int[] Branches => Choices.Select(values => values.Length).ToArray();

        public Components NewComponents() => new Components(Robot.Components.Keys.Select(Part));

        Component Part(string name)
        {
            var part = Robot.Components[name];
            return name == "last_action" ? new Component(name, CommandSize, part.Limit, part.Noise) : part;
        }

        /// <summary>What the drives get for continuous actions: the actions, clipped to [-1, 1].</summary>
        public void Command(float[] actions, double[] command)
        {
            for (var i = 0; i < CommandSize; i++)
            {
                command[i] = Math.Min(Math.Max(actions[i], -1.0), 1.0);
            }
        }

        /// <summary>What the drives get for choices, one of each branch.</summary>
        public void Command(int[] chosen, double[] command)
        {
            var at = 0;
            for (var branch = 0; branch < Choices.Length; branch++)
            {
                foreach (var value in Choices[branch][chosen[branch]])
                {
                    command[at++] = value;
                }
            }
        }
    }

    /// <summary>The last commands of an episode, newest first: what was commanded, and what reaches the drives.</summary>
    public sealed class DelayedCommands
    {
        public const int MaxLatency = 2;
        readonly double[][] m_History;

        public DelayedCommands(int size)
        {
            m_History = Enumerable.Range(0, MaxLatency + 1).Select(_ => new double[size]).ToArray();
        }

        public double[] Last => m_History[0];

        /// <summary>Remember a command; return the one that is `latency` control periods old.</summary>
        public double[] Take(double[] command, int latency)
        {
            for (var age = MaxLatency; age > 0; age--)
            {
                Array.Copy(m_History[age - 1], m_History[age], command.Length);
            }
            Array.Copy(command, m_History[0], command.Length);
            return m_History[latency];
        }

        /// <summary>A new episode begins: nothing was commanded yet.</summary>
        public void Forget()
        {
            foreach (var command in m_History)
            {
                Array.Clear(command, 0, command.Length);
            }
        }
    }
}
