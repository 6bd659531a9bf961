"""torch_step.py: the model of torch_model.py for many streams, one token each at a time: states as tensors, changed in
place, matrices in bf16 once and for all."""
import torch
import torch.nn.functional as F

from torch_model import LINEAR_FLOOR, phi_k, phi_q, rotary_angles, rotate


class LayerStep(torch.nn.Module):
    """One layer's state of B streams, and its step: x [B, D] -> x."""

    def __init__(self, layer, B):
        super().__init__()
        self.groups, self.K, self.heads, self.shifts = layer.groups, layer.K, layer.heads, layer.shifts
        for name, value in layer.named_parameters():
            wide = value.dim() == 2 and not name.endswith("conv")
            self.register_buffer(name, value.detach().to(torch.bfloat16 if wide else torch.float32))
        D, K = self.mixer_norm.shape[0], self.K
        self.before = torch.zeros(2, B, D // 2)
        self.state = []
        for g in self.groups:
            H = g["heads"]
            if g["kind"] == "window":
                self.state.append(torch.zeros(2, B, H, g["window"], K, dtype=torch.bfloat16))
            elif g["kind"] == "linear":
                self.state.append(torch.zeros(B, H, K, K + 1))
            else:
                self.state.append((torch.zeros(B, H, K, K), torch.zeros(B, 3 * H * K, 3)))

    def half(self, x, gain, which):
        h = F.rms_norm(x, (x.shape[-1],), gain, 1e-6)
        if self.shifts:
            half = h.shape[-1] // 2
            now = h[:, :half].clone()
            h = torch.cat((self.before[which], h[:, half:]), -1)
            self.before[which].copy_(now)
        return h.to(torch.bfloat16)

    def window(self, q, k, v, state, window, slot, seen, angles):
        q, k = rotate(q, *angles), rotate(k, *angles)
        state[0].index_copy_(2, slot, k[:, :, None])
        state[1].index_copy_(2, slot, v[:, :, None])
        return F.scaled_dot_product_attention(q[:, :, None], state[0], state[1], attn_mask=seen)[:, :, 0]

    def linear(self, q, k, v, S):
        S.add_(phi_k(k)[..., None] * F.pad(v.float(), (0, 1), value=1.0)[..., None, :])
        o = (phi_q(q)[..., None, :] @ S)[..., 0, :]
        return o[..., :-1] / o[..., -1:].clamp_min(LINEAR_FLOOR)

    def delta(self, q, k, v, gates, state, i):
        B, H, K = q.shape
        S, past = state
        own = {name: getattr(self, f"mixer_{i}_{name}") for name in ("conv", "log_rate", "bias", "norm")}
        row = torch.cat([x.reshape(B, H * K) for x in (q, k, v)], -1).float()
        seen = torch.cat((past, row[..., None]), -1)
        past.copy_(seen[..., 1:])
        q, k, v = F.silu((seen * own["conv"]).sum(-1)).view(B, 3, H, K).unbind(1)
        q = q * torch.rsqrt((q.square().sum(-1, keepdim=True) + 1e-6) * K)
        k = k * torch.rsqrt(k.square().sum(-1, keepdim=True) + 1e-6)
        gate, forget, write = gates.float().split((H * K, H, H), -1)
        S.mul_(torch.exp(-own["log_rate"].exp() * F.softplus(forget + own["bias"]))[..., None, None])
        found = (k[..., None, :] @ S)[..., 0, :]
        S.add_(k[..., None] * (write.sigmoid()[..., None] * (v - found))[..., None, :])
        o = F.rms_norm((q[..., None, :] @ S)[..., 0, :], (K,), own["norm"], 1e-6)
        return o * F.silu(gate).view(B, H, K)

    def forward(self, x, slots, masks, angles):
        B, K, heads = x.shape[0], self.K, self.heads
        row = F.linear(self.half(x, self.mixer_norm, 0), self.mixer_qkv)
        q, k, v = row[:, : 3 * heads * K].view(B, 3, heads, K).unbind(1)
        out, at, extra = [], 0, 3 * heads * K
        for i, (g, state) in enumerate(zip(self.groups, self.state)):
            n = g["heads"]
            a, b, d = q[:, at : at + n], k[:, at : at + n], v[:, at : at + n]
            if g["kind"] == "window":
                w = g["window"]
                out.append(self.window(a, b, d, state, w, slots[w], masks[w], angles))
            elif g["kind"] == "linear":
                out.append(self.linear(a, b, d, state))
            else:
                gates = row[:, extra : extra + n * K + 2 * n]
                extra += n * K + 2 * n
                out.append(self.delta(a, b, d, gates, state, i))
            at += n
        o = torch.cat([y.to(torch.bfloat16) for y in out], 1).view(B, heads * K)
        x = x + F.linear(o, self.mixer_out)
        gate, up = F.linear(self.half(x, self.mlp_norm, 1), self.mlp_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.mlp_down)


class Streams:
    """B streams of a model; all stand at the same position. Full heads, whose state grows, are not for streams."""

    def __init__(self, model, B):
        self.model, self.position = model, 0
        self.layers = [LayerStep(layer, B) for layer in model.layers]
        self.windows = {g["window"] for layer in self.layers for g in layer.groups if g["kind"] == "window"}

    def compile(self):
        for layer in self.layers:
            layer.compile(dynamic=False)

    @torch.inference_mode()
    def step(self, ids, columns):
        """ids [B] -> logits [B, columns] of the first columns."""
        place = torch.tensor(self.position)
        angles = rotary_angles(place, self.layers[0].K)
        slots = {w: (place % w)[None] for w in self.windows}
        masks = {w: torch.arange(w) <= place for w in self.windows}
        masks = {w: m[None, None, None] for w, m in masks.items()}
        x = self.model.embed(ids, place)
        for layer in self.layers:
            x = layer(x, slots, masks, angles)
        self.position += 1
        h = F.rms_norm(x, (x.shape[-1],), self.model.head.gain, 1e-6)
        return F.linear(h, self.model.tokens[:columns])
