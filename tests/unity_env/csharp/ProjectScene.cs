// Plays one of the project's own scenes: built by the project's builder, copied as a scene file would keep it, loaded,
// replicated by ML-Agents, stepped until Python makes it quit.
using System;
using RobotRL;
using RobotRL.Building;
using Unity.MLAgents.Areas;
using UnityEngine;

public static class ProjectScene
{
    public static void Play()
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
        var quit = typeof(Application).GetProperty("HasQuit");
        engine.GetMethod("Load").Invoke(null, new object[] { new[] { copies, area } });
        while (!(bool)quit.GetValue(null))
        {
            frame();
            step();
        }
    }
}
