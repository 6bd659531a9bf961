"""torch_step.py: the model of torch_model.py for many streams, one token each at a time, or a packet's at once: states as
tensors, changed in place, matrices in bf16 once and for all."""
import torch
import torch.nn.functional as F

from torch_model import LINEAR_FLOOR, convolve, phi_k, phi_q, rotary_angles, rotate


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


class LayerChunk(LayerStep):
    """The same layer where each stream takes n tokens at once: x [B, n, D] -> x. The mixers' chunked forms, one chunk each;
    keep: the state takes the tokens in, else it is only read (a peek)."""

    def __init__(self, step):
        torch.nn.Module.__init__(self)
        self.__dict__.update({k: v for k, v in step.__dict__.items() if not k.startswith("_")})
        self._buffers = step._buffers  # one state, two ways to go on

    def half(self, x, gain, which, keep):
        h = F.rms_norm(x, (x.shape[-1],), gain, 1e-6)
        if self.shifts:
            half = h.shape[-1] // 2
            before = torch.cat((self.before[which][:, None], h[:, :-1, :half]), 1)
            if keep:
                self.before[which].copy_(h[:, -1, :half])
            h = torch.cat((before, h[..., half:]), -1)
        return h.to(torch.bfloat16)

    def window(self, q, k, v, state, slot, seen, angles, keep):
        """seen [n, window + n]: which slots of the ring, then which of the chunk's own, each token sees."""
        q, k = rotate(q, *angles), rotate(k, *angles)
        o = F.scaled_dot_product_attention(q, torch.cat((state[0], k), 2), torch.cat((state[1], v), 2), attn_mask=seen)
        if keep:
            n = slot.shape[0]  # of a chunk longer than the window, its last tokens
            state[0].index_copy_(2, slot, k[:, :, -n:])
            state[1].index_copy_(2, slot, v[:, :, -n:])
        return o

    def linear(self, q, k, v, S, keep):
        q, k, v = phi_q(q), phi_k(k), F.pad(v.float(), (0, 1), value=1.0)
        o = q @ S + (q @ k.transpose(-1, -2)).tril() @ v
        if keep:
            S.add_(k.transpose(-1, -2) @ v)
        return o[..., :-1] / o[..., -1:].clamp_min(LINEAR_FLOOR)

    def delta(self, q, k, v, gates, state, i, keep):
        """As delta_rule of torch_model.py, with a state before the chunk."""
        B, H, n, K = q.shape
        S, past = state
        own = {name: getattr(self, f"mixer_{i}_{name}") for name in ("conv", "log_rate", "bias", "norm")}
        rows = torch.cat([x.transpose(1, 2).reshape(B, n, H * K) for x in (q, k, v)], -1).float()
        seen = torch.cat((past.transpose(1, 2), rows), 1)
        if keep:
            past.copy_(seen[:, -3:].transpose(1, 2))
        q, k, v = convolve(seen, own["conv"])[:, 3:].view(B, n, 3, H, K).permute(2, 0, 3, 1, 4)
        q = q * torch.rsqrt((q.square().sum(-1, keepdim=True) + 1e-6) * K)
        k = k * torch.rsqrt(k.square().sum(-1, keepdim=True) + 1e-6)
        gate, forget, write = gates.float().split((H * K, H, H), -1)
        g = (-own["log_rate"].exp() * F.softplus(forget + own["bias"])).transpose(1, 2).cumsum(-1)
        b = write.sigmoid().transpose(1, 2)
        later = torch.ones(n, n).tril() == 0
        fade = (g[..., :, None] - g[..., None, :]).masked_fill(later, -torch.inf).exp()
        inside = ((k @ k.transpose(-1, -2)) * fade * b[..., None]).tril(-1)
        right = torch.cat((v * b[..., None], k * (b * g.exp())[..., None]), -1)
        u, w = torch.linalg.solve_triangular(inside, right, upper=False, unitriangular=True).chunk(2, -1)
        new = u - w @ S
        o = g.exp()[..., None] * (q @ S) + ((q @ k.transpose(-1, -2)) * fade) @ new
        if keep:
            late = k * (g[..., -1:] - g).exp()[..., None]
            S.mul_(g[..., -1, None, None].exp()).add_(late.transpose(-1, -2) @ new)
        o = F.rms_norm(o, (K,), own["norm"], 1e-6)
        return o * F.silu(gate).view(B, n, H, K).transpose(1, 2)

    def forward(self, x, slots, masks, angles, keep):
        B, n, _ = x.shape
        K, heads = self.K, self.heads
        row = F.linear(self.half(x, self.mixer_norm, 0, keep), self.mixer_qkv)
        q, k, v = (y.view(B, n, heads, K).transpose(1, 2) for y in row[..., : 3 * heads * K].chunk(3, -1))
        out, at, extra = [], 0, 3 * heads * K
        for i, (g, state) in enumerate(zip(self.groups, self.state)):
            h = g["heads"]
            a, b, d = q[:, at : at + h], k[:, at : at + h], v[:, at : at + h]
            if g["kind"] == "window":
                out.append(self.window(a, b, d, state, slots[g["window"]], masks[g["window"]], angles, keep))
            elif g["kind"] == "linear":
                out.append(self.linear(a, b, d, state, keep))
            else:
                gates = row[..., extra : extra + h * K + 2 * h]
                extra += h * K + 2 * h
                out.append(self.delta(a, b, d, gates, state, i, keep))
            at += h
        o = torch.cat([y.to(torch.bfloat16) for y in out], 1).transpose(1, 2).reshape(B, n, heads * K)
        x = x + F.linear(o, self.mixer_out)
        gate, up = F.linear(self.half(x, self.mlp_norm, 1, keep), self.mlp_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.mlp_down)


class Streams:
    """B streams of a model; all stand at the same position. Full heads, whose state grows, are not for streams."""

    def __init__(self, model, B):
        self.model, self.position = model, 0
        self.layers = [LayerStep(layer, B) for layer in model.layers]
        self.chunks = [LayerChunk(layer) for layer in self.layers]
        self.windows = {g["window"] for layer in self.layers for g in layer.groups if g["kind"] == "window"}

    def compile(self):
        for layer in self.layers + self.chunks:
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

    @torch.inference_mode()
    def feed(self, ids, columns, keep=True):
        """ids [B, n], of each stream its next n tokens -> logits [B, columns] behind the last. keep: the streams take them
        in; else this is a peek."""
        n, start = ids.shape[1], self.position
        place = start + torch.arange(n)
        angles = rotary_angles(place, self.layers[0].K)
        slots = {w: place[-w:] % w for w in self.windows}
        masks = {w: self.seen(w, start, n) for w in self.windows}
        x = self.model.embed(ids, place)
        for layer in self.chunks:
            x = layer(x, slots, masks, angles, keep)
        self.position += n if keep else 0
        if not columns:
            return None
        h = F.rms_norm(x[:, -1], (x.shape[-1],), self.model.head.gain, 1e-6)
        return F.linear(h, self.model.tokens[:columns])

    @staticmethod
    def seen(window, start, n):
        """[n, window + n]: a ring's slot holds the last position before start that is the slot's modulo the window."""
        slot = torch.arange(window)
        held = start - 1 - (start - 1 - slot) % window
        where = torch.cat((held, start + torch.arange(n)))
        place = start + torch.arange(n)[:, None]
        return (where >= 0) & (where <= place) & (where > place - window)
