using System;
using UnityEngine;
using UnityEngine.SceneManagement;

namespace RobotRL
{
    /// <summary>The first scene of a player: loads the one that `--task NAME` names, arm_reach where none is named.</summary>
    public class TaskChooser : MonoBehaviour
    {
        public const string DefaultTask = "arm_reach";

        void Awake()
        {
            var task = Chosen(Environment.GetCommandLineArgs());
            if (SceneUtility.GetBuildIndexByScenePath($"Assets/Scenes/{task}.unity") < 0)
            {
                Debug.LogError($"--task {task}: this player has no such task");
                Application.Quit(2);
                return;
            }
            SceneManager.LoadScene(task);
        }

        /// <summary>The task that a command line names.</summary>
        public static string Chosen(string[] arguments)
        {
            var at = Array.IndexOf(arguments, "--task");
            return at >= 0 && at + 1 < arguments.Length ? arguments[at + 1] : DefaultTask;
        }
    }
}
