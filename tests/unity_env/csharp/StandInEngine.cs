// Takes the place of UnityEngine.CoreModule, which needs Unity's native engine: what ML-Agents touches while it runs
// agents with vector, buffer and image sensors. Anything else of UnityEngine fails when it is first used.
using System;
using System.Collections.Generic;
using System.Reflection;

namespace UnityEngine
{
    public class Object
    {
        public string name { get; set; }
        public HideFlags hideFlags { get; set; }
        public int GetInstanceID() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
        public static void DontDestroyOnLoad(Object target) { }
        public static void Destroy(Object target) { }
        public static void DestroyImmediate(Object target) { }
        public static bool operator ==(Object a, Object b) => ReferenceEquals(a, b);
        public static bool operator !=(Object a, Object b) => !ReferenceEquals(a, b);
        public override bool Equals(object other) => ReferenceEquals(this, other);
        public override int GetHashCode() => GetInstanceID();
        public static implicit operator bool(Object target) => !ReferenceEquals(target, null);
    }

    public class GameObject : Object
    {
        readonly List<Component> m_Components = new List<Component>();
        bool m_Active = true;

        public GameObject(string name) { this.name = name; }

        public T AddComponent<T>() where T : Component
        {
            var component = (T)Activator.CreateInstance(typeof(T), true);
            component.gameObject = this;
            m_Components.Add(component);
            Message(component, "Awake");
            Message(component, "OnEnable");
            return component;
        }

        public void SetActive(bool active)
        {
            if (active != m_Active)
            {
                m_Components.ForEach(component => Message(component, active ? "OnEnable" : "OnDisable"));
            }
            m_Active = active;
        }

        public T GetComponent<T>() => Array.Find(GetComponents<T>(), _ => true);

        public T[] GetComponents<T>()
        {
            var found = new List<T>();
            foreach (var component in m_Components)
            {
                if (component is T wanted)
                {
                    found.Add(wanted);
                }
            }
            return found.ToArray();
        }

        public T[] GetComponentsInChildren<T>() => GetComponents<T>();

        // Unity calls these methods by name, private or not, the most derived one only.
        static void Message(Component receiver, string name)
        {
            const BindingFlags own = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly;
            for (var type = receiver.GetType(); type != null; type = type.BaseType)
            {
                var method = type.GetMethod(name, own, null, Type.EmptyTypes, null);
                if (method != null)
                {
                    method.Invoke(receiver, null);
                    return;
                }
            }
        }
    }

    public class Component : Object
    {
        public GameObject gameObject { get; set; }
        public T GetComponent<T>() => gameObject.GetComponent<T>();
        public T[] GetComponents<T>() => gameObject.GetComponents<T>();
        public T[] GetComponentsInChildren<T>() => gameObject.GetComponents<T>();
    }

    public class Behaviour : Component { public bool enabled { get; set; } }
    public class MonoBehaviour : Behaviour { }
    public class ScriptableObject : Object { }
    public class Transform : Component { }
    public class UnityException : Exception { }
    public interface ISerializationCallbackReceiver { void OnBeforeSerialize(); void OnAfterDeserialize(); }
    [Flags] public enum HideFlags { None = 0, HideInHierarchy = 1, HideInInspector = 2 }

    public static class Application
    {
        public static bool HasQuit { get; private set; }
        public static string unityVersion => "stand-in";
        public static string productName => "stand-in";
        public static string dataPath => ".";
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
        public static void LogError(object message) => Console.WriteLine("[error] " + message);
        public static void LogWarningFormat(string format, params object[] values) => LogWarning(string.Format(format, values));
        public static void Assert(bool condition) => Assert(condition, "assertion failed");
        public static void Assert(bool condition, string message) { if (!condition) LogError(message); }
        public static void AssertFormat(bool condition, string format, params object[] values) =>
            Assert(condition, string.Format(format, values));
    }

    public static class Mathf
    {
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

    public static class Random { public static void InitState(int seed) => Debug.Log("seed " + seed); }
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

    public struct Vector2 { public float x, y; }
    public struct Vector3 { public float x, y, z; }
    public struct Vector4 { public float x, y, z, w; }
    public struct Quaternion { public float x, y, z, w; }

    public class SerializeField : Attribute { }
    public class HideInInspector : Attribute { }
    public class HelpURLAttribute : Attribute { public HelpURLAttribute(string url) { } }
    public class AddComponentMenu : Attribute { public AddComponentMenu(string menu, int order) { } }
    public class DefaultExecutionOrder : Attribute { public DefaultExecutionOrder(int order) { } }
    public class RequireComponent : Attribute { public RequireComponent(Type type) { } }
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
