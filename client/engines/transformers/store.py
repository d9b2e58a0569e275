"""Caches go into sessions and come out of them, and prompts are prefilled by way of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

import quire

from .cache_format import CacheFormat, Part, Place, UnknownCacheError, get_tensor, set_tensor


@dataclass(frozen=True)
class Saved:
    """span_tokens: how far the growing tensors are stored. exact_tokens: where a prompt can be resumed
    now by what was saved; 0 when the cache did not end at a unit and has windows or states."""

    span_tokens: int
    exact_tokens: int


@dataclass(frozen=True)
class Loaded:
    """A cache that holds the first ``tokens`` tokens; 0: it is empty, and new."""

    cache: DynamicCache
    tokens: int


def _bytes_of(tensor: torch.Tensor, outer: int, inner_bytes: int) -> np.ndarray:
    """(outer, rows, bytes of a row), without a copy where it lies so on a CPU already."""
    flat = tensor.detach().to("cpu").contiguous().view(-1).view(torch.uint8)
    return flat.numpy().reshape(outer, -1, inner_bytes)


def _length(cache: DynamicCache, format_: CacheFormat) -> int:
    """Tokens in the cache, by its own tensors."""
    for part in format_.parts:
        layer = cache.layers[part.layer]
        if part.kind == "window":
            return int(layer.cumulative_length)
        if part.kind == "rows" and part.tokens_per_row == 1:
            return int(get_tensor(layer, part.name).shape[part.shape.index(-1)])
    return -1


def _write(pages: Sequence[quire.FillPage], places: Iterable[Place], rows: dict[Part, np.ndarray]) -> None:
    by_group = {page.group: page for page in pages}
    for place in places:
        if place.group not in by_group:
            continue
        source = rows[place.part]
        target = np.frombuffer(by_group[place.group], np.uint8)[place.offset : place.offset + source.size]
        target.reshape(source.shape)[...] = source
        # The fill cannot be committed while a view of it is left.
        del target


def _save_spans(session: quire.Session, cache: DynamicCache, format_: CacheFormat, tokens: int) -> None:
    unit = format_.unit_tokens
    places = [place for place in format_.places if place.part.kind == "rows"]
    whole = {
        place.part: _bytes_of(
            get_tensor(cache.layers[place.part.layer], place.part.name),
            place.part.outer,
            place.part.inner_bytes,
        )
        for place in places
    }
    for end in range(session.locate(tokens).span_tokens + unit, tokens + 1, unit):
        with session.begin_fill("span", end) as fill:
            if not fill.duplicate:
                rows = {}
                for part, array in whole.items():
                    first, last = part.rows_at(end - unit), part.rows_at(end)
                    rows[part] = array[:, first:last]
                _write(fill.pages, places, rows)
            fill.commit()


def _save_checkpoint(
    session: quire.Session, cache: DynamicCache, format_: CacheFormat, tokens: int, reason: Any
) -> None:
    places = [place for place in format_.places if place.part.kind != "rows"]
    rows = {}
    for place in places:
        part = place.part
        tensor = get_tensor(cache.layers[part.layer], part.name)
        if part.kind == "window":
            tensor = tensor[:, :, -part.rows_at(tokens) :, :]
        rows[part] = _bytes_of(tensor, part.outer, part.inner_bytes)
    with session.begin_fill("checkpoint", tokens, reason=reason) as fill:
        if not fill.duplicate:
            _write(fill.pages, places, rows)
        fill.commit()


def save(
    session: quire.Session,
    cache: DynamicCache,
    format_: CacheFormat | None = None,
    *,
    tokens: int | None = None,
    reason: str = "turn_end",
) -> Saved:
    """Stores what a cache holds of the session's prompt, whose tokens were appended before.

    ``session``: of ``format_.layout``; ``format_``: None derives it from the cache. ``tokens``: how many
    the cache holds; only needed for models without attention, whose caches do not know. A cache with
    windows or states can be resumed where it ends at a multiple of ``unit_tokens``; anywhere else only
    its growing tensors are saved. Errors: UnknownCacheError, and those of Session.begin_fill.
    """
    format_ = format_ or CacheFormat.of(cache)
    held = _length(cache, format_)
    if tokens is not None and held not in (-1, tokens):
        raise quire.InvalidArgumentError(f"tokens: the cache holds {held}, not {tokens}")
    length = held if tokens is None else tokens
    if length < 0:
        raise quire.InvalidArgumentError("tokens: this cache does not know how many it holds; say so")
    if length > session.token_count:
        raise quire.InvalidArgumentError(
            f"the cache holds {length} tokens and the session {session.token_count}: append them first"
        )
    whole = session.layout.unit_floor(length)
    _save_spans(session, cache, format_, whole)
    needs_checkpoint = session.layout.checkpoint_groups != 0
    if needs_checkpoint and length == whole and whole > 0:
        _save_checkpoint(session, cache, format_, whole, reason)
    exact = whole if not needs_checkpoint or length == whole else 0
    return Saved(session.locate(whole).span_tokens if whole else 0, exact)


class _Rebuilder:
    """Tensors of a cache of ``tokens`` tokens, filled run by run."""

    def __init__(self, format_: CacheFormat, tokens: int) -> None:
        self._places = format_.places
        self._tokens = tokens
        self.tensors = {
            part: torch.empty(part.shape_at(tokens), dtype=part.torch_dtype) for part in format_.parts
        }
        self._arrays = {
            part: _bytes_of(tensor, part.outer, part.inner_bytes) for part, tensor in self.tensors.items()
        }
        self._unit = format_.unit_tokens

    def take(self, run: quire.Run) -> None:
        pages = np.asarray(run)
        for place in self._places:
            if place.group != run.group:
                continue
            part, target = place.part, self._arrays[place.part]
            if part.kind == "rows":
                per_block = part.rows_at(self._unit)
                block = self._cut(pages, place, per_block)
                view = target.reshape(part.outer, -1, per_block, part.inner_bytes)
                last = run.first_block + run.page_count
                view[:, run.first_block : last] = block.transpose(1, 0, 2, 3)
            else:
                target[...] = self._cut(pages, place, part.rows_at(self._tokens))[0]

    @staticmethod
    def _cut(pages: np.ndarray, place: Place, rows: int) -> np.ndarray:
        """A part of each page: (pages, outer, rows, bytes of a row)."""
        part = place.part
        size = part.outer * rows * part.inner_bytes
        cut = pages[:, place.offset : place.offset + size]
        return cut.reshape(len(pages), part.outer, rows, part.inner_bytes)


def _set_layer(layer: Any, tensors: dict[Part, torch.Tensor], tokens: int) -> None:
    """Makes an empty layer one that holds so many tokens."""
    attention = [part for part in tensors if part.name in ("keys", "values")]
    for part, tensor in tensors.items():
        attribute, _, key = part.name.partition(".")
        if attribute in ("conv_states", "recurrent_states"):
            # The layer allocates its own memory, whose address stays, and copies.
            layer.lazy_initialization(**{attribute: tensor, "state_idx": int(key)})
            get_tensor(layer, part.name).copy_(tensor)
            layer.has_previous_state[int(key)] = True
    if attention:
        first = tensors[attention[0]]
        layer.lazy_initialization(first, first)
    for part, tensor in tensors.items():
        if part.name.partition(".")[0] in ("conv_states", "recurrent_states"):
            continue
        if part.name == "indexer_keys":
            layer.lazy_initialization_indexer(tensor)
        set_tensor(layer, part.name, tensor)
        if part.alias:
            set_tensor(layer, part.alias, tensor)
    if hasattr(layer, "cumulative_length"):
        layer.cumulative_length = tokens
    if hasattr(layer, "entry_count"):
        for name in layer.entry_count:
            layer.entry_count[name] = tokens // layer.compress_rate


def load(
    hit: quire.Hit,
    cache: DynamicCache,
    format_: CacheFormat,
    *,
    device: torch.device | str = "cpu",
) -> Loaded:
    """What a match found, copied into ``cache``, which must be new (``DynamicCache(config=...)``).

    Whole or not at all: of a load cut short (``Runs.limited_by``) nothing is used. The cache is the
    process's own, so the hit may be released afterwards. Errors: those of Hit.load_runs.
    """
    tokens = hit.exact_tokens
    if any(layer.is_initialized for layer in cache.layers if hasattr(layer, "is_initialized")):
        raise quire.InvalidArgumentError("cache: a new one is needed, this one holds tokens already")
    if tokens == 0:
        return Loaded(cache, 0)
    if len(cache.layers) < 1 + max(part.layer for part in format_.parts):
        raise UnknownCacheError("cache: make it with the model's config, DynamicCache(config=...)")
    rebuilder = _Rebuilder(format_, tokens)
    runs = hit.load_runs()
    if runs.limited_by is not None:
        return Loaded(cache, 0)
    for run in runs:
        rebuilder.take(run)
    by_layer: dict[int, dict[Part, torch.Tensor]] = {}
    for part, tensor in rebuilder.tensors.items():
        by_layer.setdefault(part.layer, {})[part] = tensor.to(device)
    for index, tensors in by_layer.items():
        _set_layer(cache.layers[index], tensors, tokens)
    return Loaded(cache, tokens)


class Store:
    """Prefixes of one model's prompts. Threads: one at a time.

    namespace: the model, its weights' revision, and whatever else pages depend on (an adapter).
    chunk_tokens: a forward pass of ``prefill`` computes so many tokens at most, and ends at multiples
        of it, so that a resumed prompt goes through the same passes as one that is computed.
    session_options: as of quire.Client.open_session.
    """

    def __init__(
        self,
        client: quire.Client,
        model: Any,
        *,
        namespace: str,
        chunk_tokens: int = 2048,
        format_: CacheFormat | None = None,
        **session_options: Any,
    ) -> None:
        self.format = format_ or CacheFormat.probe(model)
        if chunk_tokens % self.format.unit_tokens:
            raise quire.InvalidArgumentError(
                f"chunk_tokens: a multiple of the unit of {self.format.unit_tokens} tokens is needed"
            )
        self._client = client
        self._model = model
        self._chunk_tokens = chunk_tokens
        # Hashed: a name of a session has a bounded length, and somebody's salt has none.
        salt = hashlib.sha256(f"{self.format.digest}/{session_options.pop('salt', '')}".encode())
        self._options = {**session_options, "namespace": namespace, "salt": salt.hexdigest()[:32]}

    def session(self, input_ids: torch.Tensor) -> quire.Session:
        """A session of this prompt, of shape (tokens,) or (1, tokens)."""
        ids = input_ids.reshape(-1) if input_ids.dim() == 1 or input_ids.shape[0] == 1 else None
        if ids is None:
            raise quire.InvalidArgumentError("input_ids: one prompt at a time")
        session = self._client.open_session(self.format.layout, **self._options)
        try:
            session.append_tokens(ids.to("cpu", torch.int64).numpy().astype(np.uint32))
        except BaseException:
            session.close()
            raise
        return session

    def load(self, input_ids: torch.Tensor) -> Loaded:
        """A new cache with as much of the prompt as is stored; one token at least is left to compute."""
        with self.session(input_ids) as session:
            return self._load(session)[0]

    def save(self, input_ids: torch.Tensor, cache: DynamicCache) -> Saved:
        """Stores a cache of these tokens, or of the first of them."""
        with self.session(input_ids) as session:
            return save(session, cache, self.format)

    @torch.no_grad()
    def prefill(self, input_ids: torch.Tensor) -> DynamicCache:
        """A cache of the prompt up to its last resume point, loaded as far as it is there, computed and
        saved from there on: for ``model.generate(input_ids, past_key_values=cache)``."""
        ids = input_ids.reshape(1, -1)
        with self.session(ids) as session:
            loaded, branch_tokens = self._load(session)
            end = session.layout.last_resume_point(session.token_count)
            first = loaded.tokens
            for last, wanted in self._passes(session, first, end, branch_tokens):
                chunk = ids[:, first:last].to(self._model.device)
                self._model(input_ids=chunk, past_key_values=loaded.cache, use_cache=True)
                if wanted:
                    save(session, loaded.cache, self.format, tokens=last, reason=wanted)
                first = last
            session.resumed("exact" if loaded.tokens else "nothing", loaded.tokens)
        return loaded.cache

    def _load(self, session: quire.Session) -> tuple[Loaded, int]:
        cache = DynamicCache(config=self._model.config)
        with session.match() as hit:
            return load(hit, cache, self.format, device=self._model.device), hit.branch_tokens

    def _passes(
        self, session: quire.Session, begin: int, end: int, branch_tokens: int
    ) -> list[tuple[int, str | None]]:
        """(end of a forward pass, reason of the checkpoint there or None), ascending."""
        wanted: dict[int, str] = dict(session.wanted_checkpoints(begin, end, branch_tokens))
        if end > begin:
            wanted.setdefault(end, "turn_end")
        steps = range(begin - begin % self._chunk_tokens + self._chunk_tokens, end, self._chunk_tokens)
        return [(last, wanted.get(last)) for last in sorted({*steps, *wanted})]
