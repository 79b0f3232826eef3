using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace RobotRL.Logic
{
    /// <summary>A description that cannot be used: which file, where in it, and what would be right.</summary>
    public sealed class DescriptionException : Exception
    {
        public DescriptionException(string message) : base(message) { }
    }

    /// <summary>A value of a JSON file, which knows where it stands in it.</summary>
    public sealed class Json
    {
        readonly object m_Value;
        readonly string m_Place;

        internal Json(object value, string place)
        {
            m_Value = value;
            m_Place = place;
        }

        /// <summary>Read a whole file's text.</summary>
        /// <exception cref="DescriptionException">It is no JSON; the message has file and line.</exception>
        public static Json Parse(string text, string file) => new JsonReader(text, file).ReadFile();

        public bool IsNull => m_Value == null;
        public double Number => As<double>("a number");
        public string Text => As<string>("a text");
        public bool Flag => As<bool>("true or false");
        public IReadOnlyList<Json> Items => As<List<Json>>("a list");
        public IReadOnlyDictionary<string, Json> Members => As<Dictionary<string, Json>>("an object");
        public double[] Numbers => Items.Select(item => item.Number).ToArray();
        public string[] Texts => Items.Select(item => item.Text).ToArray();
        public int Count => (int)Number;

        public Json this[string key] =>
            Members.TryGetValue(key, out var found) ? found : throw Fault($"no {key}, it has {string.Join(", ", Members.Keys)}");

        public Vec3 Vector
        {
            get
            {
                var n = Sized(3);
                return new Vec3(n[0], n[1], n[2]);
            }
        }

        /// <summary>Two numbers, the first one not above the second.</summary>
        public Interval Interval
        {
            get
            {
                var n = Sized(2);
                return n[0] <= n[1] ? new Interval(n[0], n[1]) : throw Fault($"the interval {n[0]} .. {n[1]} is empty");
            }
        }

        double[] Sized(int count)
        {
            var numbers = Numbers;
            return numbers.Length == count ? numbers : throw Fault($"{numbers.Length} numbers, expected {count}");
        }

        T As<T>(string expected) => m_Value is T value ? value : throw Fault($"expected {expected}");

        /// <summary>An error about this value, with its place in front.</summary>
        public DescriptionException Fault(string what) => new DescriptionException($"{m_Place}: {what}");
    }

    /// <summary>Lowest and highest value.</summary>
    public readonly struct Interval
    {
        public readonly double Low, High;

        public Interval(double low, double high)
        {
            Low = low;
            High = high;
        }

        public double Clip(double value) => Math.Min(Math.Max(value, Low), High);
        public double At(double fraction) => Low + (High - Low) * fraction;
    }

    /// <summary>Reads JSON (RFC 8259) by recursive descent.</summary>
    sealed class JsonReader
    {
        readonly string m_Text, m_File;
        int m_At;

        public JsonReader(string text, string file)
        {
            m_Text = text;
            m_File = file;
        }

        public Json ReadFile()
        {
            var value = Read(m_File + ":");
            Peek();
            return m_At == m_Text.Length ? value : throw Fault("something follows the end");
        }

        Json Read(string place)
        {
            switch (Peek())
            {
                case '{': return new Json(ReadMembers(place), place);
                case '[': return new Json(ReadItems(place), place);
                case '"': return new Json(ReadText(), place);
                case 't': return new Json(Word("true", true), place);
                case 'f': return new Json(Word("false", false), place);
                case 'n': return new Json(Word("null", null), place);
                default: return new Json(ReadNumber(), place);
            }
        }

        Dictionary<string, Json> ReadMembers(string place)
        {
            var members = new Dictionary<string, Json>();
            Sequence('{', '}', () =>
            {
                var key = Peek() == '"' ? ReadText() : throw Fault("expected a key in quotes");
                Expect(':');
                members[key] = Read(place.EndsWith(":") ? $"{place} {key}" : $"{place}.{key}");
            });
            return members;
        }

        List<Json> ReadItems(string place)
        {
            var items = new List<Json>();
            Sequence('[', ']', () => items.Add(Read($"{place}[{items.Count}]")));
            return items;
        }

        void Sequence(char open, char close, Action readOne)
        {
            Expect(open);
            if (Peek() != close)
            {
                readOne();
                while (Peek() == ',')
                {
                    m_At++;
                    readOne();
                }
            }
            Expect(close);
        }

        string ReadText()
        {
            var text = new StringBuilder();
            Expect('"');
            while (m_At < m_Text.Length && m_Text[m_At] != '"')
            {
                text.Append(m_Text[m_At] == '\\' ? Escape() : m_Text[m_At]);
                m_At++;
            }
            Expect('"');
            return text.ToString();
        }

        char Escape()
        {
            m_At++;
            var code = m_At < m_Text.Length ? m_Text[m_At] : '\0';
            if (code == 'u' && m_At + 4 < m_Text.Length)
            {
                m_At += 4;
                return (char)int.Parse(m_Text.Substring(m_At - 3, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            }
            var known = "\"\\/bfnrt".IndexOf(code);
            return known >= 0 ? "\"\\/\b\f\n\r\t"[known] : throw Fault($"no such escape: \\{code}");
        }

        object ReadNumber()
        {
            var start = m_At;
            while (m_At < m_Text.Length && "+-.0123456789eE".IndexOf(m_Text[m_At]) >= 0)
            {
                m_At++;
            }
            var word = m_Text.Substring(start, m_At - start);
            return double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
                ? number : throw Fault("expected a value");
        }

        object Word(string word, object value)
        {
            if (string.CompareOrdinal(m_Text, m_At, word, 0, word.Length) != 0)
            {
                throw Fault("expected a value");
            }
            m_At += word.Length;
            return value;
        }

        char Peek()
        {
            while (m_At < m_Text.Length && char.IsWhiteSpace(m_Text[m_At]))
            {
                m_At++;
            }
            return m_At < m_Text.Length ? m_Text[m_At] : '\0';
        }

        void Expect(char wanted)
        {
            if (Peek() != wanted)
            {
                throw Fault($"expected {wanted}");
            }
            m_At++;
        }

        DescriptionException Fault(string what)
        {
            var line = 1 + m_Text.Take(Math.Min(m_At, m_Text.Length)).Count(letter => letter == '\n');
            return new DescriptionException($"{m_File}:{line}: {what}");
        }
    }
}
