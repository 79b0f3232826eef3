using System;

namespace RobotRL.Logic
{
    /// <summary>One leg of a walk: where to, m; how fast, m/s; how long to pause there, s.</summary>
    public readonly struct Leg
    {
        public readonly Vec2 To;
        public readonly double Speed, PauseS;

        public Leg(Vec2 to, double speed, double pauseS)
        {
            To = to;
            Speed = speed;
            PauseS = pauseS;
        }
    }

    /// <summary>A person who walks from one waypoint to the next, each leg at its own gait, and walks into nobody.</summary>
    public sealed class Walk
    {
        public const int Legs = 48;
        const double k_Arrived = 0.3;
        readonly double m_HalfWidth, m_Slowest, m_TurnRate, m_Acceleration, m_PeriodS;
        readonly Interval m_Pause, m_Yield;
        readonly Leg[] m_Legs = new Leg[Legs];
        int m_Leg;
        double m_Speed, m_PauseLeft;

        /// <param name="numbers">parameters of mobile_follow.</param>
        /// <param name="periodS">time between two steps.</param>
        public Walk(Json numbers, double periodS)
        {
            m_HalfWidth = numbers["walk_half_width_m"].Number;
            m_Slowest = numbers["slowest"].Number;
            m_TurnRate = numbers["turn_rate_rad_s"].Number;
            m_Acceleration = numbers["acceleration_m_s2"].Number;
            m_Pause = numbers["pause_s"].Interval;
            m_Yield = numbers["yield_m"].Interval;
            m_PeriodS = periodS;
        }

        public Vec2 Position { get; private set; }
        public Vec2 Ahead { get; private set; } = new Vec2(1, 0);
        public Vec2 Velocity => m_Speed * Ahead;

        /// <summary>Draw a whole walk, and stand at its beginning.</summary>
        public void Begin(double fastest, double pauseChance, RandomSource random)
        {
            var legs = new Leg[Legs];
            for (var i = 0; i < Legs; i++)
            {
                var to = new Vec2(random.Uniform(-m_HalfWidth, m_HalfWidth), random.Uniform(-m_HalfWidth, m_HalfWidth));
                var speed = fastest * random.Uniform(m_Slowest, 1);
                var pause = random.Uniform(m_Pause);
                legs[i] = new Leg(to, speed, random.Next() < pauseChance ? pause : 0);
            }
            Begin(legs, legs[Legs - 1].To, Vec2.At(random.Uniform(-Math.PI, Math.PI)));
        }

        /// <summary>Stand somewhere, about to walk these legs.</summary>
        public void Begin(Leg[] legs, Vec2 position, Vec2 ahead)
        {
            Array.Copy(legs, m_Legs, Legs);
            (Position, Ahead, m_Leg, m_Speed, m_PauseLeft) = (position, ahead, 0, 0, 0);
        }

        /// <summary>Walk for one time step, past somebody who stands at `other`.</summary>
        public void Step(Vec2 other)
        {
            var leg = m_Legs[m_Leg];
            var (distance, direction) = MobileMeasures.Polar(leg.To - Position, Ahead);
            var arrived = distance < k_Arrived;
            m_PauseLeft = arrived ? leg.PauseS : Math.Max(m_PauseLeft - m_PeriodS, 0);
            m_Leg = (m_Leg + (arrived ? 1 : 0)) % Legs;
            var walks = m_PauseLeft == 0 && !arrived;
            if (walks)
            {
                Ahead *= Vec2.At(Limited(direction.Angle, m_TurnRate * m_PeriodS));
            }
            var wanted = walks ? leg.Speed * Math.Max(direction.X, 0) * FreeWay(other) : 0;
            m_Speed += Limited(wanted - m_Speed, m_Acceleration * m_PeriodS);
            Position += m_PeriodS * Velocity;
        }

        /// <summary>What is left of the gait before somebody in the way, in [0, 1].</summary>
        double FreeWay(Vec2 other)
        {
            var (distance, direction) = MobileMeasures.Polar(other - Position, Ahead);
            var free = (distance - m_Yield.Low) / (m_Yield.High - m_Yield.Low);
            return direction.X <= 0 ? 1 : new Interval(0, 1).Clip(free);
        }

        static double Limited(double change, double most) => new Interval(-most, most).Clip(change);
    }
}
