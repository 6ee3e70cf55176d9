"""TurboQuant, a compressed KV cache, which Bit-Axon plans."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["TurboQuant"]


class TurboQuant:
    """Not available yet: compressed keys and values come with the support of long contexts."""

    def __init__(self, bits: int = 4, *_: Any, **__: Any) -> None:
        self._refuse()

    def compress(self, *_: Any) -> NoReturn:
        """Not available."""
        self._refuse()

    def decompress(self, *_: Any) -> NoReturn:
        """Not available."""
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise NotImplementedError(
            "TurboQuant is not available: compressed keys and values come with the support of long "
            "contexts; keys and values are kept in 16 or 32 bits"
        )
