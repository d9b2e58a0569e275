"""Quire under transformers: the prefixes of prompts as a ``DynamicCache``, kept outside the process.

>>> store = quire.transformers.Store(client, model, namespace="my-model")
>>> cache = store.prefill(input_ids)            # loads what is there, computes and saves the rest
>>> model.generate(input_ids, past_key_values=cache)

Or by hand: :func:`load` what a session's match found, and :func:`save` a cache after a forward pass.
docs/python.md has which cache layers are known, and where a cache can be saved.
"""

from .cache_format import CacheFormat, UnknownCacheError
from .store import Loaded, Saved, Store, load, save

__all__ = ["CacheFormat", "Loaded", "Saved", "Store", "UnknownCacheError", "load", "save"]
