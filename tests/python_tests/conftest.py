"""The bundled model, and where recorded cases are."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from bit_axon import BitAxonModel, QwenTokenizerWrapper
from bit_axon.inference import load_model

ROOT = Path(__file__).parents[2]
# A shell ignores this signal in programs that it starts in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)

BUNDLED = ROOT / "models" / "tiny-shakespeare"
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shakespeare() -> Iterator[BitAxonModel]:
    """The bundled model, computing exactly."""
    with load_model(BUNDLED, precision="exact") as model:
        yield model


@pytest.fixture(scope="session")
def tokenizer() -> QwenTokenizerWrapper:
    return QwenTokenizerWrapper(BUNDLED)
