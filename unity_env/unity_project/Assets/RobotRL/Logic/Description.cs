using System.Collections.Generic;
using System.Linq;

namespace RobotRL.Logic
{
    /// <summary>A named run of numbers in a sensor: how many, their interval, their noise in their unit.</summary>
    public sealed class Component
    {
        public readonly string Name;
        public readonly int Size;
        public readonly Interval Limit;
        public readonly double Noise;

        public Component(string name, int size, Interval limit, double noise)
        {
            Name = name;
            Size = size;
            Limit = limit;
            Noise = noise;
        }
    }

    /// <summary>What a policy may command: numbers in [-1, 1], or one of the choices of another action's values.</summary>
    public sealed class ActionDescription
    {
        public readonly int Size;
        public readonly string Commands;
        public readonly double[][] Choices;

        public ActionDescription(Json json)
        {
            Size = json["size"].Count;
            Commands = json["commands"].IsNull ? null : json["commands"].Text;
            Choices = json["choices"].IsNull ? null : json["choices"].Items.Select(item => item.Numbers).ToArray();
        }
    }

    /// <summary>What a training may set, sample or schedule: default and range.</summary>
    public sealed class ParameterDescription
    {
        public readonly double Default;
        public readonly Interval Range;

        public ParameterDescription(Json json)
        {
            Default = json["default"].Number;
            Range = json["range"].Interval;
        }

        public static Dictionary<string, ParameterDescription> All(Json json) =>
            json.Members.ToDictionary(entry => entry.Key, entry => new ParameterDescription(entry.Value));
    }

    /// <summary>A robot's part in a task; see the Python class of the same name.</summary>
    public sealed class TaskDescription
    {
        public readonly string Behavior;
        public readonly double EpisodeS;
        public readonly string[] Action, Observation, Signals;
        public readonly Json Parameters;
        public readonly Dictionary<string, ParameterDescription> EnvironmentParameters;

        public TaskDescription(Json json)
        {
            Behavior = json["behavior"].Text;
            EpisodeS = json["episode_s"].Number;
            Action = json["action"].Texts;
            Observation = json["observation"].Texts;
            Signals = json["signals"].Texts;
            Parameters = json["parameters"];
            EnvironmentParameters = ParameterDescription.All(json["environment_parameters"]);
        }
    }

    /// <summary>What push_scale 1 means: a horizontal force on one body for one control period, at random times.</summary>
    public sealed class Push
    {
        public readonly string Body;
        public readonly double ForceN, RateHz;

        public Push(Json json)
        {
            Body = json["body"].Text;
            ForceN = json["force_n"].Number;
            RateHz = json["rate_hz"].Number;
        }
    }

    /// <summary>What all robots have in common. SI units, radians.</summary>
    public abstract class RobotDescription
    {
        public const int SchemaVersion = 1;
        public readonly string Name;
        public readonly double PeriodS;
        public readonly Push Push;
        public readonly Dictionary<string, ActionDescription> Action;
        public readonly Dictionary<string, Component> Components;
        public readonly Dictionary<string, TaskDescription> Tasks;

        /// <exception cref="DescriptionException">It breaks the schema.</exception>
        protected RobotDescription(Json json, string kind)
        {
            if (json["schema_version"].Number != SchemaVersion)
            {
                throw json["schema_version"].Fault($"{json["schema_version"].Number}, expected {SchemaVersion}");
            }
            if (json["kind"].Text != kind)
            {
                throw json["kind"].Fault($"{json["kind"].Text}, expected {kind}");
            }
            Name = json["name"].Text;
            PeriodS = json["control"]["period_s"].Number;
            Push = new Push(json["push"]);
            Action = json["action"].Members.ToDictionary(entry => entry.Key, entry => new ActionDescription(entry.Value));
            Components = json["components"].Members.ToDictionary(entry => entry.Key, entry => Read(entry.Key, entry.Value));
            Tasks = json["tasks"].Members.ToDictionary(entry => entry.Key, entry => new TaskDescription(entry.Value));
        }

        static Component Read(string name, Json json) =>
            new Component(name, json["size"].Count, json["limit"].Interval, json["noise"].Number);
    }

    /// <summary>A capsule or cylinder along a segment, in the frame of its link, m.</summary>
    public sealed class Shape
    {
        public readonly bool IsCapsule, Collides;
        public readonly Vec3 From, To;
        public readonly double Radius;
        public readonly string Material;

        public Shape(Json json) : this(
            json["type"].Text == "capsule", json["from_m"].Vector, json["to_m"].Vector, json["radius_m"].Number,
            json["material"].Text, json["collides"].Flag)
        {
        }

        public Shape(bool isCapsule, Vec3 from, Vec3 to, double radius, string material, bool collides)
        {
            IsCapsule = isCapsule;
            From = from;
            To = to;
            Radius = radius;
            Material = material;
            Collides = collides;
        }

        public static Shape[] All(Json json) => json.Items.Select(item => new Shape(item)).ToArray();
    }
}
