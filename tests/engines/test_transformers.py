"""Caches of transformers come back bit for bit: in another process, and after kill -9 of the daemon."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import quire
import torch
import transformers as hf
from quire._programs import program
from quire.daemon import Daemon
from quire.transformers import CacheFormat, Store, UnknownCacheError, load, save
from resume_worker import CHUNK_TOKENS, PROMPT_TOKENS
from tiny_models import CONFIGS, make_model, make_prompt

WORKER = pathlib.Path(__file__).with_name("resume_worker.py")
MODELS = [*CONFIGS, "deepseek_v4_bf16", "qwen3_next_bf16"]


def run_worker(socket: str, out: pathlib.Path) -> dict[str, Any]:
    subprocess.run([sys.executable, "-W", "ignore", WORKER, socket, out, *MODELS], check=True)
    return torch.load(out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Four processes, one after another: without Quire, storing, resuming from RAM, and resuming from
    SSD after the daemon was killed and started again."""
    folder = tmp_path_factory.mktemp("runs")
    found = {"computed": run_worker("-", folder / "computed.pt")}
    with Daemon(str(folder), arguments=["--ram_bytes=512MiB", "--ssd_bytes=1GiB"], ssd=True) as daemon:
        found["stored"] = run_worker(daemon.socket_path, folder / "stored.pt")
        found["ram"] = run_worker(daemon.socket_path, folder / "ram.pt")
        subprocess.run([program("quirectl"), f"--socket={daemon.socket_path}", "flush"], check=True)
        daemon.kill()
        daemon.start()
        found["ssd"] = run_worker(daemon.socket_path, folder / "ssd.pt")
    return found


@pytest.mark.parametrize("model", MODELS)
def test_the_passes_of_a_store_are_those_without_one(runs: dict, model: str) -> None:
    assert runs["stored"][model]["loaded"] == 0
    assert_equal(runs["stored"][model], runs["computed"][model])


@pytest.mark.parametrize("model", MODELS)
def test_another_process_resumes_bit_for_bit(runs: dict, model: str) -> None:
    assert runs["ram"][model]["loaded"] == last_resume_point(model)
    assert runs["ram"][model]["tiers"]["ram"] == last_resume_point(model)
    assert_equal(runs["ram"][model], runs["computed"][model])


@pytest.mark.parametrize("model", MODELS)
def test_it_resumes_bit_for_bit_after_kill_9(runs: dict, model: str) -> None:
    assert runs["ssd"][model]["tiers"]["ssd"] == last_resume_point(model)
    assert_equal(runs["ssd"][model], runs["computed"][model])


@pytest.mark.parametrize("model", MODELS)
def test_the_models_say_something(runs: dict, model: str) -> None:
    """Comparing equal nothings would prove nothing."""
    assert len(set(runs["computed"][model]["output"])) > 1
    assert runs["computed"][model]["logits"].float().std() > 0.1


def last_resume_point(model: str) -> int:
    unit = 128 if model.startswith("deepseek_v4") else 64
    return (PROMPT_TOKENS - 1) // unit * unit


def assert_equal(left: dict, right: dict) -> None:
    assert left["output"] == right["output"]
    assert torch.equal(left["logits"], right["logits"])


@pytest.fixture(scope="module")
def client() -> Iterator[quire.Client]:
    with Daemon(arguments=["--ram_bytes=512MiB"]) as daemon:
        with quire.Client(daemon.socket_path) as connected:
            yield connected


@pytest.mark.parametrize("name", CONFIGS)
def test_generate_goes_on_from_a_loaded_cache(client: quire.Client, name: str) -> None:
    model = make_model(name)
    prompt = make_prompt(700, seed=3)
    store = Store(client, model, namespace=f"generate {name}", chunk_tokens=CHUNK_TOKENS)

    first = model.generate(prompt, past_key_values=store.prefill(prompt), max_new_tokens=8, do_sample=False)
    again = model.generate(prompt, past_key_values=store.prefill(prompt), max_new_tokens=8, do_sample=False)

    assert store.load(prompt).tokens == store.format.layout.last_resume_point(700)
    assert torch.equal(first, again) and first.shape == (1, 708)


def test_a_longer_prompt_resumes_where_the_shorter_one_was_stored(client: quire.Client) -> None:
    model = make_model("deepseek_v4")
    store = Store(client, model, namespace="longer", chunk_tokens=CHUNK_TOKENS)
    longer = make_prompt(1400, seed=4)
    store.prefill(longer[:, :900])
    assert store.load(longer).tokens == 896
    store.prefill(longer)
    assert store.load(longer).tokens == 1280


def test_a_cache_of_ones_own_is_saved_and_loaded_by_hand(client: quire.Client) -> None:
    model = make_model("gemma3")
    prompt = make_prompt(640, seed=5)
    cache = hf.DynamicCache(config=model.config)
    with torch.no_grad():
        model(input_ids=prompt, past_key_values=cache)
    known = CacheFormat.of(cache)
    with client.open_session(known.layout, namespace="by hand", salt=known.digest) as session:
        session.append_tokens([*prompt[0].tolist(), 1])
        assert save(session, cache) == save(session, cache, known)
        with session.match() as hit:
            loaded = load(hit, hf.DynamicCache(config=model.config), known)
    assert loaded.tokens == 640
    for mine, other in zip(cache.layers, loaded.cache.layers):
        assert torch.equal(mine.keys, other.keys) and torch.equal(mine.values, other.values)
        assert mine.get_seq_length() == other.get_seq_length()


def test_off_a_unit_only_the_growing_tensors_are_saved(client: quire.Client) -> None:
    model = make_model("gemma3")
    prompt = make_prompt(650, seed=6)
    cache = hf.DynamicCache(config=model.config)
    with torch.no_grad():
        model(input_ids=prompt, past_key_values=cache)
    known = CacheFormat.of(cache)
    with client.open_session(known.layout, namespace="off a unit", salt=known.digest) as session:
        session.append_tokens(prompt[0].tolist())
        saved = save(session, cache, known)
        with session.match() as hit:
            found = (hit.span_tokens, hit.exact_tokens)
    assert (saved.span_tokens, saved.exact_tokens) == found == (640, 0)


def test_dtypes_do_not_meet(client: quire.Client) -> None:
    prompt = make_prompt(300)
    for dtype in (torch.float16, torch.bfloat16):
        store = Store(client, make_model("qwen3", dtype), namespace="dtypes", chunk_tokens=CHUNK_TOKENS)
        assert store.load(prompt).tokens == 0
        store.prefill(prompt)
        assert store.load(prompt).tokens == 256


def test_a_live_cache_and_a_probe_give_one_format() -> None:
    for name in CONFIGS:
        model = make_model(name)
        cache = hf.DynamicCache(config=model.config)
        with torch.no_grad():
            model(input_ids=make_prompt(500), past_key_values=cache)
        assert CacheFormat.of(cache).digest == CacheFormat.probe(model).digest


def test_caches_that_cannot_be_kept_are_refused_by_name(client: quire.Client) -> None:
    model = make_model("qwen3")
    with pytest.raises(UnknownCacheError, match="no layers yet"):
        CacheFormat.of(hf.DynamicCache())
    with pytest.raises(UnknownCacheError, match="layer 0 .* has no keys yet"):
        CacheFormat.of(hf.DynamicCache(config=model.config))
    static = hf.StaticCache(config=model.config, max_cache_len=32)
    with pytest.raises(UnknownCacheError, match="StaticLayer"):
        CacheFormat.of(static)
    batch = hf.DynamicCache(config=model.config)
    with torch.no_grad():
        model(input_ids=make_prompt(64).repeat(2, 1), past_key_values=batch)
    with pytest.raises(UnknownCacheError, match="batch of 2"):
        CacheFormat.of(batch)
    store = Store(client, model, namespace="refused", chunk_tokens=CHUNK_TOKENS)
    with pytest.raises(quire.InvalidArgumentError, match="one prompt"):
        store.load(make_prompt(64).repeat(2, 1))
    with pytest.raises(quire.InvalidArgumentError, match="multiple"):
        Store(client, model, namespace="refused", chunk_tokens=100)
    full = store.prefill(make_prompt(300))
    with store.session(make_prompt(300)) as session, session.match() as hit:
        with pytest.raises(quire.InvalidArgumentError, match="new one"):
            load(hit, full, store.format)
