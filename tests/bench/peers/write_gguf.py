#!/usr/bin/env python3
"""Writes a Hugging Face LLaMA folder as a float32 GGUF file for llama.cpp.

    write_gguf.py MODEL OUT.gguf

No tokenizer: the benchmark feeds token ids. llama.cpp rotates neighbouring pairs where Hugging Face rotates halves,
so the rows of q and k are put in that order.
"""
import json
import pathlib
import sys

import gguf
import torch
from safetensors import safe_open

NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def main() -> None:
    folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.get("rope_theta", 10000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():
                values = tensors.get_tensor(name).to(torch.float32).numpy()
                base = name.removesuffix(".weight")
                if base in TOP:
                    target = TOP[base]
                else:
                    _, _, block, part = base.split(".", 3)
                    target = f"blk.{block}.{NAMES[part]}"
                    if NAMES[part] in ("attn_q", "attn_k"):
                        n = heads if NAMES[part] == "attn_q" else kv_heads
                        values = values.reshape(n, 2, head_dim // 2, -1).swapaxes(1, 2).reshape(values.shape)
                writer.add_tensor(target + ".weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
