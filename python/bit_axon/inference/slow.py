"""Generation with functions of Python between the tokens, which is slower."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._errors import Error, InvalidArgument
from bit_axon.inference.config import GenerateResult, TokenLogprobs
from bit_axon.inference.stream import GenerationStream, Request

__all__ = ["LogitsProcessor", "SlowLoop", "SlowStream", "StoppingCriterion"]

LogitsProcessor = Callable[[npt.NDArray[np.int32], npt.NDArray[np.float32]], Any]
StoppingCriterion = Callable[[list[int], str], bool]


class SlowLoop:
    """Generation with functions of Python between the tokens: one step at a time."""

    def __init__(
        self,
        request: Request,
        processors: Sequence[LogitsProcessor],
        criteria: Sequence[StoppingCriterion],
        logprobs: int | None,
    ) -> None:
        self.request, self.processors, self.criteria = request, processors, criteria
        self.n_logprobs = logprobs
        self.ids: list[int] = []
        self.logprobs: list[TokenLogprobs] = []
        self.finish_reason = "length"
        self.start = time.perf_counter()
        self.first: float | None = None
        self.side = request.side
        ends = [*request.options["stop_ids"]]
        if not request.config.ignore_eos:
            ends += self.side.all_ends(request.model)
        self.ends = frozenset(ends)
        self._seen: list[int] = []
        self._room = 0
        self._next_logits = np.empty(0, dtype=np.float32)

    def _logits(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        array = np.asarray([ids], dtype=np.int32)
        row: npt.NDArray[np.float32] = self.request.sequences.forward(array, False)[0, 0]
        return row

    def _draw(self, logits: npt.NDArray[np.float32], seen: list[int], position: int) -> int:
        context = np.asarray(seen, dtype=np.int32)
        changed: Any = logits
        for processor in self.processors:
            changed = processor(context, changed)
        row = np.ascontiguousarray(np.asarray(changed), dtype=np.float32).reshape(-1)
        if row.shape != logits.shape:
            raise InvalidArgument(
                f"logits_processors: expected {logits.size} logits back, got {row.size}"
            )
        return int(engine.sample(row[None], self.request.options, seen, position)[0])

    def _note(self, logits: npt.NDArray[np.float32], token: int) -> None:
        if self.n_logprobs is None:
            return
        wide = logits.astype(np.float64)
        largest = float(wide.max())
        log_sum = largest + float(np.log(np.exp(wide - largest).sum()))
        best = np.argsort(-wide, kind="stable")[: self.n_logprobs]
        top = [(int(i), float(wide[i]) - log_sum) for i in best]
        self.logprobs.append(TokenLogprobs(token, float(wide[token]) - log_sum, top))

    def begin(self) -> None:
        """Feeds the prompt."""
        request = self.request
        position = request.sequences.position
        prompt = self.side.with_beginning(request.ids, request.model, position)
        self._seen = [*(request.sequences.seen() if position > 0 else []), *prompt]
        self._room = request.model.context - position - len(prompt)
        try:
            self._next_logits = self._logits(prompt)
        except Error as error:
            raise request.prefill_failure(error) from None

    def tokens(self) -> Iterator[tuple[int, str]]:
        """Each token with the text that it completes. The rest of the text comes with the id -1."""
        request = self.request
        unfed: list[int] = []
        try:
            for index in range(min(request.config.max_tokens, self._room + 1)):
                if index > 0:
                    unfed, fed = [], unfed
                    self._next_logits = self._logits(fed)
                logits = self._next_logits
                token = self._draw(logits, self._seen, request.sequences.position)
                if self.first is None:
                    self.first = time.perf_counter()
                if token in self.ends:
                    self.finish_reason = "stop"
                    break
                self.ids.append(token)
                self._seen.append(token)
                unfed = [token]
                self._note(logits, token)
                yield token, self.side.push([token], request.config.stop)
                stops = any(stop(self.ids, self.side.text) for stop in self.criteria)
                if self.side.stopped or stops:
                    self.finish_reason = "stop"
                    break
        finally:
            # A cache of the caller holds the whole answer afterwards, if there is room for it.
            if unfed and request.keeps_cache and len(self.ids) <= self._room:
                self._logits(unfed)
        rest = self.side.finish()
        if rest:
            yield -1, rest

    def result(self) -> GenerateResult:
        end = time.perf_counter()
        first = self.first if self.first is not None else end
        n = len(self.ids)
        rate = (n - 1) / (end - first) if n > 1 and end > first else 0.0
        prompt = max(first - self.start, 1e-9)
        return GenerateResult(
            text=self.side.text,
            token_ids=self.ids,
            prompt_tokens=len(self.request.ids),
            completion_tokens=n,
            tokens_per_sec=rate,
            time_to_first_token_ms=(first - self.start) * 1000,
            finish_reason=self.finish_reason,
            prompt_tokens_per_sec=len(self.request.ids) / prompt,
            logprobs=self.logprobs if self.n_logprobs is not None else None,
            seed=self.request.config.seed,
        )


class SlowStream(GenerationStream):
    """GenerationStream over a SlowLoop."""

    def __init__(self, loop: SlowLoop) -> None:
        self._loop = loop
        loop.begin()
        self._source = loop.tokens()
        self._done = False
        self._result = None

    def _finish(self) -> GenerateResult:
        if self._result is None:
            self._result = self._loop.result()
        return self._result

    def _pieces(self, single: bool) -> tuple[list[int], str, bool]:
        for token, text in self._source:
            if text or single:
                return ([] if token < 0 else [token]), text, False
        self._done = True
        return [], "", True

    def close(self) -> None:
        self._source.close()  # type: ignore[attr-defined]
        self._done = True
        self._finish()
