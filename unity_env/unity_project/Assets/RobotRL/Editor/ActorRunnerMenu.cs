using Unity.InferenceEngine;
using Unity.MLAgents.Policies;
using UnityEditor;
using UnityEngine;

namespace RobotRL.Editor
{
    /// <summary>
    /// One click: the actor that is selected among the assets drives the robots of the open scene; where there are
    /// robots of several behaviors, those that the file is named after.
    /// </summary>
    public static class ActorRunnerMenu
    {
        const string k_Item = "Assets/RobotRL/Run This Actor";

        [MenuItem(k_Item)]
        public static void Run()
        {
            var actor = (ModelAsset)Selection.activeObject;
            foreach (var agent in Driven(actor.name))
            {
                var runner = agent.GetComponent<ActorRunnerBehaviour>();
                runner = runner == null ? Undo.AddComponent<ActorRunnerBehaviour>(agent.gameObject) : runner;
                Undo.RecordObject(runner, "Run This Actor");
                runner.Actor = actor;
                EditorUtility.SetDirty(runner);
            }
            EditorApplication.EnterPlaymode();
        }

        static RobotAgent[] Driven(string actor)
        {
            var agents = Object.FindObjectsByType<RobotAgent>(FindObjectsSortMode.None);
            var named = System.Array.FindAll(agents, agent => agent.GetComponent<BehaviorParameters>().BehaviorName == actor);
            return named.Length > 0 ? named : agents;
        }

        [MenuItem(k_Item, true)]
        public static bool CanRun() => Selection.activeObject is ModelAsset;
    }
}
