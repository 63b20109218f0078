"""GPTQ's, AWQ's and DAQ's published procedures in PyTorch, as their authors run them: float32, one layer after the
other, dense. Written afresh from the papers and the released code's behaviour (docs/methods.md, docs/daq.md), to be
timed and to be repeated (tests/golden/methods/make_gptq_draws.py). Matrices are [out, in], inputs [tokens, in]."""
import math

import torch


def asymmetric_grid(w: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and zero-point of each row from its extremes, as llm-awq lays it."""
    low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
    scale = (high - low).clamp(min=1e-5) / (2**bits - 1)
    return scale, torch.round(-low / scale)


def gptq_grid(w: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same as GPTQ lays it: 0 is in every row's range, and rows of zeros have one from -1 to 1."""
    low, high = w.amin(-1, keepdim=True).clamp(max=0), w.amax(-1, keepdim=True).clamp(min=0)
    zeros = (low == 0) & (high == 0)
    low, high = torch.where(zeros, -1.0, low), torch.where(zeros, 1.0, high)
    scale = (high - low) / (2**bits - 1)
    return scale, torch.round(-low / scale)


def round_trip(w: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, bits: int) -> torch.Tensor:
    return scale * (torch.clamp(torch.round(w / scale) + zero, 0, 2**bits - 1) - zero)


def quantize_groups(w: torch.Tensor, bits: int, group: int) -> torch.Tensor:
    pieces = w.reshape(-1, group)
    return round_trip(pieces, *asymmetric_grid(pieces, bits), bits).reshape(w.shape)


def gptq_hessian(windows: list[torch.Tensor]) -> torch.Tensor:
    """2 / windows * X^T X as GPTQ gathers it, window after window; each is [tokens, in]."""
    columns = windows[0].shape[1]
    hessian = torch.zeros(columns, columns)
    for count, window in enumerate(windows, start=1):
        hessian *= (count - 1) / count
        x = math.sqrt(2 / count) * window.T
        hessian += x @ x.T
    return hessian


def gptq(weight: torch.Tensor, hessian: torch.Tensor, bits: int, group: int | None, damping: float = 0.01,
         act_order: bool = False, block: int = 128) -> tuple[torch.Tensor, float]:
    """Frantar et al. 2022, algorithm 1: columns in blocks, each column's error carried to the columns behind it. group:
    columns with one grid, laid when the first is reached; None: a grid for each row, laid at the start. Returns the
    rounded weights and the sum of squared errors that GPTQ prints."""
    w, hessian = weight.clone(), hessian.clone()
    columns = w.shape[1]
    diagonal = torch.arange(columns)
    scale, zero = gptq_grid(w, bits)
    dead = hessian.diagonal() == 0
    hessian[dead, dead] = 1
    w[:, dead] = 0
    order = torch.argsort(hessian.diagonal(), descending=True) if act_order else diagonal
    w, hessian = w[:, order], hessian[order][:, order]
    hessian[diagonal, diagonal] += damping * hessian.diagonal().mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    upper = torch.linalg.cholesky(inverse, upper=True)
    result, losses = torch.zeros_like(w), torch.zeros_like(w)
    for begin in range(0, columns, block):
        end = min(begin + block, columns)
        piece = w[:, begin:end].clone()
        errors = torch.zeros_like(piece)
        factor = upper[begin:end, begin:end]
        for i in range(end - begin):
            column = begin + i
            if group is not None and column % group == 0:
                scale, zero = gptq_grid(w[:, column : column + group], bits)
            value = piece[:, i]
            code = round_trip(value.unsqueeze(1), scale, zero, bits).flatten()
            result[:, column] = code
            losses[:, column] = (value - code) ** 2 / factor[i, i] ** 2 / 2
            error = (value - code) / factor[i, i]
            piece[:, i:] -= error.unsqueeze(1) @ factor[i, i:].unsqueeze(0)
            errors[:, i] = error
        w[:, end:] -= errors @ upper[begin:end, end:]
    return result[:, torch.argsort(order)], losses.sum().item()


def awq_scale(linears: list, inputs: torch.Tensor, module, bits: int, group: int, steps: int = 20) -> torch.Tensor:
    """Lin et al. 2023, section 3.2: the exponent of mean |x| whose scales, folded into the linears, cost the module's
    output least. The linears' weights are put back."""
    mean = inputs.abs().mean(0)
    original = [linear.weight.data.clone() for linear in linears]
    expected = module()
    best, best_scale = float("inf"), None
    for step in range(steps):
        scale = mean.pow(step / steps).clamp(min=1e-4)
        scale = scale / (scale.max() * scale.min()).sqrt()
        for linear, weight in zip(linears, original):
            linear.weight.data = quantize_groups(weight * scale, bits, group) / scale
        loss = (expected - module()).square().mean().item()
        if loss < best:
            best, best_scale = loss, scale
    for linear, weight in zip(linears, original):
        linear.weight.data = weight
    return best_scale


def awq_clip(weight: torch.Tensor, inputs: torch.Tensor, bits: int, group: int, steps: int = 20,
             most: float = 0.5, tokens: int = 512, rows: int = 256) -> torch.Tensor:
    """llm-awq's clipping: for each group the bound on |w| whose partial output is nearest, from the largest |w| down
    to half of it. Returns the bounds [out, groups]."""
    x = inputs[:: max(1, inputs.shape[0] // tokens)].reshape(1, -1, weight.shape[1] // group, group)
    found = []
    for begin in range(0, weight.shape[0], rows):
        w = weight[begin : begin + rows].reshape(-1, 1, weight.shape[1] // group, group)
        top = w.abs().amax(-1, keepdim=True)
        best, best_loss = top.clone(), torch.full_like(top, 1e9)
        expected = (x * w).sum(-1)
        for step in range(int(most * steps)):
            bound = top * (1 - step / steps)
            clipped = quantize_groups(torch.clamp(w, -bound, bound), bits, group)
            loss = ((x * clipped).sum(-1) - expected).square().mean(1).reshape(top.shape)
            better = loss < best_loss
            best[better], best_loss[better] = bound[better], loss[better]
        found.append(best.reshape(-1, weight.shape[1] // group))
    return torch.cat(found)


def daq_start(weight: torch.Tensor, codebook: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Luo and Chen 2024: centre and reach of a channel's dense region."""
    center = (torch.quantile(weight, 0.025, dim=1) + torch.quantile(weight, 0.975, dim=1)) / 2
    reach = 0.9 * torch.maximum(weight.amax(1) - center, center - weight.amin(1))
    scale = reach / codebook[-1]
    return scale.unsqueeze(1), (-center / scale.squeeze()).unsqueeze(1)


def daq_iterations(weight: torch.Tensor, inputs: torch.Tensor, codebook: torch.Tensor, iterations: int) -> None:
    """The first iterations of DAQ's sign search: six dense evaluations of the layer's output each. Every iteration
    costs the same, so the whole search (10 epochs of 100) is this many times longer."""
    edges = (codebook[1:] + codebook[:-1]) / 2
    scale, zero = daq_start(weight, codebook)
    expected = inputs @ weight.T

    def loss(z: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        codes = codebook[torch.bucketize(weight / s + z, edges)]
        return (inputs @ ((codes - z) * s).T - expected).square().mean(0).unsqueeze(1)

    wide = narrow = 1e-3
    wide, narrow = wide * 5, narrow / 5
    for j in range(iterations):
        if j % 2:
            narrow *= 0.9
        else:
            wide *= 1.1
        step = narrow if j % 2 else wide
        here, left, right = loss(zero, scale), loss(zero - step, scale), loss(zero + step, scale)
        zero = torch.where(torch.minimum(left, right) < here, zero - step * torch.sign(right - left), zero)
        here, left, right = loss(zero, scale), loss(zero, scale * (1 - step)), loss(zero, scale * (1 + step))
        moved = torch.where(left < right, scale * (1 - step), scale * (1 + step))
        scale = torch.where(torch.minimum(left, right) < here, moved, scale)
