// Takes the place of UnityEngine.CoreModule, which needs Unity's native engine: what ML-Agents touches while it runs
// agents with vector, buffer and image sensors, and what this project's scripts touch. Anything else of UnityEngine fails when it is first used.
using System;

namespace UnityEngine
{
    public class UnityException : Exception { }
    public interface ISerializationCallbackReceiver { void OnBeforeSerialize(); void OnAfterDeserialize(); }
    [Flags] public enum HideFlags { None = 0, HideInHierarchy = 1, HideInInspector = 2 }

    public static class Application
    {
        public static bool HasQuit { get; private set; }
        public static string unityVersion => "stand-in";
        public static string productName => "stand-in";
        public static string dataPath => ".";
        public static string streamingAssetsPath => Environment.GetEnvironmentVariable("STREAMING_ASSETS");
        public static bool isEditor => false;
        public static int targetFrameRate { get; set; }
        public static event Action quitting;
        public static void Quit(int exitCode) => Quit();
        public static void Quit()
        {
            if (!HasQuit)
            {
                Debug.Log("quit");
                HasQuit = true;
                quitting?.Invoke();
            }
        }
    }

    public static class Debug
    {
        public static void Log(object message) => Console.WriteLine("[log] " + message);
        public static void LogWarning(object message) => Console.WriteLine("[warning] " + message);
        public static void LogError(object message, Object about) => LogError(message);
        public static void LogError(object message) => Console.WriteLine("[error] " + message);
        public static void LogWarningFormat(string format, params object[] values) => LogWarning(string.Format(format, values));
        public static void Assert(bool condition) => Assert(condition, "assertion failed");
        public static void Assert(bool condition, string message) { if (!condition) LogError(message); }
        public static void AssertFormat(bool condition, string format, params object[] values) =>
            Assert(condition, string.Format(format, values));
    }

    public static class Mathf
    {
        public const float Rad2Deg = 57.29578f;
        public static float Abs(float x) => Math.Abs(x);
        public static float Pow(float x, float power) => (float)Math.Pow(x, power);
        public static float Sin(float x) => (float)Math.Sin(x);
        public static float Cos(float x) => (float)Math.Cos(x);
        public static int CeilToInt(float x) => (int)Math.Ceiling(x);
        public static int Clamp(int x, int low, int high) => Math.Min(Math.Max(x, low), high);
        public static float Clamp(float x, float low, float high) => Math.Min(Math.Max(x, low), high);
        public static int Min(int a, int b) => Math.Min(a, b);
        public static float Min(float a, float b) => Math.Min(a, b);
        public static int Max(int a, int b) => Math.Max(a, b);
        public static float Max(float a, float b) => Math.Max(a, b);
    }

    public static class Random
    {
        static System.Random s_Random = new System.Random(0);
        public static int Range(int low, int high) => s_Random.Next(low, high);

        public static void InitState(int seed)
        {
            Debug.Log("seed " + seed);
            s_Random = new System.Random(seed);
        }
    }

    public static class Time
    {
        public static float timeScale { get; set; } = 1;
        public static float fixedDeltaTime { get; set; } = 0.02f;
        public static int captureFramerate { get; set; }
        public static int frameCount => 0;
    }

    public static class Screen
    {
        public static void SetResolution(int width, int height, bool full) => Debug.Log($"screen {width}x{height}");
    }

    public static class QualitySettings
    {
        public static void SetQualityLevel(int level, bool expensive) => Debug.Log("quality " + level);
    }

    public class SerializeField : Attribute { }
    public class HideInInspector : Attribute { }
    public class HelpURLAttribute : Attribute { public HelpURLAttribute(string url) { } }
    public class AddComponentMenu : Attribute { public AddComponentMenu(string menu, int order) { } }
    public class DefaultExecutionOrder : Attribute
    {
        public readonly int Value;
        public DefaultExecutionOrder(int order) { Value = order; }
    }

    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public class RequireComponent : Attribute
    {
        public readonly Type[] Types;
        public RequireComponent(Type type) { Types = new[] { type }; }
        public RequireComponent(Type one, Type other) { Types = new[] { one, other }; }
    }
    public class ContextMenu : Attribute { public ContextMenu(string item) { } }
    public class PropertyAttribute : Attribute { }
    public class HeaderAttribute : PropertyAttribute { public HeaderAttribute(string header) { } }
    public class RangeAttribute : PropertyAttribute { public RangeAttribute(float low, float high) { } }
    public class TooltipAttribute : PropertyAttribute { public TooltipAttribute(string tooltip) { } }
}

namespace UnityEngine.Profiling
{
    public static class Profiler { public static void BeginSample(string name) { } public static void EndSample() { } }
    public class CustomSampler
    {
        public static CustomSampler Create(string name, bool gpu = false) => new CustomSampler();
        public void Begin() { }
        public void End() { }
    }
}

namespace UnityEngine.Assertions
{
    public static class Assert
    {
        public static void IsTrue(bool condition, string message) => Debug.Assert(condition, message);
    }
}

namespace UnityEngine.SceneManagement
{
    public struct Scene { public string name => "stand-in"; }
    public static class SceneManager { public static Scene GetActiveScene() => default; }
}


namespace UnityEngine.Scripting.APIUpdating
{
    public class MovedFromAttribute : Attribute { public MovedFromAttribute(string name) { } }
}

namespace UnityEngine.Serialization
{
    public class FormerlySerializedAsAttribute : Attribute { public FormerlySerializedAsAttribute(string name) { } }
}
