using Unity.InferenceEngine;
using Unity.MLAgents;
using Unity.MLAgents.Policies;
using UnityEngine;

namespace RobotRL
{
    /// <summary>
    /// Lets an exported actor drive a robot: drop its .onnx here and press Play, or choose Run in the component's
    /// menu while playing. The network is the one that `robotrl export` writes; it acts on its deterministic outputs.
    /// </summary>
    [RequireComponent(typeof(RobotAgent), typeof(BehaviorParameters))]
    public class ActorRunnerBehaviour : MonoBehaviour
    {
        [SerializeField] ModelAsset m_Actor;
        [SerializeField] InferenceDevice m_Device = InferenceDevice.Burst;

        public ModelAsset Actor
        {
            get => m_Actor;
            set => m_Actor = value;
        }

        void Start()
        {
            if (m_Actor != null && !Academy.Instance.IsCommunicatorOn)
            {
                Run();
            }
        }

        /// <summary>Give the agent the actor; from the next decision on, it drives.</summary>
        [ContextMenu("Run the actor")]
        public void Run()
        {
            if (m_Actor == null)
            {
                Debug.LogError($"{name}: no actor to run; drop an exported .onnx into the field Actor", this);
                return;
            }
            var behavior = GetComponent<BehaviorParameters>();
            behavior.DeterministicInference = true;
            GetComponent<RobotAgent>().SetModel(behavior.BehaviorName, m_Actor, m_Device);
            behavior.BehaviorType = BehaviorType.InferenceOnly;
        }
    }
}
