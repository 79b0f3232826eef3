"""README.md of a bundle: for the person at the robot."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainers.export.edge_app import NAME as APP

TEXT = """\
# {behavior}

{about}

## Before it moves anything

    python3 {app} check .{backend}    # is every file as it was exported, and does this machine compute the same?
    python3 {app} bench .{backend}    # microseconds per action here, and how evenly the clock ticks

Python 3.8 or newer and numpy{onnx} are all it needs (Debian, Ubuntu, JetPack: `python3-numpy`). Keep the emergency
stop in reach, begin with the robot lifted or its drives limited, and read the limits below: **they come from the
training, not from your robot.**

## Run it

    python3 {app} run .{backend} --transport udp --listen 0.0.0.0:5600    # packed float32 or JSON, a datagram each
    python3 {app} run .{backend}    # JSON lines: standard input to standard output
    echo '{example}' | python3 {app} run .{backend}

An action leaves for every observation that comes. UDP and ZeroMQ listen on this machine only unless `--listen` says
otherwise, know no passwords, and obey the first sender until it falls silent: use a network of your own. In a program:

    import sys
    sys.path.insert(0, "{app}")
    from robotrl_edge import ActorRunner

    runner = ActorRunner("."{argument})
    action = runner.act(observation)     # numpy, float32, ({obs_size},)
    runner.in_si(action)                 # the same in SI units, by name

A packed observation is `<4sII`: `OBS1`, a sequence number, flags (1 begins a new episode), then the floats,
little-endian. The answer is `<4sIII`: `ACT1`, the sequence number, a status (0 policy, 1 safe action, 2 refused),
microseconds of computing, then the floats.

## What goes in, in this order

{observation}

{period}

## What comes out

{action}

## When something is wrong

| what | what happens |
|---|---|
| no observation for {watchdog:g} periods | the safe action, every period, until one comes |
| a number that is not finite | the safe action at once; the log names the component |
| an observation of the wrong length or with unknown names | refused; the answer names the component |
| the program ends | the safe action, once |

{safety}

To change these numbers, write those that you change into a JSON file, `{{"rate_limit_per_s": 2.0}}` for example, and
give it with `--safety FILE`. `rate_limit_per_s` is how much an action may change in a second, in its own unit; the safe
action keeps to it, too. `safe_action` has a number for every action; null keeps what was commanded last.

{engine}## Where it is from

{origin}
"""

ENGINE = """\
## TensorRT

`sh build_engine.sh` builds `actor.engine` on a Jetson (docs/jetson.md of the project). Networks of this size are
usually faster on the CPU: measure both.

"""


def bundle_readme(card: Mapping[str, Any], *, numpy: bool = True, engine: bool = True) -> str:
    """Return the text for a card.

    Args:
        card: actor.json.
        numpy: whether there is a network for numpy; else ONNX Runtime has to run it.
        engine: whether there is a script for TensorRT.
    """
    network, period_s = card["network"], card["control_period_s"]
    size = sum(part["size"] for part in card["observation"])
    header = "component | numbers | unit | frame | between | meaning"
    rows = [_observed(part) for part in card["observation"]]
    if network["branches"]:
        choices = sum(network["branches"])
        rows.append(f"`action_masks` | {choices} | 1 | none | 0 .. 1 | 1 = this choice is allowed; may be left out")
    period = "The training did not say how often it decides: give `--rate`, in Hz."
    if period_s:
        period = f"One observation every {period_s:g} s ({1 / period_s:g} Hz), as in training."
    if network["memory_size"]:
        period += ' The network remembers: send flag 1, or `"reset": true`, where a new task begins.'
    return TEXT.format(
        app=APP,
        backend="" if numpy else " --backend onnx",
        onnx="" if numpy else ", and onnxruntime,",
        argument="" if numpy else ', "onnx"',
        engine=ENGINE if engine else "",
        behavior=card["behavior"],
        about=_about(card),
        obs_size=size,
        example='{"obs": [0.0, ...]}',
        observation=_table(header, rows),
        period=period,
        action=_table("component | numbers | in | to SI units | meaning", [_acted(part) for part in card["action"]]),
        watchdog=card["safety"]["watchdog_periods"],
        safety=_table("limit | value", [f"`{name}` | {_plain(value)}" for name, value in card["safety"].items()]),
        origin=_table("what | value", [f"{name} | {value}" for name, value in _origin(card)]),
    )


def _about(card: Mapping[str, Any]) -> str:
    what = f"An actor for robot `{card['robot']}`, task `{card['task']}`." if card["robot"] else "An actor."
    measured = card.get("success_measured")
    if not measured or "success" not in measured:
        return f"{what} Its success was not measured."
    solved = f"{measured['success']:.1%} of {measured['episodes']} held-out episodes"
    return f"{what} In simulation it solved {solved}; on a robot nobody has measured it."


def _observed(part: Mapping[str, Any]) -> str:
    low, high = part.get("limit", ("?", "?"))
    return f"`{part['name']}` | {part['size']} | {part['unit']} | {part['frame']} | {low} .. {high} | {part['meaning']}"


def _acted(part: Mapping[str, Any]) -> str:
    if "choices_in_si" in part:
        table = ", ".join(f"{index}: {_plain(values)}" for index, values in enumerate(part["choices_in_si"]))
        return f"`{part['name']}` | 1 | index | {part['commands']}: {table} | {part['meaning']}"
    if "choices" in part:
        return f"`{part['name']}` | 1 | index below {part['choices']} | ? | {part['meaning']}"
    low, high = part["limit"]
    scale = f"times {_plain(part['scale_to_si'])} {part['si_unit']}" if "scale_to_si" in part else "?"
    return f"`{part['name']}` | {part['size']} | {low:g} .. {high:g} | {scale} | {part['meaning']}"


def _origin(card: Mapping[str, Any]) -> list[tuple[str, object]]:
    rows = [(name, _plain(value)) for name, value in card["provenance"].items() if name != "versions"]
    rows += [("versions", ", ".join(f"{name} {number}" for name, number in card["provenance"]["versions"].items()))]
    differences = ", ".join(f"{name} {value:.1e}" for name, value in card["parity"]["largest_difference"].items())
    about = (
        f"{differences} over {card['parity']['samples']} random and {card['parity']['recorded']} recorded observations"
    )
    return [*rows, ("largest difference to the trained policy", about)]


def _table(header: str, rows: Sequence[str]) -> str:
    ruler = "|".join(["---"] * (header.count("|") + 1))
    return "\n".join([f"| {header} |", f"|{ruler}|", *(f"| {row} |" for row in rows)])


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        same = len({str(item) for item in value}) == 1 and len(value) > 1
        return f"{_plain(value[0])} (each)" if same else ", ".join(_plain(item) for item in value)
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
