"""What a reward comes to, as a table."""

from math import inf

from reward_shaping.entry import Entry
from reward_shaping.lint.facts import Facts
from reward_shaping.lint.ranges import SITUATIONS, Interval, range_of
from reward_shaping.reward import Reward


def payments(reward: Reward, facts: Facts) -> list[tuple[str, str, str, str, str]]:
    """Return a row per term and cost: name, term, kind, weight or limit, what it may pay in a step in the end."""
    rows = []
    for entry in reward.entries:
        weight = Interval(*[entry.weight_at(inf, 1.0)] * 2)
        low, high = weight.times(_value(entry, facts, 1.0 if reward.gamma is None else reward.gamma))
        kinds = dict.fromkeys(bound.term.kind for bound in entry.part.bound.values())
        name, what, _, _, written = entry.describe()
        pays = f"{low:.4g}" if low == high else f"{low:.4g} .. {high:.4g}"
        rows.append((name, what, ", ".join(kinds), written, pays))
    for cost in reward.costs:
        name, what, _, _, written = cost.describe()
        rows.append((name, what, "cost", written, "-"))
    return rows


def _value(entry: Entry, facts: Facts, gamma: float) -> Interval:
    """Return the interval of a term's value, unweighted: of its states, or of what a change of state pays."""
    path = ("terms", entry.name)
    ranges = [range_of(entry.settings, path, entry.part.bound, facts, situation) for situation in SITUATIONS]
    low, high = min(x.low for x in ranges), max(x.high for x in ranges)
    if entry.use == "state":
        return Interval(low, high)
    factor = gamma if entry.use == "potential" else 1.0
    low, high = low + entry.settings.offset, high + entry.settings.offset
    kept = Interval(factor, factor).times(Interval(low, high))
    after = Interval(min(kept.low, 0.0), max(kept.high, 0.0)) if entry.use == "potential" else kept
    return after.plus(Interval(-high, -low))
