"""Tiny models of random weights, the same in every process: one for each kind of cache."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

COMMON = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}


def _qwen3() -> Any:
    return hf.Qwen3Config(**COMMON, num_hidden_layers=3)


def _gemma3() -> Any:
    return hf.Gemma3TextConfig(
        **COMMON,
        num_hidden_layers=4,
        sliding_window=96,
        layer_types=["sliding_attention", "full_attention"] * 2,
    )


def _mistral() -> Any:
    return hf.MistralConfig(**COMMON, num_hidden_layers=2, sliding_window=80)


def _qwen3_next() -> Any:
    return hf.Qwen3NextConfig(
        **COMMON,
        num_hidden_layers=4,
        layer_types=["linear_attention", "linear_attention", "linear_attention", "full_attention"],
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=32,
    )


def _falcon_h1() -> Any:
    return hf.FalconH1Config(
        **COMMON, num_hidden_layers=2, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_d_state=16
    )


def _deepseek_v32() -> Any:
    return hf.DeepseekV32Config(
        **{**COMMON, "num_key_value_heads": 4},
        num_hidden_layers=2,
        q_lora_rank=32,
        kv_lora_rank=32,
        qk_nope_head_dim=16,
        qk_rope_head_dim=8,
        v_head_dim=16,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=1,
        topk_group=1,
        moe_intermediate_size=32,
        first_k_dense_replace=1,
        index_n_heads=2,
        index_head_dim=16,
        index_topk=64,
    )


def _deepseek_v4() -> Any:
    return hf.DeepseekV4Config(
        vocab_size=512,
        hidden_size=64,
        moe_intermediate_size=32,
        num_hidden_layers=5,
        num_attention_heads=4,
        head_dim=32,
        q_lora_rank=32,
        o_lora_rank=16,
        o_groups=2,
        n_routed_experts=4,
        num_experts_per_tok=2,
        index_n_heads=2,
        index_head_dim=16,
        index_topk=32,
        sliding_window=128,
        max_position_embeddings=8192,
        layer_types=[
            "sliding_attention",
            "compressed_sparse_attention",
            "heavily_compressed_attention",
            "compressed_sparse_attention",
            "heavily_compressed_attention",
        ],
    )


CONFIGS = {
    "qwen3": _qwen3,
    "gemma3": _gemma3,
    "mistral": _mistral,
    "qwen3_next": _qwen3_next,
    "falcon_h1": _falcon_h1,
    "deepseek_v32": _deepseek_v32,
    "deepseek_v4": _deepseek_v4,
}


def make_model(name: str, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(7)
    torch.set_num_threads(1)
    model = hf.AutoModelForCausalLM.from_config(CONFIGS[name](), dtype=dtype)
    # Parameters that the model leaves as the allocator gave them would differ by process.
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05) if parameter.dim() > 1 else torch.nn.init.ones_(parameter)
    return model.eval()


def make_prompt(tokens: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 512, (1, tokens), generator=generator)
