"""Generation with functions of Python between the tokens, which is slower."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._arrays import as_numpy
from bit_axon._errors import Error, InvalidArgument
from bit_axon.inference.config import GenerateResult, TokenLogprobs
from bit_axon.inference.stream import GenerationStream, Part, Request, StreamState

__all__ = ["LogitsProcessor", "SlowStream", "StoppingCriterion"]

LogitsProcessor = Callable[[npt.NDArray[np.int32], npt.NDArray[np.float32]], Any]
StoppingCriterion = Callable[[list[int], str], bool]


@dataclass(frozen=True)
class SlowState(StreamState):
    """How far the slow loop is.

    Attributes:
        position: The tokens that the sequence holds.
        ids: The answer.
        unfed: The last token of the answer, while the sequence does not hold it.
        logprobs: An entry for each token, if they were asked for.
        finish_reason: Why the answer has ended.
    """

    position: int = 0
    ids: tuple[int, ...] = ()
    unfed: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    finish_reason: str = "length"


class SlowStream(GenerationStream):
    """A stream with functions of Python between the tokens: one step at a time."""

    _state: SlowState

    def __init__(
        self,
        request: Request,
        processors: Sequence[LogitsProcessor],
        criteria: Sequence[StoppingCriterion],
        logprobs: int | None,
    ) -> None:
        self._request, self._processors, self._criteria = request, processors, criteria
        self._n_logprobs = logprobs
        self._result = None
        ends = [*request.options["stop_ids"]]
        if not request.config.ignore_eos:
            ends += request.side.all_ends(request.model)
        self._ends = frozenset(ends)
        self._start = time.perf_counter()
        self._first: float | None = None
        self._begin()

    def _begin(self) -> None:
        """Feeds the prompt."""
        request, states = self._request, self._request.sequences
        position = states.position
        prompt = request.side.with_beginning(request.ids, request.model, position)
        self._context = [*(states.seen() if position > 0 else []), *prompt]
        self._room = request.model.context - position - len(prompt)
        states.keep()
        try:
            self._logits = self._forward(prompt)
            self._state = SlowState(
                position=position + len(prompt), is_done=request.config.max_tokens == 0
            )
        except Error as error:
            raise request.prefill_failure(error) from None
        except BaseException:
            states.take_back()
            raise

    def _forward(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        array = np.asarray([ids], dtype=np.int32)
        row: npt.NDArray[np.float32] = self._request.sequences.forward(array, False)[0, 0]
        return row

    def _draw(self, logits: npt.NDArray[np.float32], context: list[int], position: int) -> int:
        changed: Any = logits.copy()
        for processor in self._processors:
            changed = processor(np.asarray(context, dtype=np.int32), changed)
        row = as_numpy(changed, np.float32, name="logits_processors").reshape(-1)
        if row.shape != logits.shape:
            raise InvalidArgument(
                f"logits_processors: expected {logits.size} logits back, got {row.size}"
            )
        return int(engine.sample(row[None], self._request.options, context, position)[0])

    def _logprobs_of(
        self, logits: npt.NDArray[np.float32], token: int
    ) -> tuple[TokenLogprobs, ...]:
        if self._n_logprobs is None:
            return ()
        wide = logits.astype(np.float64)
        largest = float(wide.max())
        log_sum = largest + float(np.log(np.exp(wide - largest).sum()))
        best = np.argsort(-wide, kind="stable")[: self._n_logprobs]
        top = [(int(i), float(wide[i]) - log_sum) for i in best]
        return (TokenLogprobs(token, float(wide[token]) - log_sum, top),)

    def _peek(self, single: bool) -> Part:
        state, request = self._state, self._request
        # A part that was not taken is computed again.
        request.sequences.take_back(state.position)
        position = state.position + len(state.unfed)
        if state.unfed:
            self._logits = self._forward(state.unfed)
        context = [*self._context, *state.ids]
        token = self._draw(self._logits, context, position)
        if self._first is None:
            self._first = time.perf_counter()
        if token in self._ends:
            return self._last_part(replace(state, position=position, unfed=()), [], "stop")
        ids = (*state.ids, token)
        so_far = request.side.after(state.so_far, [token], request.config.stop)
        after = replace(
            state,
            so_far=so_far,
            position=position,
            ids=ids,
            unfed=(token,),
            logprobs=state.logprobs + self._logprobs_of(self._logits, token),
        )
        is_end = any(stop(list(ids), so_far.text) for stop in self._criteria)
        if is_end or so_far.stopped:
            return self._last_part(after, [token], "stop")
        if len(ids) >= min(request.config.max_tokens, self._room + 1):
            return self._last_part(after, [token], "length")
        return Part([token], so_far.text[len(state.so_far.text) :], after)

    def _last_part(self, state: SlowState, ids: list[int], reason: str) -> Part:
        """The last part, with the rest of the text."""
        request = self._request
        so_far = request.side.after(state.so_far, [], request.config.stop, is_last=True)
        text = so_far.text[len(self._state.so_far.text) :]
        state = replace(state, so_far=so_far, is_done=True, finish_reason=reason)
        return Part(ids, text, state)

    def _feed_last(self) -> None:
        """A cache of the caller gets the last token of the answer, if there is room for it."""
        state, request = self._state, self._request
        request.sequences.take_back(state.position)
        if state.unfed and request.keeps_cache and len(state.ids) <= self._room:
            self._forward(state.unfed)
            self._state = replace(state, position=state.position + 1, unfed=())

    def _finish(self) -> GenerateResult:
        if self._result is None:
            self._feed_last()
            self._result = self._made_result()
        return self._result

    def _made_result(self) -> GenerateResult:
        end = time.perf_counter()
        first = self._first if self._first is not None else end
        n, n_prompt = len(self._state.ids), len(self._request.ids)
        return GenerateResult(
            text=self._state.so_far.text,
            token_ids=list(self._state.ids),
            prompt_tokens=n_prompt,
            completion_tokens=n,
            tokens_per_sec=(n - 1) / (end - first) if n > 1 and end > first else 0.0,
            time_to_first_token_ms=(first - self._start) * 1000,
            finish_reason=self._state.finish_reason,
            prompt_tokens_per_sec=n_prompt / max(first - self._start, 1e-9),
            logprobs=list(self._state.logprobs) if self._n_logprobs is not None else None,
            seed=self._request.config.seed,
        )

    def close(self) -> None:
        if not self._state.is_done:
            self._state = replace(self._state, is_done=True, finish_reason="interrupted")
        self._finish()

    def _abandon(self) -> None:
        self._request.sequences.take_back(self._state.position)
