"""torch_model.py: wirelm's model in PyTorch, from a checkpoint of wirelm's: the formulas of docs/MODEL.md, written the
way one writes them for speed there. bf16 autocast: matrix products in bf16, norms, states and sums in float."""
import json
import math
import struct
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

LINEAR_CAP, LINEAR_FLOOR = 8.0, 1e-3
CHUNK = 64  # tokens of a chunk of linear heads
BLOCK = 128  # queries of a block of window heads
MATRICES = ("qkv", "out", "up", "down")  # what weight decay applies to


def read_config(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    config = json.loads(header["__metadata__"]["config"])
    if config.get("reversible"):
        sys.exit(f"{config['preset']}: reversible models have no peer here")
    return config


def rotary_angles(positions, K):
    """cos and sin [..., K/2] of the angles of pairs (i, i + K/2)."""
    turn = 10000 ** (-2 * torch.arange(K // 2, dtype=torch.float64) / K)
    angle = positions.double()[..., None] * turn
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1).to(x.dtype)


def phi_q(q):
    return q.float().softmax(-1) * q.shape[-1] ** -0.5


def phi_k(k):
    return torch.exp(LINEAR_CAP * torch.tanh(k.float() / LINEAR_CAP))


def shift(x):
    """The first half of the features from the token before."""
    half = x.shape[-1] // 2
    return torch.cat((F.pad(x[:, :-1, :half], (0, 0, 1, 0)), x[:, :, half:]), -1)


def window_attention(q, k, v, window):
    """q, k, v [B, H, T, K]: blocks of queries, each against the keys that its window can reach, by the fused kernel."""
    B, H, T, K = q.shape
    C = min(BLOCK, T)
    blocks, past = -(-T // C), -(-(window - 1) // C) * C
    q = F.pad(q, (0, 0, 0, blocks * C - T)).view(B, H, blocks, C, K)
    k, v = (F.pad(x, (0, 0, past, blocks * C - T)).unfold(2, past + C, C).transpose(-1, -2) for x in (k, v))
    at = torch.arange(C)[:, None] + past - torch.arange(past + C)[None, :]
    real = torch.arange(blocks)[:, None, None] * C + torch.arange(past + C) - past >= 0
    mask = ((at >= 0) & (at < window) & real)[None]
    o = F.scaled_dot_product_attention(q.reshape(B * H, blocks, C, K), k.reshape(B * H, blocks, past + C, K),
                                       v.reshape(B * H, blocks, past + C, K), attn_mask=mask)
    return o.view(B, H, blocks * C, K)[:, :, :T]


def linear_attention(q, k, v):
    """q, k, v [B, H, T, K], in chunks: what stands before a chunk comes as a running sum, what stands inside masked."""
    B, H, T, K = q.shape
    C = min(CHUNK, T)
    pad = -T % C
    q, k = phi_q(q), phi_k(k)
    v = F.pad(v, (0, 1), value=1.0)  # the last column sums the normaliser
    q, k, v = (F.pad(x, (0, 0, 0, pad)).view(B, H, -1, C, x.shape[-1]) for x in (q, k, v))
    sums = (k.transpose(-1, -2) @ v).float()
    before = sums.cumsum(2) - sums
    o = (q @ before).float() + ((q @ k.transpose(-1, -2)).tril() @ v).float()
    o = o.reshape(B, H, T + pad, K + 1)[:, :, :T]
    return o[..., :K] / o[..., K:].clamp_min(LINEAR_FLOOR)


def convolve(x, w):
    """Causal convolution of width 4 of each column of x [B, T, C] with w [C, 4], then SiLU."""
    x = F.pad(x, (0, 0, 3, 0))
    T = x.shape[1] - 3
    return F.silu(sum(x[:, j : j + T] * w[:, j].to(x.dtype) for j in range(4)))


@torch.compiler.disable  # unrolled over hundreds of chunks it would take minutes to compile
def scan(decay, add):
    """States before each chunk, of S <- decay S + add; decay, add [chunks, N, K, K]."""
    S = torch.zeros_like(add[0])
    states = [S]
    for c in range(add.shape[0] - 1):
        S = torch.baddbmm(add[c], decay[c], S)
        states.append(S)
    return torch.stack(states)


def delta_rule(q, k, v, log_a, b):
    """q, k, v [B, H, T, K], log_a, b [B, H, T]: the gated delta rule in chunks (arXiv 2412.06464, section 3.3), where a
    chunk maps the state before it to the one behind it by one product and one sum."""
    B, H, T, K = q.shape
    C = min(CHUNK, T)
    pad = -T % C
    q = q.float() * torch.rsqrt((q.float().square().sum(-1, keepdim=True) + 1e-6) * K)
    k = k.float() * torch.rsqrt(k.float().square().sum(-1, keepdim=True) + 1e-6)
    q, k, v = (F.pad(x.float(), (0, 0, 0, pad)).view(B * H, -1, C, K) for x in (q, k, v))
    log_a, b = (F.pad(x, (0, pad)).view(B * H, -1, C) for x in (log_a, b))
    g = log_a.cumsum(-1)
    fade = (g[..., :, None] - g[..., None, :]).masked_fill(torch.ones(C, C).tril() == 0, -math.inf).exp()
    inside = ((k @ k.transpose(-1, -2)).float() * fade * b[..., None]).tril(-1)
    right = torch.cat((v * b[..., None], k * (b * g.exp())[..., None]), -1)
    with torch.autocast("cpu", enabled=False):
        u, w = torch.linalg.solve_triangular(inside, right, upper=False, unitriangular=True).chunk(2, -1)
    late = (k * (g[..., -1:] - g).exp()[..., None]).transpose(-1, -2)
    decay = g[..., -1, None, None].exp() * torch.eye(K) - (late @ w).float()
    with torch.autocast("cpu", enabled=False):
        S = scan(decay.transpose(0, 1), (late @ u).float().transpose(0, 1)).transpose(0, 1)
    read = (q @ k.transpose(-1, -2)).float() * fade
    o = g.exp()[..., None] * (q @ S).float() + (read @ (u - (w @ S).float())).float()
    return o.reshape(B, H, T + pad, K)[:, :, :T]


class Layer(torch.nn.Module):
    """One layer: x [B, T, D] -> x."""

    def __init__(self, config, index, tensors):
        super().__init__()
        every, prefix = config.get("every", 0), f"layers.{index}."
        self.groups = config["other_groups"] if every and (index + 1) % every == 0 else config["groups"]
        self.K, self.heads = config["head_width"], sum(g["heads"] for g in self.groups)
        self.shifts = config["shift"]
        for name, value in tensors.items():
            if name.startswith(prefix):
                self.register_parameter(name[len(prefix) :].replace(".", "_"), torch.nn.Parameter(value.clone()))

    def half(self, x, gain):
        h = F.rms_norm(x, (x.shape[-1],), gain, 1e-6)
        return shift(h) if self.shifts else h

    def delta(self, q, k, v, gates, group):
        """q, k, v [B, H, T, K] before their convolutions; gates [B, T, H K + 2 H]."""
        B, H, T, K = q.shape
        own = {name: getattr(self, f"mixer_{group}_{name}") for name in ("conv", "log_rate", "bias", "norm")}
        rows = torch.cat([x.transpose(1, 2).reshape(B, T, H * K) for x in (q, k, v)], -1)
        rows = convolve(rows, own["conv"]).view(B, T, 3, H, K).permute(2, 0, 3, 1, 4)
        gate, forget, write = gates.split((H * K, H, H), -1)
        log_a = -own["log_rate"].exp() * F.softplus(forget.float() + own["bias"])
        o = delta_rule(*rows, log_a.transpose(1, 2), write.float().sigmoid().transpose(1, 2))
        o = F.rms_norm(o, (K,), own["norm"], 1e-6).to(gate.dtype)
        return o * F.silu(gate).view(B, T, H, K).transpose(1, 2)

    def mix(self, h, angles):
        B, T, _ = h.shape
        K, heads = self.K, self.heads
        row = F.linear(h, self.mixer_qkv)
        q, k, v = (x.view(B, T, heads, K).transpose(1, 2) for x in row[..., : 3 * heads * K].chunk(3, -1))
        out, at, extra = [], 0, 3 * heads * K
        for i, g in enumerate(self.groups):
            n = g["heads"]
            a, b, d = q[:, at : at + n], k[:, at : at + n], v[:, at : at + n]
            if g["kind"] == "linear":
                out.append(linear_attention(a, b, d).to(row.dtype))
            elif g["kind"] == "delta":
                gates = row[..., extra : extra + n * K + 2 * n]
                extra += n * K + 2 * n
                out.append(self.delta(a, b, d, gates, i))
            else:
                a, b = rotate(a, *angles), rotate(b, *angles)
                if g["kind"] == "window" and g["window"] < T:
                    out.append(window_attention(a, b, d, g["window"]))
                else:
                    out.append(F.scaled_dot_product_attention(a, b, d, is_causal=True))
            at += n
        o = torch.cat(out, 1).transpose(1, 2).reshape(B, T, heads * K)
        return F.linear(o, self.mixer_out)

    def forward(self, x, angles):
        x = x + self.mix(self.half(x, self.mixer_norm), angles)
        gate, up = F.linear(self.half(x, self.mlp_norm), self.mlp_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.mlp_down)


class Head(torch.nn.Module):
    """Final norm, logits against the embedding, mean loss."""

    def __init__(self, gain):
        super().__init__()
        self.gain = torch.nn.Parameter(gain.clone())

    def forward(self, x, table, target):
        logits = F.linear(F.rms_norm(x, (x.shape[-1],), self.gain, 1e-6), table)
        with torch.autocast("cpu", enabled=False):
            return F.cross_entropy(logits.float().flatten(0, 1), target.flatten())


class Model(torch.nn.Module):
    def __init__(self, path):
        super().__init__()
        self.config = c = read_config(path)
        tensors = load_file(path)
        self.layers = torch.nn.ModuleList(Layer(c, l, tensors) for l in range(c["layers"]))
        self.head = Head(tensors["norm"])
        self.tokens = torch.nn.Parameter(tensors["embed.tokens"].clone())
        self.packets = torch.nn.Parameter(tensors["embed.packet"].clone()) if c["packet_rows"] else None
        self.roles = torch.nn.Parameter(tensors["embed.role"].clone()) if c["role_rows"] else None

    def compile(self):
        """Layer by layer: layers of one kind share what is compiled."""
        for part in [*self.layers, self.head]:
            part.compile(dynamic=False)

    def matrices(self):
        return [p for layer in self.layers for n, p in layer.named_parameters() if n.split("_")[-1] in MATRICES]

    def embed(self, ids, place):
        """ids [...] at this place in their segments."""
        x = F.embedding(ids, self.tokens)
        if self.packets is not None:
            x = x + F.embedding((place // 64).clamp_max(len(self.packets) - 1), self.packets)
        if self.roles is not None:
            x = x + F.embedding(ids % len(self.roles), self.roles)
        return x

    def forward(self, ids, target, angles):
        """Mean loss of ids [B, T] against target [B, T]; angles of rotary_angles(arange(T))."""
        with torch.autocast("cpu", torch.bfloat16):
            x = self.embed(ids, torch.arange(ids.shape[1]))
            for layer in self.layers:
                x = layer(x, angles)
            return self.head(x, self.tokens, target)
