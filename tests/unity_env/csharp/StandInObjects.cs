// Objects of the stand-in engine: their hierarchy, and the messages that Unity's player loop sends them.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;

namespace UnityEngine
{
    public class Object
    {
        internal bool IsDestroyed;
        public virtual string name { get; set; } = "";
        public HideFlags hideFlags { get; set; }
        public int GetInstanceID() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
        public static void DontDestroyOnLoad(Object target) { }
        public static void Destroy(Object target) => DestroyImmediate(target);

        public static void DestroyImmediate(Object target)
        {
            if (target is Component component)
            {
                component.gameObject.Remove(component);
            }
            if (target is GameObject whole)
            {
                whole.RemoveAll();
            }
        }

        public static T Instantiate<T>(T original) where T : Object => (T)(Object)Copies.Of((GameObject)(Object)original);

        public static T Instantiate<T>(T original, Vector3 position, Quaternion rotation) where T : Object
        {
            var copy = Copies.Of((GameObject)(Object)original);
            copy.transform.SetPositionAndRotation(position, rotation);
            Engine.Activate(copy);
            return (T)(Object)copy;
        }

        public static bool operator ==(Object a, Object b) => ReferenceEquals(a, b);
        public static bool operator !=(Object a, Object b) => !ReferenceEquals(a, b);
        public override bool Equals(object other) => ReferenceEquals(this, other);
        public override int GetHashCode() => GetInstanceID();
        public static implicit operator bool(Object target) => !ReferenceEquals(target, null);
    }

    public sealed class GameObject : Object
    {
        internal readonly List<Component> Components = new List<Component>();
        internal bool IsActive = true;

        public GameObject(string name = "")
        {
            this.name = name;
            transform = new Transform();
            Adopt(transform);
        }

        public Transform transform { get; }
        public int layer { get; set; }
        public string tag { get; set; } = "";
        public bool activeInHierarchy => IsActive && (transform.parent == null || transform.parent.gameObject.activeInHierarchy);

        public static GameObject CreatePrimitive(PrimitiveType type)
        {
            var made = new GameObject(type.ToString());
            made.AddComponent<MeshFilter>().sharedMesh = new Mesh { name = type.ToString() };
            made.AddComponent<MeshRenderer>();
            made.AddComponent(Type.GetType("UnityEngine.SphereCollider, UnityEngine.PhysicsModule", true));
            return made;
        }

        public T AddComponent<T>() where T : Component => (T)AddComponent(typeof(T));

        public Component AddComponent(Type type)
        {
            foreach (var required in type.GetCustomAttributes<RequireComponent>(true).SelectMany(wanted => wanted.Types))
            {
                if (!required.IsAbstract && !Components.Any(required.IsInstanceOfType))
                {
                    AddComponent(required);
                }
            }
            var component = Adopt((Component)Activator.CreateInstance(type, true));
            if (activeInHierarchy)
            {
                Engine.Wake(component);
            }
            return component;
        }

        internal Component Adopt(Component component)
        {
            component.gameObject = this;
            Components.Add(component);
            return component;
        }

        internal void Remove(Component component)
        {
            Engine.Sleep(component);
            Components.Remove(component);
        }

        internal void RemoveAll()
        {
            transform.SetParent(null, false);
            foreach (var component in GetComponentsInChildren<Component>())
            {
                component.gameObject.Remove(component);
            }
        }

        public void SetActive(bool active)
        {
            IsActive = active;
            foreach (var component in GetComponentsInChildren<Component>())
            {
                if (!active)
                {
                    Engine.Sleep(component);
                }
                else if (component.gameObject.activeInHierarchy)
                {
                    Engine.Wake(component);
                }
            }
        }

        public T GetComponent<T>() => Components.OfType<T>().FirstOrDefault();
        public T[] GetComponents<T>() => Components.OfType<T>().ToArray();
        public T[] GetComponentsInChildren<T>() => transform.Below().SelectMany(below => below.gameObject.GetComponents<T>()).ToArray();
    }

    public class Component : Object
    {
        internal bool IsAwake, IsEnabled, HasStarted;
        public GameObject gameObject { get; set; }
        public Transform transform => gameObject.transform;
        public override string name { get => gameObject.name; set => gameObject.name = value; }
        public string tag { get => gameObject.tag; set => gameObject.tag = value; }
        public T GetComponent<T>() => gameObject.GetComponent<T>();
        public T[] GetComponents<T>() => gameObject.GetComponents<T>();
        public T[] GetComponentsInChildren<T>() => gameObject.GetComponentsInChildren<T>();

        public T GetComponentInParent<T>()
        {
            var found = GetComponent<T>();
            return found != null || transform.parent == null ? found : transform.parent.GetComponentInParent<T>();
        }
    }

    public class Behaviour : Component { public bool enabled { get; set; } = true; }
    public class MonoBehaviour : Behaviour { }
    public class ScriptableObject : Object { }

    public class Transform : Component
    {
        readonly List<Transform> m_Children = new List<Transform>();
        public Transform parent { get; private set; }
        public Vector3 localPosition { get; set; }
        public Quaternion localRotation { get; set; } = Quaternion.identity;
        public Vector3 localScale { get; set; } = Vector3.one;
        public Vector3 lossyScale => parent == null ? localScale : Vector3.Scale(parent.lossyScale, localScale);
        public Vector3 forward => rotation * Vector3.forward;

        public Quaternion rotation
        {
            get => parent == null ? localRotation : parent.rotation * localRotation;
            set => localRotation = parent == null ? value : Quaternion.Inverse(parent.rotation) * value;
        }

        public Vector3 position
        {
            get => parent == null ? localPosition : parent.TransformPoint(localPosition);
            set => localPosition = parent == null ? value : parent.InverseTransformPoint(value);
        }

        public void SetPositionAndRotation(Vector3 position, Quaternion rotation) => (this.position, this.rotation) = (position, rotation);
        public Vector3 TransformDirection(Vector3 v) => rotation * v;
        public Vector3 InverseTransformDirection(Vector3 v) => Quaternion.Inverse(rotation) * v;
        public Vector3 TransformPoint(Vector3 v) => position + rotation * Vector3.Scale(lossyScale, v);

        public Vector3 InverseTransformPoint(Vector3 v)
        {
            var (turned, scale) = (InverseTransformDirection(v - position), lossyScale);
            return new Vector3(turned.x / scale.x, turned.y / scale.y, turned.z / scale.z);
        }

        public void SetParent(Transform parent, bool worldPositionStays)
        {
            this.parent?.m_Children.Remove(this);
            this.parent = parent;
            parent?.m_Children.Add(this);
        }

        internal IEnumerable<Transform> Below() => m_Children.SelectMany(child => child.Below()).Prepend(this);
        internal IEnumerable<Transform> Children => m_Children;
    }

    /// Runs what Unity's player loop runs.
    public static class Engine
    {
        static readonly List<Component> s_Awake = new List<Component>();
        static readonly Dictionary<Type, int> s_Orders = new Dictionary<Type, int>();
        static readonly Dictionary<(Type, string), MethodInfo> s_Methods = new Dictionary<(Type, string), MethodInfo>();

        /// Load a scene: its objects are active from the start, and wake in the order of execution.
        public static void Load(params GameObject[] roots)
        {
            foreach (var root in roots)
            {
                root.IsActive = true;
            }
            Wake(roots);
        }

        internal static void Activate(GameObject copy)
        {
            if (copy.activeInHierarchy)
            {
                Wake(copy);
            }
        }

        static void Wake(params GameObject[] roots)
        {
            foreach (var component in roots.SelectMany(root => root.GetComponentsInChildren<Component>()).OrderBy(Order).ToArray())
            {
                Wake(component);
            }
        }

        /// One frame: Start of what is new, then FixedUpdate.
        public static void FixedFrame()
        {
            foreach (var component in s_Awake.Where(component => !component.HasStarted).OrderBy(Order).ToArray())
            {
                component.HasStarted = true;
                Message(component, "Start");
            }
            foreach (var component in s_Awake.OrderBy(Order).ToArray())
            {
                Message(component, "FixedUpdate");
            }
        }

        public static IEnumerable<T> All<T>() => s_Awake.OfType<T>();

        static int Order(Component component)
        {
            var type = component.GetType();
            if (!s_Orders.TryGetValue(type, out var order))
            {
                s_Orders[type] = order = type.GetCustomAttribute<DefaultExecutionOrder>()?.Value ?? 0;
            }
            return order;
        }

        internal static void Wake(Component component)
        {
            if (component.IsEnabled)
            {
                return;
            }
            component.IsEnabled = true;
            s_Awake.Add(component);
            if (!component.IsAwake)
            {
                component.IsAwake = true;
                Message(component, "Awake");
            }
            Message(component, "OnEnable");
        }

        internal static void Sleep(Component component)
        {
            if (component.IsEnabled)
            {
                component.IsEnabled = false;
                s_Awake.Remove(component);
                Message(component, "OnDisable");
            }
        }

        static void Message(Component receiver, string name)
        {
            var key = (receiver.GetType(), name);
            if (!s_Methods.TryGetValue(key, out var method))
            {
                s_Methods[key] = method = Find(receiver.GetType(), name);
            }
            method?.Invoke(receiver, null);
        }

        // Unity calls these methods by name, private or not, the most derived one only.
        static MethodInfo Find(Type type, string name)
        {
            const BindingFlags own = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly;
            var found = type.GetMethod(name, own, null, Type.EmptyTypes, null);
            return found != null || type.BaseType == null ? found : Find(type.BaseType, name);
        }
    }
}
