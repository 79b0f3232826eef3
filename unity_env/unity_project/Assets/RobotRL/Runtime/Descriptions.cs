using System.IO;
using RobotRL.Logic;
using UnityEngine;

namespace RobotRL
{
    /// <summary>The descriptions in StreamingAssets, which `robotrl unity describe` writes.</summary>
    public static class Descriptions
    {
        public static ArmDescription Arm() => new ArmDescription(Read("arm.json"));
        public static MobileDescription Mobile() => new MobileDescription(Read("mobile.json"));

        /// <summary>What every task lets a training vary.</summary>
        public static Json CommonParameters() => Read("environment_parameters.json");

        static Json Read(string file) =>
            Json.Parse(File.ReadAllText(Path.Combine(Application.streamingAssetsPath, file)), file);
    }
}
