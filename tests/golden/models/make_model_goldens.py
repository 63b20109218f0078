"""Makes tiny random LLaMA checkpoints with the less common config keys, and what transformers computes with them.

    tests/golden/perplexity/install_oracle.sh VENV
    VENV/bin/python tests/golden/models/make_model_goldens.py [NAME...]

Each NAME/ beside this script is a Hugging Face folder (config.json, model.safetensors in float16) and
golden.safetensors:
    input_ids  int64 [1, 96]
    logits     float32 [1, 96, vocab]
    loss       float32 [1]             mean cross-entropy of tokens 1 .. 95, in nats
computed in float32 from the stored weights, with eager attention.

The windows are longer than `original_max_position_embeddings`, which is so small that each of llama3's three bands
of frequencies (kept, blended, divided) holds at least one pair; the script checks that. It also checks that the
logits move far more than any tolerance when the rope scaling is left out, so a reader that ignores it cannot pass.
"""
import json
import math
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
TOKENS = 96

BASE = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "attention_bias": False,
    "mlp_bias": False, "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}
THETA = 500.0
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}

# config.json as it is written (in transformers 5's words for the first, in transformers 4's for the others), and the
# keys that a reader without rope scaling would see instead.
CHECKPOINTS = {
    "rope-llama3": ({**BASE, "head_dim": 16, "dtype": "float16", "rope_parameters": {**LLAMA3, "rope_theta": THETA}},
                    {"rope_parameters": {"rope_type": "default", "rope_theta": THETA}}),
    "rope-linear": ({**BASE, "torch_dtype": "float16", "rope_theta": 10000.0,
                     "rope_scaling": {"type": "linear", "factor": 4.0}}, {"rope_scaling": None}),
    # 2 heads of 24 on a stream of 32; tied embeddings
    "head-dim": ({**BASE, "torch_dtype": "float16", "rope_theta": 10000.0, "rope_scaling": None, "head_dim": 24,
                  "tie_word_embeddings": True}, None),
}


def check_bands() -> None:
    """Every band of the llama3 scaling holds a pair of dimensions."""
    context, pairs = LLAMA3["original_max_position_embeddings"], 8
    lengths = [2 * math.pi * THETA ** (pair / pairs) for pair in range(pairs)]
    kept = [length for length in lengths if length < context / LLAMA3["high_freq_factor"]]
    divided = [length for length in lengths if length > context / LLAMA3["low_freq_factor"]]
    assert kept and divided and len(kept) + len(divided) < pairs, lengths


def load(folder: pathlib.Path, overrides: dict | None = None) -> LlamaForCausalLM:
    config = json.loads((folder / "config.json").read_text()) | (overrides or {})
    return LlamaForCausalLM.from_pretrained(folder, config=LlamaConfig(**config), dtype=torch.float32,
                                            attn_implementation="eager").eval()


def write_checkpoint(folder: pathlib.Path, config: dict) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    model = LlamaForCausalLM(LlamaConfig(**config))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # A spread wide enough that attention is far from uniform and a wrong detail shows.
            noise = torch.randn_like(weight)
            weight.copy_(1 + 0.2 * noise if "norm" in name else noise * (1.5 / weight.shape[-1] ** 0.5))
    weights = {name: weight.half().contiguous() for name, weight in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@torch.inference_mode()
def make(name: str, seed: int) -> None:
    config, plain_keys = CHECKPOINTS[name]
    folder = HERE / name
    torch.manual_seed(seed)
    write_checkpoint(folder, config)
    ids = torch.randint(3, config["vocab_size"], (1, TOKENS))
    ids[:, 0] = config["bos_token_id"]
    logits = load(folder)(ids, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[0, :-1].double(), ids[0, 1:]).float()
    if plain_keys is not None:
        moved = (load(folder, plain_keys)(ids, use_cache=False).logits - logits).abs().max().item()
        assert moved > 0.1, f"{name}: without its rope scaling the logits move by {moved} only"
        print(f"{name}: without its rope scaling the logits move by up to {moved:.2f}")
    save_file({"input_ids": ids, "logits": logits.contiguous(), "loss": loss[None]}, folder / "golden.safetensors")
    print(f"{name}: loss {loss.item()!r}, largest logit {logits.abs().max().item():.2f}")


if __name__ == "__main__":
    check_bands()
    for index, checkpoint in enumerate(CHECKPOINTS):
        if len(sys.argv) == 1 or checkpoint in sys.argv[1:]:
            make(checkpoint, seed=index)
