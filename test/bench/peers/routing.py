"""Routing in PyTorch, as one writes it there: softmax, topk, and the loads of devices per batch.

Started with a file of float32 logits; answers lines of JSON. {"case", "threads"} → {"seconds"} of one pass;
{"case", "write": path} → writes experts [T, K] and device loads [batches, D] as int32 and weights [T, K] as float32.
Tokens go through in chunks: all at once is slower, as the intermediate tensors leave the caches (0.78 against 0.90
million tokens a second for top-k on the machine it was written on).
"""

import json
import os
import sys
import time

import numpy as np
import torch

BATCH, DEVICES, CHUNK = 256, 8, 8192


def device_loads(experts, width):
    """[T, K] → [T/BATCH, DEVICES]"""
    batches = experts.shape[0] // BATCH
    device = torch.div(experts, width // DEVICES, rounding_mode="floor").view(batches, -1)
    loads = torch.zeros(batches, DEVICES, dtype=torch.int32)
    return loads.scatter_add_(1, device, torch.ones_like(device, dtype=torch.int32))


def topk(logits):
    return torch.topk(torch.softmax(logits, -1), 8, -1)


def moge(logits):
    size = logits.shape[1] // 8
    weights, experts = torch.softmax(logits, -1).view(-1, 8, size).max(-1)
    return weights, experts + torch.arange(8) * size


def topk_chosen(logits):
    values, experts = torch.topk(logits, 8, -1)
    return torch.softmax(values, -1), experts


def moge_chosen(logits):
    size = logits.shape[1] // 8
    values, experts = logits.view(-1, 8, size).max(-1)
    return torch.softmax(values, -1), experts + torch.arange(8) * size


def group_limited(logits):
    """DeepSeek-V3's gate with softmax scores: 4 of 8 groups by the sum of their two best scores, 8 experts of them."""
    width = logits.shape[1]
    scores = torch.softmax(logits, -1)
    of_groups = scores.view(-1, 8, width // 8).topk(2, -1)[0].sum(-1)
    kept = of_groups.topk(4, -1, sorted=False)[1]
    mask = torch.zeros_like(of_groups).scatter_(1, kept, 1)
    masked = scores.masked_fill((mask == 0).unsqueeze(-1).expand(-1, 8, width // 8).reshape(-1, width), 0.0)
    return torch.topk(masked, 8, -1)


CASES = {
    "topk": (topk, 64),
    "moge": (moge, 64),
    "topk-chosen": (topk_chosen, 64),
    "moge-chosen": (moge_chosen, 64),
    "group-limited": (group_limited, 256),
}


def chunks(case, logits):
    route, width = CASES[case]
    rows = logits.view(-1, width)
    for first in range(0, rows.shape[0], CHUNK):
        weights, experts = route(rows[first : first + CHUNK])
        yield weights, experts, device_loads(experts, width)


def answer(request, logits):
    if "write" in request:
        parts = [[part.numpy() for part in chunk] for chunk in chunks(request["case"], logits)]
        weights, experts, loads = (np.concatenate(each) for each in zip(*parts))
        with open(request["write"], "wb") as file:
            for array, kind in ((experts, "<i4"), (loads, "<i4"), (weights, "<f4")):
                file.write(array.astype(kind).tobytes())
        return {}
    torch.set_num_threads(request["threads"])
    start = time.perf_counter()
    for _ in chunks(request["case"], logits):
        pass
    return {"seconds": time.perf_counter() - start}


def main():
    logits = torch.from_numpy(np.fromfile(sys.argv[1], np.float32))
    blas = [line.split()[-1] for line in open("/proc/self/maps") if "blas" in line] if os.path.exists("/proc/self/maps") else []
    about = {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}
    print(json.dumps({**about, "blas": sorted({os.path.realpath(path) for path in blas})}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), logits)), flush=True)


main()
