"""Signals, threads, child processes, and the end of the interpreter."""

from __future__ import annotations

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
from bit_axon.inference import GenerateConfig, generate
from conftest import BUNDLED

START = f"""
import gc, os, signal, sys, threading, time
import numpy as np
import bit_axon
from bit_axon.inference import generate, load_model, GenerateConfig, batch_generate
from bit_axon.tokenizer import QwenTokenizerWrapper
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
    """Raises KeyboardInterrupt in the main thread after a while, as Ctrl-C does."""

    def __init__(self, seconds: float) -> None:
        self.old = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.old)


@pytest.mark.parametrize("milliseconds", [1, 5, 20, 60])
def test_an_interrupted_call_leaves_the_state(shakespeare: BitAxonModel, milliseconds: int) -> None:
    start = np.arange(100)[None]
    _, caches = shakespeare(start)
    before = caches.to_bytes()
    long = np.arange(3900)[None] % 1024
    alarm = Alarm(milliseconds / 1000)
    try:
        shakespeare(long, cache=caches)
        finished = True
    except KeyboardInterrupt:
        finished = False
    finally:
        alarm.stop()
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
            generate(shakespeare, tokenizer, "ROMEO:" * 200, config)
        finally:
            alarm.stop()
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
        alarm = Alarm(0.004)
        piece: str | None = ""
        try:
            piece = next(stream, None)
        except KeyboardInterrupt:
            n_interrupts += 1
        finally:
            try:
                alarm.stop()
            except KeyboardInterrupt:
                alarm.stop()
        if piece is None:
            break
        pieces.append(piece)
    # An interrupt between the engine's return and Python's may lose the piece, not the stream.
    assert stream.return_value is not None
    assert stream.return_value.text == expected


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
    from bit_axon.inference import load_model

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
