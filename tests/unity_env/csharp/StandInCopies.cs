// Copies of the stand-in engine's objects: what Unity would save in a scene file, and read from it again.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;

namespace UnityEngine
{
    /// Copies objects as Unity does: of scripts, the fields that it would save, and nothing else.
    static class Copies
    {
        const BindingFlags k_Own = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly;

        public static GameObject Of(GameObject original)
        {
            var known = new Dictionary<Object, Object>();
            var copy = Skeleton(original, null, known);
            foreach (var pair in known.Where(pair => pair.Key is Component && !(pair.Key is Transform)).ToArray())
            {
                CopyFields(pair.Key, pair.Value, known, pair.Key.GetType());
            }
            return copy;
        }

        static GameObject Skeleton(GameObject original, Transform parent, Dictionary<Object, Object> known)
        {
            var copy = new GameObject(original.name) { layer = original.layer, tag = original.tag, IsActive = original.IsActive };
            var (from, to) = (original.transform, copy.transform);
            to.SetParent(parent, false);
            (to.localPosition, to.localRotation, to.localScale) = (from.localPosition, from.localRotation, from.localScale);
            known[original] = copy;
            known[from] = to;
            foreach (var component in original.Components.Where(component => !(component is Transform)))
            {
                known[component] = copy.Adopt((Component)Activator.CreateInstance(component.GetType(), true));
            }
            foreach (var child in from.Children.ToArray())
            {
                Skeleton(child.gameObject, to, known);
            }
            return copy;
        }

        static void CopyFields(object from, object to, Dictionary<Object, Object> known, Type type)
        {
            for (; type != null && type != typeof(Component) && type != typeof(object); type = type.BaseType)
            {
                foreach (var field in type.GetFields(k_Own).Where(field => IsSaved(field, type)))
                {
                    field.SetValue(to, Copy(field.GetValue(from), known));
                }
            }
        }

        static bool IsSaved(FieldInfo field, Type type)
        {
            if (type.Assembly.GetName().Name.StartsWith("UnityEngine."))
            {
                return true; // the engine's own components know how to save themselves
            }
            var wanted = field.IsPublic || field.IsDefined(typeof(SerializeField), false);
            return wanted && !field.IsInitOnly && !field.IsDefined(typeof(NonSerializedAttribute), false) && CanBeSaved(field.FieldType);
        }

        static bool CanBeSaved(Type type)
        {
            if (type.IsArray || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(List<>)))
            {
                return CanBeSaved(type.IsArray ? type.GetElementType() : type.GetGenericArguments()[0]);
            }
            var plain = type.IsPrimitive || type.IsEnum || type == typeof(string) || typeof(Object).IsAssignableFrom(type);
            return plain || type.IsDefined(typeof(SerializableAttribute), false) || type.Namespace == "UnityEngine";
        }

        static object Copy(object value, Dictionary<Object, Object> known)
        {
            if (value is Object reference)
            {
                return known.TryGetValue(reference, out var copied) ? copied : value;
            }
            if (value is Array array)
            {
                var copy = Array.CreateInstance(array.GetType().GetElementType(), array.Length);
                for (var i = 0; i < array.Length; i++)
                {
                    copy.SetValue(Copy(array.GetValue(i), known), i);
                }
                return copy;
            }
            if (value is IList list)
            {
                var copy = (IList)Activator.CreateInstance(value.GetType());
                foreach (var item in list)
                {
                    copy.Add(Copy(item, known));
                }
                return copy;
            }
            if (value == null || value is string || value.GetType().IsValueType)
            {
                return value;
            }
            var made = Activator.CreateInstance(value.GetType(), true);
            CopyFields(value, made, known, value.GetType());
            return made;
        }
    }
}
