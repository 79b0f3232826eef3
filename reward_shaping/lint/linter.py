"""Holds a reward against the rules."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from math import inf

from reward_shaping.lint.budget import Budget
from reward_shaping.lint.facts import Facts, Finding, SignalFacts
from reward_shaping.lint.ranges import Interval
from reward_shaping.lint.rules import RULES, Subject
from reward_shaping.part import signals_read
from reward_shaping.recording import Recording
from reward_shaping.reward import Reward
from reward_shaping.settings import RewardSettings
from reward_shaping.term import Array, RewardError

ANY_GAMMA = 1.0  # where the learner's is not known: no rule looks at what a potential pays


def lint(settings: RewardSettings, facts: Facts, recording: Recording | None = None) -> list[Finding]:
    """Return what is wrong with a reward, errors first.

    The arithmetic is that of the weights at the end of training; what is wrong only with those at its beginning is
    a warning.

    Args:
        settings: the reward.
        facts: what is known of the training that it is meant for.
        recording: transitions, which tell what the terms come to where nothing else does.
    """
    if facts.signals is None and recording is not None:
        sent = recording.transition.next_signals
        facts = replace(facts, signals={name: SignalFacts(value.shape[1]) for name, value in sent.items()})
    findings = list(_unfit(settings, facts))
    unfit = {finding.path[1] for finding in findings if finding.path[0] == "terms"}
    terms = {name: term for name, term in settings.terms.items() if name not in unfit}
    if not terms or any(finding.path[0] != "terms" for finding in findings):
        return findings
    reward = build(settings.model_copy(update={"terms": terms, "only_positive": False}), facts)
    findings += _broken_rules(reward, settings.only_positive, facts, recording)
    return sorted(findings, key=lambda finding: finding.severity)


def build(settings: RewardSettings, facts: Facts) -> Reward:
    """Make the reward as far as what is known allows; signals are taken for granted where none are known.

    Raises:
        RewardError: it does not fit what is known.
    """
    known: Collection[str] = {name: signal.size for name, signal in (facts.signals or {}).items()}
    if facts.signals is None:
        known = {name for part in settings.parts for name in signals_read(part)}
    gamma = ANY_GAMMA if facts.gamma is None else facts.gamma
    return Reward(settings, known, gamma, facts.period_s, facts.observed)


def _unfit(settings: RewardSettings, facts: Facts) -> Iterator[Finding]:
    """Find the terms that cannot be built, each by itself."""
    said = set()
    for name, term in settings.terms.items():
        try:
            build(settings.model_copy(update={"terms": {name: term}, "only_positive": False}), facts)
        except RewardError as error:
            what, _, right = str(error).partition("; ")
            finding = Finding(_rule_of(error), "error", error.path, what, right)
            if finding not in said:
                said.add(finding)
                yield finding


def _rule_of(error: RewardError) -> str:
    text = str(error)
    if text.startswith("unknown signal"):
        return "unknown-signal"
    if text.startswith("unknown term"):
        return "unknown-term"
    return "unobserved-gate" if text.startswith("the policy does not observe") else "does-not-fit"


def _broken_rules(reward: Reward, only_positive: bool, facts: Facts, recording: Recording | None) -> Iterator[Finding]:
    found = set()
    for step, success in ((inf, 1.0), (0.0, 0.0)):
        reward.restart(step, success)
        values, missing = _measured(reward, recording)
        measured = {name: Interval(float(x.min()), float(x.max())) for name, x in values.items() if x.size}
        subject = Subject(reward, only_positive, facts, Budget(reward, facts, measured), recording, values)
        for rule in (missing, *(rule(subject) for rule in RULES)):
            for finding in rule:
                if (finding.rule, finding.path) not in found:
                    found.add((finding.rule, finding.path))
                    early = "at the beginning of training " if step == 0.0 else ""
                    yield replace(finding, what=early + finding.what, severity="warning") if early else finding
        if not reward.is_scheduled:
            return


def _measured(reward: Reward, recording: Recording | None) -> tuple[dict[str, Array], list[Finding]]:
    """Score a recording: term -> its weighted values; and what it lacks for that."""
    if recording is None:
        return {}, []
    missing = sorted(reward.signals - recording.transition.next_signals.keys())
    if missing:
        have = ", ".join(sorted(recording.transition.next_signals))
        what = f"the recording has no {', '.join(missing)}, so that it measures nothing"
        return {}, [Finding("unknown-signal", "error", ("terms",), what, f"a recording that has more than {have}")]
    _, breakdown = reward(recording.transition)
    return dict(zip(reward.names, breakdown, strict=True)), []
