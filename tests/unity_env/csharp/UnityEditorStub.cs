// Declares what the project's Editor scripts use of UnityEditor, whose assembly no player contains. Written from the
// documentation: that the scripts compile against it says nothing about Unity's own signatures.
using System;
using UnityEngine;
using UnityEngine.SceneManagement;

namespace UnityEditor
{
    [AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
    public sealed class MenuItem : Attribute
    {
        public MenuItem(string itemName) { }
        public MenuItem(string itemName, bool isValidateFunction) { }
    }

    [Flags] public enum BuildOptions { None = 0, StrictMode = 2097152 }
    public enum BuildTarget { StandaloneOSX = 2, StandaloneWindows64 = 19, StandaloneLinux64 = 24 }
    public enum BuildTargetGroup { Unknown = 0, Standalone = 1 }
    public enum StandaloneBuildSubtarget { Default = 0, Server = 1, Player = 2 }

    public struct BuildPlayerOptions
    {
        public string[] scenes { get; set; }
        public string locationPathName { get; set; }
        public BuildTargetGroup targetGroup { get; set; }
        public BuildTarget target { get; set; }
        public int subtarget { get; set; }
        public BuildOptions options { get; set; }
    }

    public class BuildPipeline
    {
        public static Build.Reporting.BuildReport BuildPlayer(BuildPlayerOptions options) => throw new NotImplementedException();
    }

    public class EditorBuildSettingsScene
    {
        public EditorBuildSettingsScene(string path, bool enabled) { }
        public string path { get; set; }
    }

    public class EditorBuildSettings { public static EditorBuildSettingsScene[] scenes { get; set; } }

    public sealed class EditorApplication
    {
        public static void Exit(int returnValue) { }
        public static void EnterPlaymode() { }
    }

    public sealed class AssetDatabase
    {
        public static void CreateAsset(UnityEngine.Object asset, string path) { }
        public static void SaveAssets() { }
        public static void Refresh() { }
        public static T LoadAssetAtPath<T>(string assetPath) where T : UnityEngine.Object => throw new NotImplementedException();
    }

    public sealed class Selection { public static UnityEngine.Object activeObject { get; set; } }

    public sealed class EditorUtility { public static void SetDirty(UnityEngine.Object target) { } }

    public class Undo
    {
        public static T AddComponent<T>(GameObject gameObject) where T : Component => throw new NotImplementedException();
        public static void RecordObject(UnityEngine.Object target, string name) { }
    }
}

namespace UnityEditor.SceneManagement
{
    public enum NewSceneSetup { EmptyScene, DefaultGameObjects }
    public enum NewSceneMode { Single, Additive }

    public sealed class EditorSceneManager : SceneManager
    {
        public static Scene NewScene(NewSceneSetup setup, NewSceneMode mode) => throw new NotImplementedException();
        public static bool SaveScene(Scene scene, string path) => throw new NotImplementedException();
    }
}

namespace UnityEditor.Build.Reporting
{
    public enum BuildResult { Unknown, Succeeded, Failed, Cancelled }

    public struct BuildSummary
    {
        public BuildResult result { get; }
        public int totalErrors { get; }
    }

    public sealed class BuildReport : UnityEngine.Object
    {
        public BuildSummary summary => throw new NotImplementedException();
    }
}
