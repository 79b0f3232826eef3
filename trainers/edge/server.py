"""The control loop on the robot: an action for every observation, and the safe action when there is none."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Optional

import numpy as np

from .errors import EdgeError
from .messages import POLICY, REFUSED, SAFE, Answer, Request, pack_answer, unpack_request
from .runner import ActorRunner
from .transports import Closed, Transport

log = logging.getLogger("robotrl.edge")


@dataclass
class Served:
    """What a server has done.

    Attributes:
        actions: by the policy.
        safe: safe actions sent.
        refused: observations that did not fit.
        computed_us: of the last 10,000 answers, microseconds each.
    """

    actions: int = 0
    safe: int = 0
    refused: int = 0
    computed_us: Deque[int] = field(default_factory=lambda: deque(maxlen=10_000))


class Server:
    """Answers observations by actions.

    Each is answered as soon as it comes. Once the watchdog's time has passed without one that is whole, the safe
    action is sent in every period, and when the server ends.
    """

    def __init__(self, runner: ActorRunner, transport: Transport) -> None:
        self.runner, self.transport = runner, transport
        self.served = Served()
        self._last = Request(None)
        self._refusal = ""

    def run(self, seconds: Optional[float] = None) -> Served:
        """Serve until the sender ends, for so many seconds, or until interrupted."""
        now = self.runner.clock()
        end = now + seconds if seconds is not None else float("inf")
        due = now + self.runner.period_s
        try:
            while now < end:
                data = self.transport.receive(max(0.0, min(due, end) - now))
                now = self.runner.clock()
                if data is not None:
                    self._answer(data, now)
                    due = now + self.runner.period_s
                elif now >= due:
                    self._watch()
                    due += self.runner.period_s
        except (Closed, KeyboardInterrupt):
            pass
        finally:
            self._send(self.runner.stop("the server ends"), SAFE, 0)
        return self.served

    def _answer(self, data: bytes, arrived_s: float) -> None:
        try:
            request = self._last = unpack_request(data)
            if request.reset:
                self.runner.reset()
            if request.order is not None:
                self.runner.check_order(request.order)
            action = self.runner.act(request.obs)
        except EdgeError as error:
            self._refuse(str(error))
            return
        computed_us = int((self.runner.clock() - arrived_s) * 1e6)
        self._refusal = ""
        if self.runner.reason:
            self.served.safe += 1
        else:
            self.served.actions += 1
            self.served.computed_us.append(computed_us)
        self._send(action, SAFE if self.runner.reason else POLICY, computed_us)

    def _refuse(self, reason: str) -> None:
        """Go on as if nothing had come, but say so."""
        if reason != self._refusal:
            log.error(reason)
            self._refusal = reason
        self.served.refused += 1
        self._send(self.runner.command(), REFUSED, 0, reason)

    def _watch(self) -> None:
        action = self.runner.command()
        if self.runner.reason:
            self.served.safe += 1
            self._send(action, SAFE, 0)
            self.transport.forget()

    def _send(self, action: np.ndarray, status: int, computed_us: int, reason: str = "") -> None:
        packed = self._last.packed
        command = None if packed else self.runner.in_si(action)
        said = Answer(action, status, self._last.sequence, computed_us, reason or self.runner.reason, command)
        self.transport.send(pack_answer(said, packed=packed))
