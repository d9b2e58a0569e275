"""Which run of keys a page was stored in, as far as this process knows."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

KEY_WORDS = 8  # a SHA-256 as 32-bit tokens
_MAX_KEYS = 1 << 18  # some 100 bytes each


class Chain:
    """Keys that lie one behind the other in the store. Immutable."""

    __slots__ = ("keys",)

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)

    def common(self, at: int, keys: Sequence[str], first: int) -> int:
        """How many keys from `at` on are those of `keys` from `first` on."""
        count = 0
        for mine, theirs in zip(self.keys[at:], keys[first : first + len(self.keys) - at]):
            if mine != theirs:
                break
            count += 1
        return count


class Chains:
    """Key -> its chain and place there; the least lately noted ones are forgotten.

    A forgotten or unknown key may still head a chain of the store: asking finds it. One that lies inside
    a chain is a miss until a lookup comes by way of the chain's head. Threads: any.
    """

    def __init__(self) -> None:
        self._places: OrderedDict[str, tuple[Chain, int]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, chain: Chain) -> None:
        with self._lock:
            for at, key in enumerate(chain.keys):
                known = self._places.get(key)
                # A longer chain with the same begin replaces the shorter one; another one does not.
                if known is None or known[0].keys[: known[1]] == chain.keys[:at]:
                    self._places[key] = (chain, at)
                self._places.move_to_end(key)
            while len(self._places) > _MAX_KEYS:
                self._places.popitem(last=False)

    def place(self, key: str) -> tuple[Chain, int] | None:
        with self._lock:
            return self._places.get(key)

    def forget(self, key: str) -> None:
        with self._lock:
            self._places.pop(key, None)


def tokens_of(keys: Sequence[str], page_tokens: int) -> np.ndarray:
    """`page_tokens` tokens a key, of which the first KEY_WORDS are its digest."""
    tokens = np.zeros((len(keys), page_tokens), np.uint32)
    for row, key in zip(tokens, keys):
        row[:KEY_WORDS] = np.frombuffer(hashlib.sha256(key.encode()).digest(), np.uint32)
    return tokens.reshape(-1)
