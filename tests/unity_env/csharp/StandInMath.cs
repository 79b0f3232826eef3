// Vectors, rotations, meshes and arrays of the stand-in engine.
using System;

namespace UnityEngine
{
    public struct Vector2 { public float x, y; }
    public struct Vector4 { public float x, y, z, w; }

    public struct Vector3
    {
        public float x, y, z;

        public Vector3(float x, float y, float z) => (this.x, this.y, this.z) = (x, y, z);

        public static Vector3 zero => default;
        public static Vector3 one => new Vector3(1, 1, 1);
        public static Vector3 up => new Vector3(0, 1, 0);
        public static Vector3 right => new Vector3(1, 0, 0);
        public static Vector3 forward => new Vector3(0, 0, 1);
        public float magnitude => (float)Math.Sqrt((double)x * x + (double)y * y + (double)z * z);
        public Vector3 normalized => magnitude > 1e-9f ? 1 / magnitude * this : zero;
        public float this[int i] => i == 0 ? x : i == 1 ? y : z;

        public static Vector3 operator +(Vector3 a, Vector3 b) => new Vector3(a.x + b.x, a.y + b.y, a.z + b.z);
        public static Vector3 operator -(Vector3 a, Vector3 b) => new Vector3(a.x - b.x, a.y - b.y, a.z - b.z);
        public static Vector3 operator -(Vector3 a) => new Vector3(-a.x, -a.y, -a.z);
        public static Vector3 operator *(float s, Vector3 a) => new Vector3(s * a.x, s * a.y, s * a.z);
        public static Vector3 operator *(Vector3 a, float s) => s * a;
        public static Vector3 Scale(Vector3 a, Vector3 b) => new Vector3(a.x * b.x, a.y * b.y, a.z * b.z);
        public static float Dot(Vector3 a, Vector3 b) => a.x * b.x + a.y * b.y + a.z * b.z;

        public static Vector3 Cross(Vector3 a, Vector3 b) =>
            new Vector3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
    }

    public struct Quaternion
    {
        public float x, y, z, w;

        public Quaternion(float x, float y, float z, float w) => (this.x, this.y, this.z, this.w) = (x, y, z, w);

        public static Quaternion identity => new Quaternion(0, 0, 0, 1);
        public static Quaternion Inverse(Quaternion q) => new Quaternion(-q.x, -q.y, -q.z, q.w);

        /// About a unit axis, rad.
        public static Quaternion About(Vector3 axis, double angle)
        {
            var v = (float)Math.Sin(0.5 * angle) * axis;
            return new Quaternion(v.x, v.y, v.z, (float)Math.Cos(0.5 * angle));
        }

        public static Quaternion operator *(Quaternion a, Quaternion b)
        {
            var (p, q) = (new Vector3(a.x, a.y, a.z), new Vector3(b.x, b.y, b.z));
            var v = a.w * q + b.w * p + Vector3.Cross(p, q);
            return new Quaternion(v.x, v.y, v.z, a.w * b.w - Vector3.Dot(p, q));
        }

        public static Vector3 operator *(Quaternion a, Vector3 v)
        {
            var p = new Vector3(a.x, a.y, a.z);
            var twice = 2 * Vector3.Cross(p, v);
            return v + a.w * twice + Vector3.Cross(p, twice);
        }
    }

    public enum PrimitiveType { Sphere, Capsule, Cylinder, Cube, Plane, Quad }
    public enum KeyCode { None }
    public sealed class Mesh : Object { }
    public class Material : Object { }
    public sealed class MeshFilter : Component { public Mesh sharedMesh { get; set; } }
    public class Renderer : Component { public Material sharedMaterial { get; set; } }
    public class MeshRenderer : Renderer { }
}

namespace Unity.Jobs { public struct JobHandle { public void Complete() { } } }

namespace Unity.Collections
{
    public enum Allocator { Invalid, None, Temp, TempJob, Persistent }
    public enum NativeArrayOptions { UninitializedMemory, ClearMemory }

    public struct NativeArray<T> : IDisposable where T : struct
    {
        T[] m_Items;
        public NativeArray(int length, Allocator allocator, NativeArrayOptions options = NativeArrayOptions.ClearMemory) => m_Items = new T[length];
        public bool IsCreated => m_Items != null;
        public int Length => m_Items.Length;
        public T this[int index] { get => m_Items[index]; set => m_Items[index] = value; }
        public void Dispose() => m_Items = null;
    }
}
