using System;
using System.Collections.Generic;
using System.Linq;

namespace RobotRL.Logic
{
    /// <summary>Random numbers of one training area.</summary>
    public class RandomSource
    {
        readonly Random m_Random;

        public RandomSource(int seed) { m_Random = new Random(seed); }

        /// <summary>Uniform in [0, 1).</summary>
        public virtual double Next() => m_Random.NextDouble();

        public double Uniform(double low, double high) => low + (high - low) * Next();
        public double Uniform(Interval range) => range.At(Next());

        /// <summary>Uniform among 0 .. most.</summary>
        public int Whole(int most) => (int)(Next() * (most + 1));

        /// <summary>Standard normal, by Box and Muller's transform.</summary>
        public double Normal() => Math.Sqrt(-2 * Math.Log(1 - Next())) * Math.Cos(2 * Math.PI * Next());
    }

    /// <summary>Environment parameters of one episode: what the trainer has sent, within the described ranges.</summary>
    public sealed class EpisodeParameters
    {
        readonly Dictionary<string, ParameterDescription> m_Described;
        readonly Dictionary<string, double> m_Values = new Dictionary<string, double>();

        /// <param name="common">environment_parameters.json: what every task has.</param>
        /// <param name="roles">of the task, whose own parameters are added.</param>
        public EpisodeParameters(Json common, IEnumerable<Role> roles)
        {
            m_Described = ParameterDescription.All(common);
            foreach (var entry in roles.SelectMany(role => role.Task.EnvironmentParameters))
            {
                m_Described[entry.Key] = entry.Value;
            }
            Draw((_, value) => value);
        }

        public IEnumerable<string> Names => m_Described.Keys;
        public double this[string name] => m_Values[name];

        /// <summary>Delay of actions, whole control periods.</summary>
        public int Latency => (int)Math.Round(m_Values["action_latency"]);

        /// <summary>Ask for every parameter's value in the next episode.</summary>
        /// <param name="value">(name, default) -> value; what lies outside the described range is clipped to it.</param>
        public void Draw(Func<string, double, double> value)
        {
            foreach (var entry in m_Described)
            {
                m_Values[entry.Key] = entry.Value.Range.Clip(value(entry.Key, entry.Value.Default));
            }
        }
    }
}
