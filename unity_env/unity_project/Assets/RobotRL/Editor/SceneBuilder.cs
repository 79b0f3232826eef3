using System.Collections.Generic;
using System.IO;
using System.Linq;
using RobotRL.Building;
using Unity.MLAgents.Areas;
using UnityEditor;
using UnityEditor.SceneManagement;
using UnityEngine;

namespace RobotRL.Editor
{
    /// <summary>Builds the scenes from the descriptions: nothing in them is made by hand, and they are not kept in git.</summary>
    public static class SceneBuilder
    {
        const string k_Scenes = "Assets/Scenes", k_Materials = "Assets/Materials";
        const int k_Areas = 1; // where no trainer asks for more
        const float k_Separation = 12f; // m, more than the widest room

        static readonly Dictionary<string, Color> k_Colors = new Dictionary<string, Color>
        {
            ["body"] = new Color(0.92f, 0.93f, 0.94f),
            ["accent"] = new Color(0.09f, 0.43f, 0.75f),
            ["dark"] = new Color(0.15f, 0.17f, 0.20f),
            ["ground"] = new Color(0.66f, 0.69f, 0.72f),
            ["wall"] = new Color(0.90f, 0.89f, 0.86f),
            ["wood"] = new Color(0.83f, 0.75f, 0.64f),
            ["goal"] = new Color(0.20f, 0.66f, 0.40f),
            ["obstacle"] = new Color(0.87f, 0.45f, 0.28f),
            ["cube"] = new Color(0.95f, 0.72f, 0.12f),
            ["skin"] = new Color(0.86f, 0.67f, 0.54f),
            ["shirt"] = new Color(0.25f, 0.46f, 0.62f),
            ["trousers"] = new Color(0.27f, 0.29f, 0.35f),
        };

        [MenuItem("RobotRL/Build Scenes")]
        public static void BuildAll()
        {
            Directory.CreateDirectory(k_Scenes);
            Directory.CreateDirectory(k_Materials);
            AssetDatabase.Refresh();
            var scenes = new List<string> { BuildChooser() };
            scenes.AddRange(new AreaBuilder(GetMaterial).Tasks.Select(BuildTask));
            EditorBuildSettings.scenes = scenes.Select(path => new EditorBuildSettingsScene(path, true)).ToArray();
            AssetDatabase.SaveAssets();
            Debug.Log($"built {scenes.Count} scenes in {k_Scenes}");
        }

        /// <summary>The scene that a player starts with.</summary>
        static string BuildChooser()
        {
            var scene = EditorSceneManager.NewScene(NewSceneSetup.EmptyScene, NewSceneMode.Single);
            new GameObject("TaskChooser").AddComponent<TaskChooser>();
            return Save(scene, "start");
        }

        static string BuildTask(string task)
        {
            var scene = EditorSceneManager.NewScene(NewSceneSetup.EmptyScene, NewSceneMode.Single);
            var area = new AreaBuilder(GetMaterial).Build(task);
            area.SetActive(true);
            var replicator = new GameObject("TrainingAreaReplicator").AddComponent<TrainingAreaReplicator>();
            replicator.baseArea = area;
            replicator.numAreas = k_Areas;
            replicator.separation = k_Separation;
            replicator.buildOnly = false; // a trainer's num_areas counts in the Editor, too
            AddLight();
            AddCamera(task.StartsWith("arm") ? 1.8f : 7f);
            return Save(scene, task);
        }

        static string Save(UnityEngine.SceneManagement.Scene scene, string name)
        {
            var path = $"{k_Scenes}/{name}.unity";
            if (!EditorSceneManager.SaveScene(scene, path))
            {
                throw new IOException($"{path}: the scene cannot be saved");
            }
            return path;
        }

        static void AddLight()
        {
            var light = new GameObject("Sun").AddComponent<Light>();
            light.type = LightType.Directional;
            light.intensity = 1.1f;
            light.shadows = LightShadows.Soft;
            light.transform.rotation = Quaternion.Euler(50f, -35f, 0f);
        }

        /// <summary>Look at the first area's middle from behind and above.</summary>
        static void AddCamera(float distance)
        {
            var camera = new GameObject("Camera").AddComponent<Camera>();
            camera.tag = "MainCamera";
            camera.nearClipPlane = 0.05f;
            camera.transform.position = distance * new Vector3(0.6f, 0.7f, -0.6f);
            camera.transform.LookAt(new Vector3(0f, 0.2f, 0f));
        }

        static Material GetMaterial(string name)
        {
            var path = $"{k_Materials}/{name}.mat";
            var material = AssetDatabase.LoadAssetAtPath<Material>(path);
            if (material == null)
            {
                material = new Material(Shader.Find("Standard")) { color = k_Colors[name] };
                material.SetFloat("_Glossiness", 0.2f);
                AssetDatabase.CreateAsset(material, path);
            }
            return material;
        }
    }
}
