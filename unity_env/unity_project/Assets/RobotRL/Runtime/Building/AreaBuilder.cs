using System;
using System.Collections.Generic;
using System.Linq;
using RobotRL.Logic;
using Unity.MLAgents.Actuators;
using Unity.MLAgents.Policies;
using UnityEngine;

namespace RobotRL.Building
{
    /// <summary>A task's name -> its training area, from the descriptions: robots, agents, and what stands around them.</summary>
    public sealed class AreaBuilder
    {
        readonly ArmDescription m_Arm = Descriptions.Arm();
        readonly MobileDescription m_Mobile = Descriptions.Mobile();
        readonly Parts m_Parts;
        readonly Scenery m_Scenery;

        /// <param name="material">name -> material; see <see cref="Parts"/>.</param>
        public AreaBuilder(Func<string, Material> material)
        {
            m_Parts = new Parts(material);
            m_Scenery = new Scenery(m_Parts);
        }

        /// <summary>Every described task.</summary>
        public IEnumerable<string> Tasks => m_Arm.Tasks.Keys.Union(m_Mobile.Tasks.Keys);

        /// <summary>Build the area of a task at the origin. It is inactive: what is activated begins to play.</summary>
        public GameObject Build(string task)
        {
            var root = Parts.Empty("TrainingArea", null);
            root.SetActive(false);
            var area = root.transform;
            switch (task)
            {
                case "arm_reach": BuildReach(area); break;
                case "arm_pick_place": BuildPickPlace(area); break;
                case "mobile_goal": case "mobile_goal_discrete": BuildGoal(area, task); break;
                case "mobile_follow": BuildFollow(area); break;
                case "playroom": BuildPlayroom(area); break;
                default: throw new ArgumentException($"no scene is built for the task {task}");
            }
            return root;
        }

        void BuildReach(Transform area)
        {
            m_Scenery.AddFloor("wood", area, 1.4);
            var arm = AddArm(area, "arm_reach", 0, null);
            var marker = m_Scenery.AddMarker(area, m_Arm.Tasks["arm_reach"].Parameters["goal_tolerance_m"].Number);
            area.gameObject.AddComponent<ArmReachArea>().Configure(arm, marker);
        }

        void BuildPickPlace(Transform area)
        {
            m_Scenery.AddFloor("wood", area, 1.6);
            var cube = m_Scenery.AddCube(area);
            var arm = AddArm(area, "arm_pick_place", 0, cube);
            var disc = m_Scenery.AddDisc(area, m_Arm.Tasks["arm_pick_place"].Parameters["goal_tolerance_m"].Number);
            area.gameObject.AddComponent<PickPlaceArea>().Configure(arm, cube, disc);
        }

        void BuildGoal(Transform area, string task)
        {
            var numbers = m_Mobile.Tasks[task].Parameters;
            m_Scenery.AddRoom(area, numbers["room_half_width_m"].Number);
            var obstacles = m_Scenery.AddObstacles(area, numbers["max_obstacles"].Count);
            var disc = m_Scenery.AddDisc(area, numbers["goal_tolerance_m"].Number);
            area.gameObject.AddComponent<MobileGoalArea>().Configure(AddMobile(area, task), disc, obstacles);
        }

        void BuildFollow(Transform area)
        {
            var numbers = m_Mobile.Tasks["mobile_follow"].Parameters;
            m_Scenery.AddRoom(area, numbers["room_half_width_m"].Number);
            var person = m_Scenery.AddPerson(area, numbers["person_radius_m"].Number);
            area.gameObject.AddComponent<MobileFollowArea>().Configure(AddMobile(area, "mobile_follow"), person);
        }

        void BuildPlayroom(Transform area)
        {
            var (table, room) = (m_Arm.Tasks["playroom"].Parameters, m_Mobile.Tasks["playroom"].Parameters);
            m_Scenery.AddRoom(area, room["room_half_width_m"].Number);
            m_Scenery.AddTable(area, table, m_Mobile.TrayTop);
            var dock = m_Scenery.AddDisc(area, room["goal_tolerance_m"].Number);
            dock.localPosition = new Vec3(room["dock_m"].Numbers[0], room["dock_m"].Numbers[1], 0).ToUnity();
            var toy = m_Scenery.AddCube(area);
            var arm = AddArm(area, "playroom", m_Mobile.TrayTop, toy);
            area.gameObject.AddComponent<PlayroomCoordinator>().Configure(arm, AddMobile(area, "playroom"), toy);
        }

        RobotArmAgent AddArm(Transform area, string task, double height, Cube cube)
        {
            var body = new ArmBuilder(m_Arm, m_Parts).Build(area, height, cube == null ? null : cube.GetComponent<Rigidbody>());
            var agent = AddAgent<RobotArmAgent>(body.gameObject, new Role(m_Arm, task));
            agent.Configure(body);
            return agent;
        }

        MobileRobotAgent AddMobile(Transform area, string task)
        {
            var body = new MobileBuilder(m_Mobile, m_Parts).Build(area);
            var agent = AddAgent<MobileRobotAgent>(body.gameObject, new Role(m_Mobile, task));
            agent.Configure(body);
            return agent;
        }

        /// <summary>Add an agent that the training area asks for its decisions; its sensors are its own.</summary>
        static T AddAgent<T>(GameObject robot, Role role) where T : RobotAgent
        {
            var behavior = robot.AddComponent<BehaviorParameters>();
            behavior.BehaviorName = role.Task.Behavior;
            behavior.BrainParameters.VectorObservationSize = 0;
            behavior.BrainParameters.ActionSpec = role.Branches.Length > 0
                ? ActionSpec.MakeDiscrete(role.Branches) : ActionSpec.MakeContinuous(role.CommandSize);
            behavior.UseChildSensors = false;
            robot.AddComponent<RobotSensors>();
            var agent = robot.AddComponent<T>();
            agent.ConfigureTask(role.TaskName);
            return agent;
        }
    }
}
