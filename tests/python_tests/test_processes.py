"""Signals, threads, child processes, and the end of the interpreter."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonModel, QwenTokenizerWrapper
from bit_axon.inference import GenerateConfig, generate, load_model
from conftest import BUNDLED

START = f"""
import gc, os, signal, sys, threading, time
import numpy as np
import bit_axon
from bit_axon.inference import generate, load_model, GenerateConfig, batch_generate
from bit_axon.tokenizer import QwenTokenizerWrapper
signal.signal(signal.SIGINT, signal.default_int_handler)
model = load_model({str(BUNDLED)!r}, precision="exact")
tokenizer = QwenTokenizerWrapper({str(BUNDLED)!r})
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Alarm:
    """Raises KeyboardInterrupt in the main thread after a while, as Ctrl-C does, unless stopped."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.is_armed = seconds, False
        signal.signal(signal.SIGALRM, self._ring)

    def start(self) -> None:
        """Call this where KeyboardInterrupt is caught."""
        self.is_armed = True
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def _ring(self, *_: object) -> None:
        if self.is_armed:
            self.is_armed = False
            raise KeyboardInterrupt


@pytest.mark.parametrize("milliseconds", [1, 5, 20, 60])
def test_an_interrupted_call_leaves_the_state(shakespeare: BitAxonModel, milliseconds: int) -> None:
    start = np.arange(100)[None]
    _, caches = shakespeare(start)
    before = caches.to_bytes()
    long = np.arange(3900)[None] % 1024
    alarm = Alarm(milliseconds / 1000)
    try:
        alarm.start()
        shakespeare(long, cache=caches)
        finished = True
    except KeyboardInterrupt:
        finished = False
    finally:
        alarm.is_armed = False
    if not finished:
        assert caches.to_bytes() == before
        assert caches.position == 100
        shakespeare(long, cache=caches)
    expected, twin = shakespeare(start)
    shakespeare(long, cache=twin)
    assert caches.to_bytes() == twin.to_bytes()
    assert expected.shape == (1, 100, 1024)


@pytest.mark.parametrize("milliseconds", [1, 10, 50])
def test_an_interrupted_generation_can_be_repeated(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, milliseconds: int
) -> None:
    config = GenerateConfig(max_tokens=3000, seed=4, ignore_eos=True)
    alarm = Alarm(milliseconds / 1000)
    with pytest.raises(KeyboardInterrupt):
        try:
            alarm.start()
            generate(shakespeare, tokenizer, "ROMEO:" * 200, config)
        finally:
            alarm.is_armed = False
    short = GenerateConfig(max_tokens=20, seed=4)
    first = generate(shakespeare, tokenizer, "ROMEO:", short)
    assert generate(shakespeare, tokenizer, "ROMEO:", short).text == first.text


def test_an_interrupted_stream_goes_on(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    config = GenerateConfig(max_tokens=400, seed=4, ignore_eos=True)
    expected = generate(shakespeare, tokenizer, "ROMEO:", config).text
    stream = generate(shakespeare, tokenizer, "ROMEO:", config, stream=True)
    pieces: list[str] = []
    n_interrupts = 0
    while True:
        piece: str | None = ""
        alarm = Alarm(0.004)
        try:
            alarm.start()
            piece = next(stream, None)
            alarm.is_armed = False
        except KeyboardInterrupt:
            n_interrupts += 1
        if piece is None:
            break
        pieces.append(piece)
    assert stream.return_value is not None
    assert stream.return_value.text == expected == "".join(pieces)


class Moments:
    """Random moments for KeyboardInterrupt. Each interrupted try gives the next one more time, so that
    slow machines get through."""

    def __init__(self, longest: float) -> None:
        self.random, self.longest = random.Random(7), longest
        self.n_tries = 0
        self.n_interrupts = 0

    def alarm(self) -> Alarm:
        self.n_tries += 1
        return Alarm(max(1e-5, self.random.random() * self.longest * self.n_tries))

    def interrupted(self) -> None:
        self.n_interrupts += 1


def test_calls_that_are_interrupted_at_any_moment_change_nothing(
    shakespeare: BitAxonModel,
) -> None:
    _, caches = shakespeare(np.array([[1, 2, 3]]))
    moments = Moments(0.002)
    for i in range(60):
        ids = np.array([[i]])
        moments.n_tries = 0
        while caches.position == 3 + i:
            alarm = moments.alarm()
            try:
                alarm.start()
                shakespeare(ids, cache=caches)
                alarm.is_armed = False
            except KeyboardInterrupt:
                # The call has returned if the signal came after it.
                assert caches.position in (3 + i, 4 + i)
                moments.interrupted()
        assert caches.position == 4 + i
    assert moments.n_interrupts > 0
    _, twin = shakespeare(np.array([[1, 2, 3, *range(60)]]))
    assert caches.to_bytes() == twin.to_bytes()


@pytest.mark.parametrize("options", [{}, {"logprobs": 0}])
def test_streams_that_are_interrupted_at_any_moment_lose_nothing(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, options: dict[str, Any]
) -> None:
    config = GenerateConfig(max_tokens=60, seed=4, ignore_eos=True)
    expected = generate(shakespeare, tokenizer, "ROMEO:", config).text
    moments = Moments(0.002)
    for _ in range(5):
        stream = generate(shakespeare, tokenizer, "ROMEO:", config, stream=True, **options)
        text = ""
        while stream.result is None:
            alarm = moments.alarm()
            try:
                alarm.start()
                for piece in stream:
                    text += piece
                alarm.is_armed = False
            except KeyboardInterrupt:
                moments.interrupted()
        assert text == expected
        assert stream.result is not None
        assert stream.result.text == expected
        moments.n_tries = 0
    assert moments.n_interrupts > 0


def test_interrupted_loads_end() -> None:
    moments = Moments(0.05)
    for _ in range(8):
        alarm = moments.alarm()
        try:
            alarm.start()
            load_model(BUNDLED)
            alarm.is_armed = False
        except KeyboardInterrupt:
            moments.interrupted()
    assert load_model(BUNDLED).vocab_size == 1024


def test_an_interrupted_generation_leaves_its_cache_usable(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    for milliseconds in range(1, 30, 3):
        cache = shakespeare.new_cache()
        alarm = Alarm(milliseconds / 1000)
        try:
            alarm.start()
            generate(shakespeare, tokenizer, "ROMEO:", max_tokens=2000, cache=cache)
        except KeyboardInterrupt:
            shakespeare(np.array([[1]]), cache=cache)
        finally:
            alarm.is_armed = False


def test_the_lock_of_the_interpreter_is_released(shakespeare: BitAxonModel) -> None:
    beats = 0
    stop = threading.Event()

    def beat() -> None:
        nonlocal beats
        while not stop.is_set():
            beats += 1
            time.sleep(0.001)

    heart = threading.Thread(target=beat)
    heart.start()
    during: list[int] = []
    for _ in range(3):
        before = beats
        shakespeare(np.arange(3900)[None] % 1024, logits="last")
        during.append(beats - before)
    stop.set()
    heart.join()
    assert min(during) > 0


def test_a_signal_ends_the_wait_at_once() -> None:
    result = run(
        """
        big = load_model(sys.argv[0] if False else model.info["name"], precision="exact",
                         device="reference")
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        start = time.perf_counter()
        try:
            big(np.arange(4000)[None] % 1024, logits="last")
            print("finished")
        except KeyboardInterrupt:
            print("interrupted", time.perf_counter() - start < 5)
        """
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "interrupted True"


def test_a_child_made_by_fork_is_refused() -> None:
    result = run(
        """
        _, caches = model(np.array([[1, 2, 3]]))
        stream = generate(model, tokenizer, "ROMEO:", stream=True)
        child = os.fork()
        if child == 0:
            try:
                model(np.array([[1]]))
                print("no error")
            except bit_axon.Unsupported as error:
                print(error)
            del caches, stream, model
            gc.collect()
            sys.stdout.flush()
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), model(np.array([[1]]))[0].shape)
        """
    )
    assert result.returncode == 0, result.stderr
    assert "made by fork" in result.stdout
    assert "7 (1, 1, 1024)" in result.stdout


@pytest.mark.parametrize(
    "code",
    [
        "_, caches = model(np.array([[1, 2]])); del model; caches.reset()",
        "stream = generate(model, tokenizer, 'a', stream=True); next(stream)",
        "stream = generate(model, tokenizer, 'a', stream=True); del model; next(stream)",
        "kept = [model, tokenizer, model(np.array([[1]]))]; kept.append(kept)",
        "call = lambda: generate(model, tokenizer, 'a', max_tokens=3000, ignore_eos=True); threading.Thread(target=call, daemon=True).start(); time.sleep(0.1)",
        "threading.Thread(target=lambda: model(np.zeros((1, 4000), int)), daemon=True).start()",
        "sys.modules['kept'] = [model, generate(model, tokenizer, 'a', stream=True)]",
        "import atexit; atexit.register(lambda: model(np.array([[1]])))",
        "model.close(); model = None; gc.collect()",
        "models = [load_model(model.info['name']) for _ in range(4)]; del models[1]",
    ],
)
def test_the_interpreter_ends_in_any_order(code: str) -> None:
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_several_models_at_once(shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper) -> None:
    config = GenerateConfig(max_tokens=25, seed=2)
    expected = generate(shakespeare, tokenizer, "ROMEO:", config).text
    models = [load_model(BUNDLED, precision="exact", threads=1) for _ in range(4)]
    texts: list[Any] = [None] * 4

    def work(index: int) -> None:
        texts[index] = generate(models[index], tokenizer, "ROMEO:", config).text

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [expected] * 4


def test_memory_stays_flat_over_many_generations() -> None:
    result = run(
        """
        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        def work(n):
            for i in range(n):
                generate(model, tokenizer, "ROMEO:", max_tokens=3, seed=i)
                model(np.array([[i % 1024]]))
                for piece in generate(model, tokenizer, "a", max_tokens=2, stream=True):
                    pass
        work(300)
        before = resident()
        work(700)
        print(resident() - before)
        """
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 4_000_000
