using System;
using System.Collections.Generic;
using System.Linq;

namespace RobotRL.Logic
{
    /// <summary>A round thing on the floor, m.</summary>
    public readonly struct Circle
    {
        public readonly Vec2 Centre;
        public readonly double Radius;

        public Circle(Vec2 centre, double radius)
        {
            Centre = centre;
            Radius = radius;
        }
    }

    /// <summary>A square room about the origin: where things stand at the start of an episode.</summary>
    public sealed class Room
    {
        const int k_Tries = 40;
        public readonly double HalfWidth, Gap;

        /// <param name="halfWidth">distance of the walls from the middle, m.</param>
        /// <param name="gap">least distance between things, and between them and the walls, m.</param>
        public Room(double halfWidth, double gap)
        {
            HalfWidth = halfWidth;
            Gap = gap;
        }

        /// <summary>Distance of a point from the nearest wall or thing, m.</summary>
        public double Clearance(Vec2 point, IEnumerable<Circle> things) =>
            things.Select(thing => (thing.Centre - point).Length - thing.Radius).Append(ToWall(point)).Min();

        double ToWall(Vec2 point) => HalfWidth - Math.Max(Math.Abs(point.X), Math.Abs(point.Y));

        /// <summary>Whether a point keeps so far from walls and things, m.</summary>
        public bool IsFree(Vec2 point, IEnumerable<Circle> things, double clearance) => Clearance(point, things) >= clearance;

        /// <summary>Place round things of the given radii, m, the largest ones first.</summary>
        public List<Circle> Scatter(IEnumerable<double> radii, RandomSource random)
        {
            var sorted = radii.OrderByDescending(radius => radius).ToArray();
            while (true)
            {
                var placed = new List<Circle>();
                if (sorted.All(radius => TryPlace(radius, placed, random)))
                {
                    return placed;
                }
            }
        }

        bool TryPlace(double radius, List<Circle> placed, RandomSource random)
        {
            var reach = HalfWidth - Gap - radius;
            for (var i = 0; i < k_Tries; i++)
            {
                var centre = new Vec2(random.Uniform(-reach, reach), random.Uniform(-reach, reach));
                if (placed.All(other => (other.Centre - centre).Length >= radius + other.Radius + Gap))
                {
                    placed.Add(new Circle(centre, radius));
                    return true;
                }
            }
            return false;
        }

        /// <summary>Two free points whose distance lies within `way`, m.</summary>
        public (Vec2 start, Vec2 goal) StartAndGoal(List<Circle> things, double clearance, Interval way, RandomSource random)
        {
            var reach = HalfWidth - clearance;
            while (true)
            {
                var start = new Vec2(random.Uniform(-reach, reach), random.Uniform(-reach, reach));
                var goal = start + random.Uniform(way) * Vec2.At(random.Uniform(-Math.PI, Math.PI));
                if (IsFree(start, things, clearance) && IsFree(goal, things, clearance))
                {
                    return (start, goal);
                }
            }
        }
    }

    /// <summary>Start states of an arm's tasks.</summary>
    public static class ArmStarts
    {
        /// <summary>Joint angles about a pose, rad.</summary>
        public static double[] Pose(double[] home, double noise, RandomSource random) =>
            home.Select(angle => angle + random.Uniform(-noise, noise)).ToArray();

        /// <summary>A goal of the tool tip, uniform in the described part of a spherical shell about the shoulder.</summary>
        public static Vec3 Goal(ArmDescription robot, Json numbers, RandomSource random)
        {
            var shoulder = robot.Joints[0].Origin.Z + robot.Joints[1].Origin.Z;
            var (radii, heights) = (numbers["goal_radius_m"].Interval, numbers["goal_height_m"].Interval);
            var cubes = new Interval(Math.Pow(radii.Low, 3), Math.Pow(radii.High, 3));
            while (true)
            {
                var radius = Math.Cbrt(cubes.At(random.Next()));
                var azimuth = numbers["goal_azimuth_rad"].Interval.At(random.Next());
                var sine = 2 * random.Next() - 1;
                var (reach, height) = (radius * Math.Sqrt(1 - sine * sine), shoulder + radius * sine);
                if (heights.Clip(height) == height && reach >= numbers["goal_clearance_m"].Number)
                {
                    return new Vec3(reach * Math.Cos(azimuth), reach * Math.Sin(azimuth), height);
                }
            }
        }

        /// <summary>A place on the table, uniform in a part of the described sector about its middle.</summary>
        /// <param name="numbers">the task's parameters.</param>
        /// <param name="spread">the part's width and depth, as fractions of the sector's.</param>
        /// <param name="random">where the numbers come from.</param>
        public static Vec2 Place(Json numbers, double spread, RandomSource random)
        {
            var radii = numbers["radius_m"].Interval;
            var squares = new Interval(radii.Low * radii.Low, radii.High * radii.High);
            var radius = Math.Sqrt(squares.At(0.5 + spread * (random.Next() - 0.5)));
            return radius * Vec2.At(numbers["azimuth_rad"].Interval.At(0.5 + spread * (random.Next() - 0.5)));
        }
    }
}
