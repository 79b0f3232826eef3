using System;
using RobotRL.Logic;
using Unity.MLAgents;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace RobotRL
{
    /// <summary>
    /// A robot in one of its tasks. The training area measures and judges at every control period; the agent carries
    /// what was measured to the policy, and the policy's command to the body.
    /// </summary>
    [RequireComponent(typeof(RobotSensors))]
    public abstract class RobotAgent : Agent
    {
        const float k_FastestTurn = 50f; // rad/s, of a link; wheels turn at 17, and Unity's limit may be 7
        [SerializeField] string m_Task = "";
        Role m_Role;
        DelayedCommands m_Delayed;
        double[] m_Command;
        float[] m_Observation, m_Signals, m_Continuous;
        int[] m_Chosen;
        bool m_Asked;

        /// <summary>The robot's body has a command.</summary>
        public event Action Acted;

        public void ConfigureTask(string task) => m_Task = task;

        /// <summary>What the robot commands, observes and signals in its task.</summary>
        public Role Role => m_Role ?? Prepare();

        public Components Components { get; private set; }
        public float[] Observation => Prepared(ref m_Observation);
        public float[] Signals => Prepared(ref m_Signals);

        /// <summary>Delay of commands in this episode, control periods.</summary>
        public int Latency { private get; set; }

        /// <summary>Outer force in this control period, world frame, N.</summary>
        public Vector3 Push { get; set; }

        float[] Prepared(ref float[] sensor)
        {
            _ = Role;
            return sensor;
        }

        Role Prepare()
        {
            m_Role = new Role(Load(), m_Task);
            Components = m_Role.NewComponents();
            m_Observation = new float[m_Role.Observation.Size];
            m_Signals = new float[m_Role.Signals.Size];
            m_Delayed = new DelayedCommands(m_Role.CommandSize);
            m_Command = new double[m_Role.CommandSize];
            m_Continuous = new float[m_Role.CommandSize];
            m_Chosen = new int[m_Role.Choices.Length];
            foreach (var link in GetComponentsInChildren<ArticulationBody>())
            {
                link.maxAngularVelocity = k_FastestTurn; // a scene file does not keep it
            }
            return m_Role;
        }

        /// <summary>Read the robot's description and attach the body to it.</summary>
        protected abstract RobotDescription Load();

        protected abstract void Act(double[] command);
        public abstract void Scale(double mass, double gain);

        /// <summary>Apply the outer forces of one physics step.</summary>
        public abstract void ApplyForces();

        /// <summary>Nothing is commanded yet in the episode that begins.</summary>
        public void Forget()
        {
            m_Delayed.Forget();
            m_Asked = false;
            Push = Vector3.zero;
        }

        /// <summary>Fill the sensors with what was measured.</summary>
        /// <param name="success">whether the task was solved in this very step.</param>
        /// <param name="noise">multiple of the described noise of what is observed.</param>
        /// <param name="random">where the noise comes from.</param>
        public void Sense(bool success, double noise, RandomSource random)
        {
            Components.Set("last_action", m_Delayed.Last);
            Components.Set("success", success);
            m_Role.Observation.Pack(Components, m_Observation);
            m_Role.Signals.Pack(Components, m_Signals);
            if (noise > 0)
            {
                m_Role.Observation.AddNoise(m_Observation, noise, random);
            }
        }

        /// <summary>Ask the policy for the next command.</summary>
        public void Ask()
        {
            m_Asked = true;
            RequestDecision();
        }

        public override void OnActionReceived(ActionBuffers actions)
        {
            if (!m_Asked)
            {
                return; // a trainer's reset lets agents act once more, on an action that nobody has chosen
            }
            m_Asked = false;
            if (m_Chosen.Length > 0)
            {
                Copy(actions.DiscreteActions, m_Chosen);
                m_Role.Command(m_Chosen, m_Command);
            }
            else
            {
                Copy(actions.ContinuousActions, m_Continuous);
                m_Role.Command(m_Continuous, m_Command);
            }
            Act(m_Delayed.Take(m_Command, Latency));
            Acted?.Invoke();
        }

        static void Copy<T>(ActionSegment<T> from, T[] into) where T : struct
        {
            for (var i = 0; i < into.Length; i++)
            {
                into[i] = from[i];
            }
        }

        /// <summary>-1, 0 or 1, as one, none or the other of two keys is pressed.</summary>
        protected static float Keys(KeyCode less, KeyCode more) =>
            (Input.GetKey(more) ? 1f : 0f) - (Input.GetKey(less) ? 1f : 0f);
    }
}
