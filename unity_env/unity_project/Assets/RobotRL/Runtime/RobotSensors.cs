using System.Collections.Generic;
using Unity.MLAgents;
using Unity.MLAgents.Sensors;

namespace RobotRL
{
    /// <summary>
    /// The two sensors of a robot: `observation`, which the policy sees, and `signals`, which rewards, metrics and
    /// critics read. The second one exists only while a trainer is connected: an exported network has no input for it.
    /// </summary>
    public class RobotSensors : SensorComponent
    {
        public override ISensor[] CreateSensors()
        {
            var agent = GetComponent<RobotAgent>();
            var sensors = new List<ISensor> { new NamedNumbers("observation", agent.Observation) };
            if (Academy.Instance.IsCommunicatorOn)
            {
                sensors.Add(new NamedNumbers("signals", agent.Signals));
            }
            return sensors.ToArray();
        }
    }

    /// <summary>A vector sensor that sends what stands in an array.</summary>
    public sealed class NamedNumbers : ISensor
    {
        readonly string m_Name;
        readonly float[] m_Values;

        public NamedNumbers(string name, float[] values)
        {
            m_Name = name;
            m_Values = values;
        }

        public string GetName() => m_Name;
        public ObservationSpec GetObservationSpec() => ObservationSpec.Vector(m_Values.Length);
        public byte[] GetCompressedObservation() => null;
        public CompressionSpec GetCompressionSpec() => CompressionSpec.Default();
        public void Update() { }
        public void Reset() { }

        public int Write(ObservationWriter writer)
        {
            writer.AddList(m_Values);
            return m_Values.Length;
        }
    }
}
