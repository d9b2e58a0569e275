"""Pages under an engine's own keys: for engines that know a page by the hash of all before it.

An engine gives a key a page, in the order of a prompt but not from its begin on: what its device holds
already is left out. Quire knows prompts from their begin. So pages are kept in chains: runs of keys as
they were stored together, each run a short prompt of its own whose tokens are made of the keys.
"""

from .chains import Chain, Chains
from .identity import short_name
from .keyed_pages import KeyedPages, PinnedPages

__all__ = ["Chain", "Chains", "KeyedPages", "PinnedPages", "short_name"]
