"""The training step of the benchmark's models in PyTorch, as test/bench/training.ts asks for it.

Says which PyTorch and which matrix library it is, then reads one JSON object a line from standard input and answers
each with one line:
  {"model": {...}, "weights": path, "tokens": path}  builds the model -> {}
  {"formulation": name, "threads": n, "reset": bool, "steps": n}
                                                     trains -> {"losses", "milliseconds"}
  {"memory": true}                                   -> {"peakMiB"}

Weights are one flat float32 file in the order of `parameterLayout`; tokens are bytes, [sequences, context + 1].
"""
import json
import math
import re
import resource
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


class Model:
    def __init__(self, sizes, weights, tokens):
        self.sizes = sizes
        flat = np.fromfile(weights, np.float32)
        self.start = {
            name: torch.from_numpy(flat[offset : offset + math.prod(shape)].copy()).view(shape)
            for name, shape, offset in sizes["layout"]
        }
        batch = np.fromfile(tokens, np.uint8).astype(np.int64).reshape(sizes["sequences"], sizes["context"] + 1)
        self.inputs = torch.from_numpy(batch[:, :-1].copy())
        self.targets = torch.from_numpy(batch[:, 1:].reshape(-1).copy())
        self.mask = torch.triu(torch.full((sizes["context"], sizes["context"]), -math.inf), 1)
        self.reset()

    def reset(self):
        self.p = {name: value.clone().requires_grad_(True) for name, value in self.start.items()}
        self.optimizer = torch.optim.Adam(
            list(self.p.values()), lr=self.sizes["learningRate"], betas=tuple(self.sizes["betas"]), eps=1e-8, foreach=True
        )

    def step(self, moe):
        cross_entropy, balance = self.losses(moe)
        self.optimizer.zero_grad(set_to_none=True)
        (cross_entropy + balance).backward()
        self.optimizer.step()
        return cross_entropy.item()

    def losses(self, moe):
        s, p = self.sizes, self.p
        sequences, context, hidden, heads = s["sequences"], s["context"], s["hiddenSize"], s["heads"]
        size = hidden // heads
        x = (p["embedding"][self.inputs] + p["position"]).view(-1, hidden)
        balance = 0.0
        for layer in range(s["layers"]):
            name = f"layers.{layer}."
            qkv = norm(x, p[name + "attention.norm"]) @ p[name + "attention.qkv"]
            q, k, v = (part.reshape(sequences, context, heads, size).transpose(1, 2) for part in qkv.split(hidden, -1))
            scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(size)) + self.mask
            attended = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(-1, hidden)
            x = x + attended @ p[name + "attention.output"]
            y, loss = self.feed_forward(norm(x, p[name + "feedForward.norm"]), name, moe)
            x = x + y
            balance = balance + loss
        logits = norm(x, p["final.norm"]) @ p["head"]
        return F.cross_entropy(logits, self.targets), balance

    def feed_forward(self, x, name, moe):
        s, p = self.sizes, self.p
        experts, chosen_each, tokens = s["experts"], s["topK"], x.shape[0]
        probabilities = torch.softmax(x @ p[name + "router"], -1)
        weights, chosen = torch.topk(probabilities, chosen_each, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        load = torch.bincount(chosen.reshape(-1), minlength=experts)
        balance = s["coefficient"] * experts * (load.float() / (tokens * chosen_each) * probabilities.mean(0)).sum()
        return moe(x, chosen, weights, load, p[name + "experts.up"], p[name + "experts.down"]), balance


def norm(x, gain):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * gain


def swiglu(gate_up):
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


def by_expert(chosen):
    """Assignments in the order of their experts, and the token of each."""
    order = torch.argsort(chosen.reshape(-1), stable=True)
    return order, order // chosen.shape[1]


def add_up(outputs, weights, order, token, x):
    return torch.zeros_like(x).index_add(0, token, outputs * weights.reshape(-1)[order].unsqueeze(1))


def split(x, chosen, weights, load, up, down):
    """One gather, one pair of products an expert, one scatter; the weights unbound once."""
    order, token = by_expert(chosen)
    parts = torch.split(x.index_select(0, token), load.tolist())
    outputs = [swiglu(part @ u) @ d for part, u, d in zip(parts, up.unbind(0), down.unbind(0))]
    return add_up(torch.cat(outputs), weights, order, token, x)


def split_indexed(x, chosen, weights, load, up, down):
    """As `split`, the weights of each expert taken by index."""
    order, token = by_expert(chosen)
    parts = torch.split(x.index_select(0, token), load.tolist())
    outputs = [swiglu(part @ up[e]) @ down[e] for e, part in enumerate(parts)]
    return add_up(torch.cat(outputs), weights, order, token, x)


def loop(x, chosen, weights, load, up, down):
    """Expert after expert, as Hugging Face's models do it."""
    y = torch.zeros_like(x)
    for expert, (u, d) in enumerate(zip(up.unbind(0), down.unbind(0))):
        token, slot = torch.where(chosen == expert)
        y = y.index_add(0, token, swiglu(x[token] @ u) @ d * weights[token, slot].unsqueeze(1))
    return y


def padded(x, chosen, weights, load, up, down):
    """Every expert as many rows as the fullest has, in batched products."""
    order, token = by_expert(chosen)
    experts, capacity = up.shape[0], int(load.max())
    expert = chosen.reshape(-1)[order]
    row = torch.arange(order.numel()) - (torch.cumsum(load, 0) - load)[expert] + expert * capacity
    rows = torch.zeros(experts * capacity, x.shape[1]).index_copy(0, row, x.index_select(0, token))
    outputs = torch.bmm(swiglu(torch.bmm(rows.view(experts, capacity, -1), up)), down)
    return add_up(outputs.reshape(experts * capacity, -1).index_select(0, row), weights, order, token, x)


FORMULATIONS = {"split": split, "split-indexed": split_indexed, "loop": loop, "padded": padded}


def blas():
    """The matrix libraries that this process has loaded, by folder and file: Debian's builds differ in the folder."""
    with open("/proc/self/maps") as maps:
        names = set(re.findall(r"/([^/\s]+/[^/\s]*(?:blas|mkl_core)[^/\s]*)$", maps.read(), re.MULTILINE))
    return ", ".join(sorted(names)) or "unknown"


def train(model, request):
    torch.set_num_threads(request["threads"])
    if request["reset"]:
        model.reset()
    losses, milliseconds = [], []
    for _ in range(request["steps"]):
        start = time.perf_counter()
        losses.append(model.step(FORMULATIONS[request["formulation"]]))
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return {"losses": losses, "milliseconds": milliseconds}


def answer_to(request, model):
    if "memory" in request:
        return {"peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    return train(model, request)


def main():
    print(json.dumps({"torch": torch.__version__, "blas": blas(), "formulations": list(FORMULATIONS)}), flush=True)
    model = None
    for line in sys.stdin:
        request = json.loads(line)
        if "model" in request:
            model = Model(request["model"], request["weights"], request["tokens"])
            answer = {}
        else:
            answer = answer_to(request, model)
        print(json.dumps(answer), flush=True)


main()
