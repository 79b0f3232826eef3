// Takes the place of UnityEngine.InputLegacyModule: a keyboard that a test presses.
using System.Collections.Generic;

namespace UnityEngine
{
    public class Input
    {
        public static readonly HashSet<int> Pressed = new HashSet<int>();
        public static bool GetKey(KeyCode key) => Pressed.Contains((int)key);
    }
}
