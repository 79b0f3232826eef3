// A scene as a user would write it, compiled against the real UnityEngine and ML-Agents assemblies. Its agents tell
// Python what they received, so that Python can check every number.
using System;
using System.Collections.Generic;
using Unity.MLAgents;
using Unity.MLAgents.Actuators;
using Unity.MLAgents.Policies;
using Unity.MLAgents.Sensors;
using Unity.MLAgents.SideChannels;
using UnityEngine;

/// Observes [number, episode, StepCount, actions received in this episode, "gravity", time scale, last action ...].
/// The last continuous action commands: above 1 ends the episode, below -1 interrupts it. The first one is the reward.
/// In the first branch one choice is masked, another one after every action.
public class EchoAgent : Agent
{
    public const int Fixed = 6;
    public int Number;
    public float GroupReward;
    public SimpleMultiAgentGroup Group;
    int m_Episode;
    int m_Received;
    float[] m_Last;

    public override void OnEpisodeBegin()
    {
        var spec = GetComponent<BehaviorParameters>().BrainParameters.ActionSpec;
        m_Last = new float[spec.NumContinuousActions + spec.NumDiscreteActions];
        m_Received = 0;
        m_Episode++;
    }

    public override void CollectObservations(VectorSensor sensor)
    {
        sensor.AddObservation(Number);
        sensor.AddObservation(m_Episode);
        sensor.AddObservation(StepCount);
        sensor.AddObservation(m_Received);
        sensor.AddObservation(Academy.Instance.EnvironmentParameters.GetWithDefault("gravity", -1f));
        sensor.AddObservation(Time.timeScale);
        foreach (var value in m_Last)
        {
            sensor.AddObservation(value);
        }
        var buffer = GetComponent<BufferSensorComponent>();
        for (var row = 0; buffer != null && row < m_Received % 4; row++)
        {
            buffer.AppendObservation(new[] { row + 1f, m_Received });
        }
    }

    public override void WriteDiscreteActionMask(IDiscreteActionMask mask)
    {
        var sizes = GetComponent<BehaviorParameters>().BrainParameters.ActionSpec.BranchSizes;
        mask.SetActionEnabled(0, m_Received % sizes[0], false);
    }

    public override void OnActionReceived(ActionBuffers actions)
    {
        var continuous = actions.ContinuousActions;
        var discrete = actions.DiscreteActions;
        for (var i = 0; i < m_Last.Length; i++)
        {
            m_Last[i] = i < continuous.Length ? continuous[i] : discrete[i - continuous.Length];
        }
        m_Received++;
        if (continuous.Length == 0)
        {
            return;
        }
        AddReward(continuous[0]);
        Group?.AddGroupReward(GroupReward);
        Academy.Instance.StatsRecorder.Add("scene/received", continuous[0]);
        Academy.Instance.StatsRecorder.Add("scene/actions", 1f, StatAggregationMethod.Sum);
        Academy.Instance.StatsRecorder.Add("scene/last", continuous[0], StatAggregationMethod.MostRecent);
        var command = continuous[continuous.Length - 1];
        if (command > 1)
        {
            EndEpisode();
        }
        else if (command < -1)
        {
            EpisodeInterrupted();
        }
    }
}

/// An image as ML-Agents' cameras send them, without a camera: raw, or compressed to PNG.
public class ImageSensorComponent : SensorComponent
{
    public override ISensor[] CreateSensors() => new ISensor[] { new ImageSensor(false), new ImageSensor(true) };
}

public class ImageSensor : ISensor
{
    // Two rows of three pixels: red green blue, black white grey(128).
    const string k_Png = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAGElEQVR4nAXBAQEAAAjDIIz+5BOE0KHa9j7oB3+xZADCAAAAAElFTkSuQmCC";
    static readonly byte[] k_Pixels = { 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 128, 128, 128 };
    readonly bool m_Compressed;
    public ImageSensor(bool compressed) { m_Compressed = compressed; }
    public string GetName() => m_Compressed ? "png" : "raw";
    public ObservationSpec GetObservationSpec() => ObservationSpec.Visual(3, 2, 3);
    public byte[] GetCompressedObservation() => Convert.FromBase64String(k_Png);
    public CompressionSpec GetCompressionSpec() =>
        m_Compressed ? new CompressionSpec(SensorCompressionType.PNG) : CompressionSpec.Default();
    public void Update() { }
    public void Reset() { }

    public int Write(ObservationWriter writer)
    {
        for (var i = 0; i < k_Pixels.Length; i++)
        {
            writer[i % 3, i / 9, i / 3 % 3] = k_Pixels[i] / 255f;
        }
        return k_Pixels.Length;
    }
}

/// Answers every (text, numbers) with ("done: " text, count, numbers), and passes it on.
public class CommandChannel : SideChannel
{
    readonly Action<string, int> m_Do;

    public CommandChannel(Action<string, int> act)
    {
        ChannelId = new Guid("3f0a8c1e-7f1b-4d9e-9a35-0c6c2d9c1b77");
        m_Do = act;
    }

    protected override void OnMessageReceived(IncomingMessage message)
    {
        var text = message.ReadString();
        var numbers = message.ReadFloatList();
        m_Do(text, numbers.Count == 0 ? 0 : (int)numbers[0]);
        using (var answer = new OutgoingMessage())
        {
            answer.WriteString("done: " + text);
            answer.WriteInt32(numbers.Count);
            answer.WriteFloatList(numbers);
            QueueMessageToSend(answer);
        }
    }
}

public static class Scene
{
    static readonly List<EchoAgent> s_Agents = new List<EchoAgent>();
    static readonly Queue<Action> s_Orders = new Queue<Action>();

    /// Runs until Python makes it quit.
    public static void Play()
    {
        SideChannelManager.RegisterSideChannel(new CommandChannel((order, number) => s_Orders.Enqueue(() => Obey(order, number))));
        var academy = Academy.Instance; // shakes hands
        if (!academy.IsCommunicatorOn)
        {
            throw new InvalidOperationException("ML-Agents did not connect");
        }
        Debug.Log("areas " + academy.NumAreas);
        // name, actions, decision period, MaxStep
        Add("Robot", ActionSpec.MakeContinuous(3), 1, 0);
        Add("Robot", ActionSpec.MakeContinuous(3), 1, 25);
        Add("Robot", ActionSpec.MakeContinuous(3), 3, 0);
        Add("Sorter", new ActionSpec(2, new[] { 3, 2 }), 2, 0);
        Add("Switch", ActionSpec.MakeDiscrete(4), 1, 10);
        while (!HasQuit())
        {
            while (s_Orders.Count > 0)
            {
                s_Orders.Dequeue()();
            }
            academy.EnvironmentStep(); // what ML-Agents' own component does in every FixedUpdate
        }
    }

    static void Obey(string order, int number)
    {
        switch (order)
        {
            case "leave": s_Agents[number].gameObject.SetActive(false); break;
            case "return": s_Agents[number].gameObject.SetActive(true); break;
            case "add watcher": AddWatcher(); break;
            case "add team": AddTeam(); break;
        }
    }

    static EchoAgent Add(string behavior, ActionSpec actions, int period, int maxStep, int stacked = 1, bool senses = false)
    {
        var robot = new GameObject(behavior + s_Agents.Count);
        var parameters = robot.AddComponent<BehaviorParameters>();
        parameters.BehaviorName = behavior;
        parameters.BrainParameters.ActionSpec = actions;
        parameters.BrainParameters.VectorObservationSize =
            EchoAgent.Fixed + actions.NumContinuousActions + actions.NumDiscreteActions;
        parameters.BrainParameters.NumStackedVectorObservations = stacked;
        if (senses)
        {
            var buffer = robot.AddComponent<BufferSensorComponent>();
            buffer.SensorName = "obstacles";
            buffer.ObservableSize = 2;
            buffer.MaxNumObservables = 3;
            robot.AddComponent<ImageSensorComponent>();
        }
        var agent = robot.AddComponent<EchoAgent>();
        agent.Number = s_Agents.Count;
        agent.MaxStep = maxStep;
        robot.AddComponent<DecisionRequester>().DecisionPeriod = period;
        s_Agents.Add(agent);
        return agent;
    }

    static void AddWatcher() => Add("Watcher", ActionSpec.MakeContinuous(1), 1, 0, 2, true);

    static void AddTeam()
    {
        var group = new SimpleMultiAgentGroup();
        for (var i = 0; i < 2; i++)
        {
            var agent = Add("Player", ActionSpec.MakeContinuous(1), 1, 0);
            agent.Group = group;
            agent.GroupReward = 0.25f;
            group.RegisterAgent(agent);
        }
    }

    // Only the stand-in engine knows this property, and this file is compiled against the real one.
    static bool HasQuit() => (bool)typeof(Application).GetProperty("HasQuit").GetValue(null);
}
