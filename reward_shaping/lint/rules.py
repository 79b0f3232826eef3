"""The rules that a reward is held against: one function each, with where it comes from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from reward_shaping.entry import Entry
from reward_shaping.lint.budget import Budget, Line, as_sum, total
from reward_shaping.lint.facts import Facts, Finding, Severity
from reward_shaping.lint.ranges import FAILED, SITUATIONS, SOLVED, UNKNOWN, Interval, event_of, range_of, reads_rates
from reward_shaping.recording import Recording
from reward_shaping.reward import Reward
from reward_shaping.term import Array, Signals, Transition

STATES = 256  # tried by `farmable_loop`
DISCOUNTS = ("gamma", "discount")


@dataclass(frozen=True)
class Subject:
    """What the rules look at.

    Attributes:
        reward: without what cannot be computed, its weights those of one moment.
        only_positive: whether its total is clipped.
        facts: what is known of the training.
        budget: what the reward pays in which situation.
        recording: what was measured.
        values: term -> its weighted values in the recording, (M,).
    """

    reward: Reward
    only_positive: bool
    facts: Facts
    budget: Budget
    recording: Recording | None
    values: dict[str, Array]

    @property
    def counted(self) -> list[tuple[Entry, float]]:
        """The terms that count, with their weights."""
        pairs = zip(self.reward.entries, self.reward.weights.tolist(), strict=True)
        return [(entry, weight) for entry, weight in pairs if not entry.settings.probe]

    def solving_ends(self) -> bool:
        """Tell whether solving the task is known, or shown by the recording, to end an episode."""
        solved, terminated = self._ends
        return not set(SOLVED).isdisjoint(self.facts.ends) or bool((solved & terminated).any())

    def failing_ends(self) -> bool:
        """Tell whether failing is known to end an episode."""
        return not set(FAILED).isdisjoint(self.facts.ends)

    def failures(self) -> int:
        """Return how many recorded episodes the task ended without success."""
        solved, terminated = self._ends
        return int((~solved & terminated).sum())

    @property
    def _ends(self) -> tuple[Array, Array]:
        """Where the recording's steps solved the task, and where they ended it, bool; none where it does not tell."""
        if self.recording is None or self.recording.solved is None:
            return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
        return self.recording.solved, self.recording.transition.terminated


def clipped_potential(subject: Subject) -> Iterator[Finding]:
    """F = gamma Phi(s') - Phi(s) is harmless as long as what is paid on the way up is charged on the way down.

    Ng, Harada & Russell 1999, theorem 1: `only_positive` keeps the one and drops the other.
    """
    entries = [entry for entry, _ in subject.counted]
    names = [e.name for e in entries if e.use != "state" or e.part.is_potential]
    if subject.only_positive and names:
        yield Finding(
            "clipped-potential",
            "error",
            ("only_positive",),
            f"clips a total in which {', '.join(names)} pays for progress: steps back become free, "
            "so that going back and forth pays",
            "only_positive: false",
        )


def farmable_loop(subject: Subject) -> Iterator[Finding]:
    """What is paid for a change of state must come to nothing on a closed path, or the path is walked for ever.

    Randløv & Alstrøm 1998, the bicycle that circles; Ng, Harada & Russell 1999, section 1. Tried on pairs of random
    states: there, and back. A gate, a maximum or a product about a difference breaks it as clipping does.
    """
    for entry, weight in subject.counted:
        names = sorted({name for field, name in entry.part.sources() if field == "signals"})
        if entry.use != "state" or not names:
            continue
        here, there = _random_pairs(subject)
        out = weight * entry.score(subject.reward.known(_moves(here, there, subject.facts)))
        back = weight * entry.score(subject.reward.known(_moves(there, here, subject.facts)))
        paying = np.flatnonzero(out + back > 1e-9 * max(1.0, float(np.abs(out).max())))
        if len(paying):
            row = int(paying[0])
            where = ", ".join(f"{name} {_text(here[name][row])} -> {_text(there[name][row])}" for name in names)
            yield Finding(
                "farmable-loop",
                "error",
                ("terms", entry.name),
                f"{where} pays {out[row]:.3g} and the way back {back[row]:.3g}: "
                f"every round pays {out[row] + back[row]:.3g}",
                "a difference without clipping or gates, or a function of one state with use: potential, whose gates "
                "are part of it",
            )


def retyped_gamma(subject: Subject) -> Iterator[Finding]:
    """The discount of a shaping term is the learner's own: Ng, Harada & Russell 1999, theorem 1."""
    for entry, _ in subject.counted:
        for path, bound in entry.part.bound.items():
            for key in set(DISCOUNTS) & bound.parameters.keys():
                own, gamma = bound.parameters[key], subject.facts.gamma
                learner = "the learner's is not known here" if gamma is None else f"the learner's is {gamma:g}"
                yield Finding(
                    "retyped-gamma",
                    "warning" if gamma in (own, None) else "error",
                    (*path, "parameters", key),
                    f"{own} is typed here, {learner}: the two part as soon as one is edited",
                    "a function of one state with use: potential, which takes the learner's",
                )


def unbounded(subject: Subject) -> Iterator[Finding]:
    """One step of a term without bounds outweighs whatever was balanced with care (the rule is goodhart 1.2's).

    Limits of the signals and measured values count as bounds.
    """
    for line in subject.budget.lines:
        if line.going_on.is_finite:
            continue
        path = ("terms", line.entry.name)
        x = range_of(line.entry.settings, path, line.entry.part.bound, subject.facts, "going on")
        farmed = line.going_on.high == inf and (isfinite(x.low) or isfinite(x.high))
        yield Finding(
            "unbounded",
            "error" if farmed else "warning",
            path,
            f"pays {_span(line.going_on)} per step: its values are {_span(x)}, and nothing known bounds what it reads",
            "a bounded term (tolerance, reach), or --task or --recording, which tell what the signals can be",
        )


def waiting(subject: Subject) -> Iterator[Finding]:
    """Finishing must be worth more than being nearly there: B > gamma r / (1 - gamma).

    SocialRobot pull request 118: B = 100, gamma = 0.99 and 2 per step near the goal dithered, B = 200 and 0.98 did
    not. r is the best pay of a step that solves nothing; the step that solves is paid r as well as B, whence the
    gamma. A rule called `hover` where stages are paid by the step: so101-nexus pull request 123, where a cube held
    over its place earned 90 % of the budget. What is paid as gain or potential pays nothing to those who wait.
    """
    bonus, ahead = subject.budget.bonus(), subject.budget.steps_ahead
    if bonus is None and subject.solving_ends():
        bonus = 0.0
    paid = subject.budget.best_waiting()
    worth = total(paid)
    if bonus is None or ahead is None or not 0.0 < worth < inf or bonus >= worth * ahead * (1.0 - 1e-9):
        return
    largest = max(paid, key=lambda item: item[1])[0]
    staged = sum(pay for line, pay in paid if pay > 0 and line.is_stage)
    share = worth * ahead / (worth * ahead + bonus)
    yield Finding(
        "hover" if staged >= 0.5 * worth else "dither",
        "error",
        ("terms", largest.entry.name, "weight"),
        f"a step that solves nothing pays up to {as_sum(paid)}{_best_recorded(subject)}; {ahead:.5g} more of them "
        f"({_ahead(subject.facts)}) pay {worth * ahead:.5g}, solving the task {bonus:g}: waiting is {share:.1%} "
        "of the budget",
        f"a bonus above {worth * ahead:.5g}, a charge of {worth:.4g} per step (time), "
        "or the way there paid once (use: gain, use: potential)",
    )


def suicide(subject: Subject) -> Iterator[Finding]:
    """Failing must cost more than going on: C > gamma |r| / (1 - gamma).

    r is what each step costs a robot that does nothing wrong, but does not solve the task either: it stands still
    in a free place. The sufficient rule takes the worst step instead; yet what can be avoided, by moving less or
    keeping away, is no reason to give up.
    """
    paid, ahead = subject.budget.at_rest(), subject.budget.steps_ahead
    fine, failures = subject.budget.fine(), subject.failures()
    cost = -total(paid)
    known = fine is not None or subject.failing_ends()
    if subject.only_positive or ahead is None or not (known or failures):
        return
    if (fine or 0.0) >= cost * ahead - 1e-9 * abs(cost * ahead):
        return
    line = min(paid, key=lambda item: item[1])[0] if fine is None else _charged(subject)
    how = f"failing costs {fine or 0.0:g}" if known else f"{failures} recorded episodes failed, which costs nothing"
    nothing = as_sum(paid) or "nothing"
    yield Finding(
        "suicide",
        "error" if known else "warning",
        ("terms", line.entry.name, "weight"),
        f"doing nothing pays {nothing} per step, {0.0 - cost * ahead:.5g} in {ahead:.5g} steps "
        f"({_ahead(subject.facts)}); {how}: to fail early is the better deal",
        f"a cost of failing (collision, failure) above {cost * ahead:.5g}, or less charged per step",
    )


def pays_at_rest(subject: Subject) -> Iterator[Finding]:
    """exp(-error) of what moves is largest where nothing moves (unitree_rl_lab issue 80): a reward for standing.

    What pays at rest more than half of what it ever pays; no matter where other terms take it back in every step.
    """
    rest, ahead, bonus = subject.budget.at_rest(), subject.budget.steps_ahead, subject.budget.bonus()
    if total(rest) <= 0.0:
        return
    for line in subject.budget.lines:
        moved = any(reads_rates(bound, subject.facts) for bound in line.entry.part.bound.values())
        pay = line.at_rest.low
        if moved and pay > 0.5 * line.going_on.high:
            worth = None if ahead is None else pay * ahead
            severity: Severity = "warning" if worth is None or (bonus or 0.0) >= worth else "error"
            ever = "" if worth is None else f", {worth:.5g} in {ahead:.5g} steps"
            yield Finding(
                "pays-at-rest",
                severity,
                ("terms", line.entry.name),
                f"pays {pay:.4g} per step to a robot that stands still wherever it is{ever}; "
                f"solving the task pays {bonus or 0.0:g}",
                "the same as a blame: a negative weight on what is wanted small, or pays: [-1, 0]",
            )


def zero_variance(subject: Subject) -> Iterator[Finding]:
    """A term that never changed in a recording teaches nothing there: it is not reached, or not connected.

    What failing costs may well be 0 throughout.
    """
    entries = {entry.name: entry for entry in subject.reward.entries}
    for name, values in subject.values.items():
        terms = entries[name].part.bound.values()
        expected = all(b.term.range[0] == b.term.range[1] or event_of(b) < 0 for b in terms)
        if not expected and values.size and float(np.ptp(values)) == 0.0:
            yield Finding(
                "zero-variance",
                "warning",
                ("terms", name),
                f"is {values[0] + 0.0:g} in all {len(values):,} recorded steps",
                "a signal that changes, a wider kernel, or a recording of policies that come this far",
            )


def flag_as_gate(subject: Subject) -> Iterator[Finding]:
    """A flag in a product gates the rest of it, and must be observed like a gate: MuJoCo Playground's `reached_box`."""
    observed = subject.facts.observed
    for entry, _ in subject.counted if observed is not None else ():
        for path, bound in entry.part.bound.items():
            gating = len(path) > 2 and path[-2] == "product" and bound.term.function.__name__ == "flag"
            unseen = [name for name in bound.signal_of.values() if name not in (observed or ())]
            if gating and unseen:
                yield Finding(
                    "unobserved-gate",
                    "warning",
                    path,
                    f"the policy does not observe {unseen[0]}, which gates the product",
                    "a flag that the policy observes, or when: with observed_by, which names what tells it",
                )


def cost_limit(subject: Subject) -> Iterator[Finding]:
    """A limit that no policy can keep drives its multiplier to the maximum, and one that all keep does nothing."""
    steps = subject.facts.episode_steps
    for cost in subject.reward.costs:
        limit, path = cost.settings.limit, ("costs", cost.name)
        ranges = [range_of(cost.settings, path, cost.part.bound, subject.facts, situation) for situation in SITUATIONS]
        low, high = min(x.low for x in ranges), max(x.high for x in ranges)
        if cost.settings.per == "episode":
            most = steps or inf
            low, high = low * most if low < 0.0 else low, high * most if high > 0.0 else high
        span = f"its mean per {cost.settings.per} lies in {_span(Interval(low, high))}"
        if limit < low:
            right = f"a limit above {low:g}"
            yield Finding("cost-limit", "error", (*path, "limit"), f"{limit:g} can never be kept: {span}", right)
        elif limit >= high:
            right = f"a limit below {high:g}, or no cost"
            yield Finding("cost-limit", "warning", (*path, "limit"), f"{limit:g} binds nothing: {span}", right)


RULES: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    clipped_potential,
    farmable_loop,
    retyped_gamma,
    unbounded,
    waiting,
    suicide,
    pays_at_rest,
    zero_variance,
    flag_as_gate,
    cost_limit,
)


def _random_pairs(subject: Subject) -> tuple[Signals, Signals]:
    """Draw states between the signals' limits, and others: near the first ones, then far from them, then at limits."""
    rng = np.random.default_rng(0)
    here, there = {}, {}
    for name in sorted(subject.reward.signals):
        known = (subject.facts.signals or {}).get(name, UNKNOWN)
        low, high = known.limit if Interval(*known.limit).is_finite else (0.0, 1.0)
        shape = (STATES, known.size)
        here[name] = rng.uniform(low, high, shape)
        near = np.clip(here[name] + rng.uniform(-0.02, 0.02, shape) * (high - low), low, high)
        far, ends = rng.uniform(low, high, shape), rng.choice([low, high], shape)
        there[name] = np.concatenate((near[: STATES // 3], far[STATES // 3 : -STATES // 3], ends[-STATES // 3 :]))
    return here, there


def _moves(here: Signals, there: Signals, facts: Facts) -> Transition:
    """Return the transitions from some states to others, with actions of 0."""
    still, never = np.zeros((STATES, facts.action_size or 1)), np.zeros(STATES, dtype=bool)
    return Transition(here, there, still, still, never, never, np.zeros(STATES))


def _best_recorded(subject: Subject) -> str:
    """Tell the best recorded step that solved nothing."""
    lasting = [subject.values[line.entry.name] for line in subject.budget.lines if line.entry.name in subject.values]
    if subject.recording is None or not lasting:
        return ""
    paid = np.sum(lasting, axis=0)
    solved = subject.recording.solved
    unsolved = paid if solved is None else paid[~solved]
    return f" (recorded: {unsolved.max():.4g})" if unsolved.size else ""


def _charged(subject: Subject) -> Line:
    """Return the line that charges most for failing."""
    return min(subject.budget.lines, key=lambda line: line.failed.low - line.going_on.low)


def _ahead(facts: Facts) -> str:
    return "until the time limit" if facts.gamma == 1.0 else f"gamma / (1 - gamma), gamma = {facts.gamma:g}"


def _span(interval: Interval) -> str:
    return f"{interval.low:g} .. {interval.high:g}"


def _text(signal: Array) -> str:
    return f"{signal[0]:.3g}" if len(signal) == 1 else "[" + ", ".join(f"{x:.3g}" for x in signal) + "]"
