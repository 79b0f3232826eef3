using System;
using UnityEditor;
using UnityEditor.Build.Reporting;
using UnityEngine;

/// <summary>
/// Builds the scenes and a player from the command line, which exits with code 1 where that fails:
/// Unity -batchmode -quit -projectPath PROJECT -executeMethod PlayerBuild.Linux [-output FILE]
/// </summary>
public static class PlayerBuild
{
    [MenuItem("RobotRL/Build Player/Linux")]
    public static void Linux() => Build(BuildTarget.StandaloneLinux64, "Builds/Linux/robotrl.x86_64");

    [MenuItem("RobotRL/Build Player/Linux Server")]
    public static void LinuxServer() =>
        Build(BuildTarget.StandaloneLinux64, "Builds/LinuxServer/robotrl.x86_64", StandaloneBuildSubtarget.Server);

    [MenuItem("RobotRL/Build Player/Windows")]
    public static void Windows() => Build(BuildTarget.StandaloneWindows64, "Builds/Windows/robotrl.exe");

    [MenuItem("RobotRL/Build Player/macOS")]
    public static void MacOS() => Build(BuildTarget.StandaloneOSX, "Builds/macOS/robotrl.app");

    static void Build(BuildTarget target, string output, StandaloneBuildSubtarget subtarget = StandaloneBuildSubtarget.Player)
    {
        RobotRL.Editor.SceneBuilder.BuildAll();
        var options = new BuildPlayerOptions
        {
            scenes = Array.ConvertAll(EditorBuildSettings.scenes, scene => scene.path),
            locationPathName = Argument("-output") ?? output,
            targetGroup = BuildTargetGroup.Standalone,
            target = target,
            subtarget = (int)subtarget,
            options = BuildOptions.StrictMode,
        };
        var summary = BuildPipeline.BuildPlayer(options).summary;
        Debug.Log($"{options.locationPathName}: {summary.result}, {summary.totalErrors} errors");
        if (summary.result != BuildResult.Succeeded && Application.isBatchMode)
        {
            EditorApplication.Exit(1);
        }
    }

    static string Argument(string name)
    {
        var arguments = Environment.GetCommandLineArgs();
        var at = Array.IndexOf(arguments, name);
        return at >= 0 && at + 1 < arguments.Length ? arguments[at + 1] : null;
    }
}
