"""Two `vllm serve` of one tiny model, one after the other: the second answers from what the first left.

    bare_tree_run.py FOLDER     FOLDER: where the model goes

Of the standard library alone, but for what writes the model. The daemon is there, or comes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import vllm_models

PROMPT_WORDS = 3000  # a token each, or some more
LEAST_MISSED_BELOW = 64
PORT = 18437
START_SECONDS = 600
CONNECTOR = {"kv_connector": "QuireConnector", "kv_role": "kv_both", "kv_load_failure_policy": "recompute"}


def write_tokenizer(model: Path) -> None:
    """A word is a token: the number that it is."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {str(number): number for number in range(vllm_models.VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="0").save_pretrained(model)


class Answer(NamedTuple):
    text: str
    prompt_tokens: int
    seconds: float


def complete(prompt: str) -> Answer:
    body = {"model": "tiny", "prompt": prompt, "max_tokens": 8, "temperature": 0}
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=300) as answer:
        said = json.load(answer)
    seconds = time.monotonic() - began
    return Answer(said["choices"][0]["text"], said["usage"]["prompt_tokens"], seconds)


def wait_until_served(server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    sys.exit(f"vllm serve did not come up:\n{log.read_text()[-20000:]}")


def serve_once(model: Path, log: Path, prompt: str) -> Answer:
    command = ["vllm", "serve", str(model), "--served-model-name", "tiny", "--port", str(PORT)]
    command += ["--enforce-eager", "--max-model-len", "8192"]
    command += ["--kv-transfer-config", json.dumps(CONNECTOR)]
    env = dict(os.environ, VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1")
    env["VLLM_CPU_OMP_THREADS_BIND"] = "0"
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            wait_until_served(server, log)
            complete("1 2 3")  # what a first request of a process costs is not the prompt's
            return complete(prompt)
        finally:
            server.terminate()
            server.wait(timeout=120)


def turns() -> dict[str, int]:
    """Sums over the receipts of all turns so far."""
    status = subprocess.run(["quirectl", "status", "-o", "json"], check=True, capture_output=True)
    return json.loads(status.stdout)["turns"]


def main() -> None:
    folder = Path(sys.argv[1])
    model = vllm_models.write_model(folder, "qwen3")
    write_tokenizer(model)
    prompt = " ".join(str(token) for token in vllm_models.prompt(PROMPT_WORDS))
    first = serve_once(model, folder / "first.log", prompt)
    between = turns()
    second = serve_once(model, folder / "second.log", prompt)
    after = turns()
    hit = after["hit_tokens"] - between["hit_tokens"]
    print(
        f"{first.prompt_tokens} tokens: {first.seconds:.3f} s computed, {second.seconds:.3f} s resumed,"
        f" {hit} of them hit"
    )
    if first.text != second.text:
        sys.exit(f"the answers differ: {first.text!r}, {second.text!r}")
    if not second.prompt_tokens - LEAST_MISSED_BELOW <= hit < second.prompt_tokens:
        sys.exit(f"the second server hit {hit} tokens of {second.prompt_tokens}")
    # Both were asked the same, and each began with a prompt of three.
    if after["prompt_tokens"] != 2 * between["prompt_tokens"]:
        sys.exit(f"receipts have {after['prompt_tokens']} tokens of prompts, twice {between['prompt_tokens']} were asked")


main()
