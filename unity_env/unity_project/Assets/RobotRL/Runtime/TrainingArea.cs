using System;
using System.Linq;
using RobotRL.Logic;
using Unity.MLAgents;
using UnityEngine;

namespace RobotRL
{
    /// <summary>
    /// One scene of a task with its robots. At every control period it measures and judges what has come of the last
    /// commands, ends and begins episodes, and lets the robots ask for the next ones.
    /// </summary>
    public abstract class TrainingArea : MonoBehaviour
    {
        /// <summary>Length of a physics step, s, as in Project Settings > Time.</summary>
        public const float PhysicsStepS = 0.005f;

        RobotAgent[] m_Agents;
        Surface[] m_Surfaces;
        EpisodeParameters m_Parameters;
        int m_PhysicsSteps, m_StepsPerDecision;
        bool m_HasBegun;

        protected RandomSource Random { get; private set; }
        protected EpisodeParameters Parameters => m_Parameters;

        /// <summary>The clock of the episode, and what ends it.</summary>
        protected abstract TaskRules Rules { get; }

        /// <summary>Make the rules; the agents have their roles.</summary>
        protected abstract void Prepare();

        /// <summary>Write a random start state into the bodies.</summary>
        protected abstract void Place();

        /// <summary>Measure the state of all robots.</summary>
        protected abstract void Measure();

        /// <summary>Judge what was measured; return whether the episode has ended for good.</summary>
        protected abstract bool Judge();

        /// <summary>Write down what depends on more than the state.</summary>
        protected abstract void Remember();

        protected abstract bool Success(RobotAgent agent);

        void OnEnable()
        {
            var academy = Academy.Instance; // connects to the trainer, which seeds Unity's random numbers
            Random = new RandomSource(UnityEngine.Random.Range(0, int.MaxValue));
            Layers.Apply();
            Time.fixedDeltaTime = PhysicsStepS;
            m_Agents = GetComponentsInChildren<RobotAgent>();
            m_Surfaces = GetComponentsInChildren<Surface>();
            m_Parameters = new EpisodeParameters(Descriptions.CommonParameters(), m_Agents.Select(agent => agent.Role));
            m_StepsPerDecision = StepsIn(m_Agents[0].Role.Robot.PeriodS);
            Prepare();
            m_HasBegun = false;
            academy.OnEnvironmentReset += Begin;
            academy.AgentPreStep += Advance;
        }

        void OnDisable()
        {
            if (Academy.IsInitialized)
            {
                Academy.Instance.OnEnvironmentReset -= Begin;
                Academy.Instance.AgentPreStep -= Advance;
            }
        }

        static int StepsIn(double periodS)
        {
            var steps = (int)Math.Round(periodS / PhysicsStepS);
            return Math.Abs(steps * (double)PhysicsStepS - periodS) < 1e-6 ? steps
                : throw new DescriptionException($"control.period_s: {periodS} is no multiple of the physics step, {PhysicsStepS} s");
        }

        /// <summary>What happens before every step of the Academy, which is one of the physics.</summary>
        void Advance(int academyStep)
        {
            if (!m_HasBegun)
            {
                Begin();
            }
            if (m_PhysicsSteps % m_StepsPerDecision == 0)
            {
                Decide();
            }
            m_PhysicsSteps++;
            foreach (var agent in m_Agents)
            {
                agent.ApplyForces();
            }
        }

        void Decide()
        {
            Measure();
            if (m_PhysicsSteps > 0)
            {
                var ended = Judge();
                Remember();
                Sense();
                if (ended || Rules.IsOver)
                {
                    End(ended);
                    Begin();
                    Measure();
                }
            }
            if (m_PhysicsSteps == 0)
            {
                Remember();
                Sense();
            }
            foreach (var agent in m_Agents)
            {
                Push(agent);
                agent.Ask();
            }
        }

        void Sense()
        {
            foreach (var agent in m_Agents)
            {
                agent.Sense(m_PhysicsSteps > 0 && Success(agent), m_Parameters["sensor_noise"], Random);
            }
        }

        /// <summary>Report the end of an episode: for good, or cut off by its time limit.</summary>
        void End(bool ended)
        {
            foreach (var agent in m_Agents)
            {
                var success = Success(agent) ? 1f : 0f;
                agent.AddReward(success);
                Academy.Instance.StatsRecorder.Add(agent.Role.Task.Behavior + "/Success", success);
                if (ended)
                {
                    agent.EndEpisode();
                }
                else
                {
                    agent.EpisodeInterrupted();
                }
            }
        }

        /// <summary>Begin an episode: with the trainer's parameters, at a random start.</summary>
        void Begin()
        {
            var sent = Academy.Instance.EnvironmentParameters;
            m_Parameters.Draw((name, value) => sent.GetWithDefault(name, (float)value));
            Rules.Begin();
            foreach (var agent in m_Agents)
            {
                agent.Forget();
                agent.Latency = m_Parameters.Latency;
                agent.Scale(m_Parameters["mass_scale"], m_Parameters["drive_gain_scale"]);
            }
            foreach (var surface in m_Surfaces)
            {
                surface.Scale((float)m_Parameters["friction_scale"]);
            }
            Place();
            Physics.SyncTransforms(); // the lidar looks before the next physics step
            m_PhysicsSteps = 0;
            m_HasBegun = true;
        }

        /// <summary>Let a random push act on a robot in this control period, or none.</summary>
        void Push(RobotAgent agent)
        {
            var (push, scale) = (agent.Role.Robot.Push, m_Parameters["push_scale"]);
            agent.Push = Vector3.zero;
            if (scale > 0 && Random.Next() < push.RateHz * agent.Role.Robot.PeriodS)
            {
                var force = scale * push.ForceN * Vec2.At(Random.Uniform(-Math.PI, Math.PI));
                agent.Push = transform.TransformDirection(force.ToUnity());
            }
        }
    }
}
