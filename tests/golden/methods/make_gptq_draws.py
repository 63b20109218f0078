#!/usr/bin/env python3
"""Repeats the authors' runs of GPTQ with damping changed by less than a thousandth, and writes gptq_draws.json.

    tests/golden/perplexity/install_oracle.sh VENV
    VENV/bin/python tests/golden/methods/make_gptq_draws.py [--draws N] [--shared DIR] NAME...

One run's perplexity is one draw (docs/methods.md, "One result of error feedback is one draw"), so the excess of the
authors' single run says little of their method's; the draws say what its mean and spread are. NAME is a run of
results.json. Draw k has damping 0.01 + k * 5e-7 for k = 0, 1, -1, 2, -2, ...; draws that are in gptq_draws.json already
are kept. In float32 that is enough to turn codes in the first block. About 15 s each on one core of 2026.

The procedure is GPTQ's in PyTorch, float32 on a CPU (tests/bench/peers/authors.py); inputs, hooks and order are those of
the authors' llama.py: inputs behind the blocks quantised so far, all layers of a block from one pass. That it is theirs is
checked before anything is written: with damping 0.01 the error of each layer of block 0 is that of results.json to 0.2 %
(most to 1e-6; a row in which a code turned is the rest), and with --shared at least 99.5 % of the weights of block 0 that
their run kept are the same.
"""
import argparse
import json
import math
import pathlib
import platform
import sys

import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.append(str(ROOT / "tests/bench/peers"))
import authors  # noqa: E402

DRAWS_FILE = HERE / "gptq_draws.json"
DAMPING, STEP = 0.01, 5e-7


def read_windows(name: str) -> torch.Tensor:
    return torch.tensor(json.loads((HERE / name).read_text())["windows"])


def load_model() -> transformers.LlamaForCausalLM:
    return transformers.LlamaForCausalLM.from_pretrained(ROOT / "demo/model", dtype=torch.float32).eval()


def quantise(settings: dict, windows: torch.Tensor, damping: float) -> tuple[transformers.LlamaForCausalLM, dict]:
    """The model after GPTQ, and each layer's error by its name (0.self_attn.q_proj)."""
    model = load_model()
    hidden = [model.model.embed_tokens(window.unsqueeze(0)) for window in windows]
    rotary = model.model.rotary_emb(hidden[0], torch.arange(windows.shape[1]).unsqueeze(0))
    group = None if settings["group"] == -1 else settings["group"]
    errors = {}
    for index, block in enumerate(model.model.layers):
        linears = {name: part for name, part in block.named_modules() if isinstance(part, torch.nn.Linear)}
        seen = {name: [] for name in linears}
        hooks = [part.register_forward_pre_hook(lambda _, given, name=name: seen[name].append(given[0][0]))
                 for name, part in linears.items()]
        for x in hidden:
            block(x, position_embeddings=rotary, attention_mask=None)
        for hook in hooks:
            hook.remove()
        for name, part in linears.items():
            part.weight.data, errors[f"{index}.{name}"] = authors.gptq(
                part.weight.data, authors.gptq_hessian(seen[name]), settings["bits"], group, damping,
                settings["actorder"])
        hidden = [first(block(x, position_embeddings=rotary, attention_mask=None)) for x in hidden]
    return model, errors


def first(output) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def perplexity(model: transformers.LlamaForCausalLM, windows: torch.Tensor) -> float:
    losses = [torch.nn.functional.cross_entropy(model(window.unsqueeze(0)).logits[0, :-1], window[1:]).item()
              for window in windows]
    return math.exp(sum(losses) / len(losses))


def check(run: dict, model: transformers.LlamaForCausalLM, errors: dict, shared: pathlib.Path | None) -> None:
    """Stops if this is not the authors' procedure."""
    for layer, theirs in run["layer_errors"].items():
        expected = theirs["official_error"]
        if layer.startswith("0.") and abs(errors[layer] - expected) > 2e-3 * expected:
            sys.exit(f"{run['name']}: layer {layer} has error {errors[layer]}, the authors' run {expected}")
    kept = shared and shared / f"goldens/methods/block0-{run['name']}.safetensors"
    if kept and kept.exists():
        for name, theirs in safetensors.torch.load_file(kept).items():
            ours = model.get_parameter(name)
            same = ((ours - theirs).abs() < 1e-6).float().mean().item()
            print(f"{run['name']}: {name}: {100 * same:.4f} % the same", flush=True)
            if same < 0.995:
                sys.exit(f"{run['name']}: {name} is not the authors'")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--draws", type=int, default=25)
    arguments.add_argument("--shared", type=pathlib.Path)
    arguments.add_argument("names", nargs="+")
    options = arguments.parse_args()
    torch.set_num_threads(1)  # a fixed order of sums
    torch.set_grad_enabled(False)
    runs = {run["name"]: run for run in json.loads((HERE / "results.json").read_text())}
    calibration, evaluation = read_windows("calib_ids.json"), read_windows("eval_ids.json")
    for name in options.names:
        for k in range(options.draws):
            recorded = json.loads(DRAWS_FILE.read_text()) if DRAWS_FILE.exists() else {}
            draws = recorded.setdefault("perplexity", {}).setdefault(name, [])
            if k < len(draws):
                continue
            damping = DAMPING + STEP * ((k + 1) // 2) * (1 if k % 2 else -1)
            model, errors = quantise(runs[name]["settings"], calibration, damping)
            if k == 0:
                check(runs[name], model, errors, options.shared)
            draws.append(perplexity(model, evaluation))
            print(f"{name}: damping {damping:.7f}, perplexity {draws[-1]:.5f}", flush=True)
            recorded["made_with"] = {"torch": torch.__version__, "transformers": transformers.__version__,
                                     "machine": platform.machine()}
            DRAWS_FILE.write_text(json.dumps(recorded, indent=1) + "\n")


main()
