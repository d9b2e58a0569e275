"""One vLLM process with LMCache's connector: lmcache_process.py MODEL PORT OUT PROMPT_TOKENS.

Writes what it saw as JSON: token ids and logprobs of eight greedy tokens, cached tokens, seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vllm_engine"))


def main() -> None:
    model, port, out, length = sys.argv[1:5]
    from vllm import LLM, SamplingParams
    from vllm_models import prompt

    engine = LLM(
        model=model,
        skip_tokenizer_init=True,
        enforce_eager=True,
        max_model_len=4096,
        max_num_seqs=2,
        seed=1,
        dtype="bfloat16",
        disable_log_stats=False,
        kv_transfer_config={
            "kv_connector": "LMCacheMPConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": {
                "lmcache.mp.host": "tcp://localhost",
                "lmcache.mp.port": int(port),
            },
        },
    )
    sampling = SamplingParams(
        temperature=0.0, max_tokens=8, ignore_eos=True, detokenize=False, logprobs=3
    )
    began = time.monotonic()
    inputs = [{"prompt_token_ids": prompt(int(length), seed=5)}]
    output = engine.generate(inputs, sampling, use_tqdm=False)[0]
    seen = {
        "tokens": list(output.outputs[0].token_ids),
        "logprobs": [
            {str(t): p.logprob for t, p in one.items()} for one in output.outputs[0].logprobs
        ],
        "cached": output.num_cached_tokens,
        "seconds": time.monotonic() - began,
    }
    Path(out).write_text(json.dumps(seen))
    # The connector stores behind the request: the test says when the process may end.
    print("answered", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
