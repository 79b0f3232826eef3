// Plays one of the project's own scenes: built by the project's builder, copied as a scene file would keep it, loaded,
// replicated by ML-Agents, stepped until Python makes it quit.
using System;
using System.Collections.Generic;
using System.Linq;
using RobotRL;
using RobotRL.Building;
using Unity.MLAgents.Areas;
using UnityEngine;

public static class ProjectScene
{
    public static void Play()
    {
        var (next, _) = Load();
        var quit = typeof(Application).GetProperty("HasQuit"); // only the stand-in engine has it
        while (!(bool)quit.GetValue(null))
        {
            next();
        }
    }

    /// Plays `--frames` physics steps without a trainer while the keys of `--keys` are pressed; tells what was sensed.
    public static void PlayAlone()
    {
        var arguments = Environment.GetCommandLineArgs();
        var (next, area) = Load();
        var pressed = (HashSet<int>)typeof(Input).GetField("Pressed").GetValue(null);
        pressed.UnionWith(Argument(arguments, "--keys").Split(',').Select(int.Parse));
        for (var i = int.Parse(Argument(arguments, "--frames")); i > 0; i--)
        {
            next();
        }
        var agent = area.GetComponentsInChildren<RobotAgent>().Single();
        var sensors = agent.GetComponent<RobotSensors>().CreateSensors().Select(sensor => sensor.GetName());
        Console.WriteLine("sensors " + string.Join(" ", sensors));
        Console.WriteLine("observation " + string.Join(" ", agent.Observation));
    }

    static string Argument(string[] arguments, string name) => arguments[Array.IndexOf(arguments, name) + 1];

    static (Action next, GameObject area) Load()
    {
        var built = new AreaBuilder(_ => null).Build(TaskChooser.Chosen(Environment.GetCommandLineArgs()));
        var area = UnityEngine.Object.Instantiate(built);
        var copies = new GameObject("TrainingAreaReplicator");
        copies.SetActive(false);
        var replicator = copies.AddComponent<TrainingAreaReplicator>();
        replicator.baseArea = area;
        replicator.numAreas = 1;
        replicator.separation = 12f;
        // Only the stand-in engine has these, and this file is compiled against the real one.
        var engine = typeof(GameObject).Assembly.GetType("UnityEngine.Engine");
        var frame = (Action)Delegate.CreateDelegate(typeof(Action), engine.GetMethod("FixedFrame"));
        var step = (Action)Delegate.CreateDelegate(typeof(Action), typeof(Physics).GetMethod("Step"));
        engine.GetMethod("Load").Invoke(null, new object[] { new[] { copies, area } });
        return (frame + step, area);
    }
}
