"""How fast systems are learned and drawn, beside the same network in PyTorch.

    python benchmarks/planetary_speed.py

Writes `benchmarks/results/planetary_{sampling,training,default_sampling}.json`. The network is that of the paper
preset, which both packages can hold in one file; the last table times the default model, an ensemble of three, alone.
"""

import os

import jax

jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
from harness import Variant, compare  # noqa: E402

from jaxastro.systems.planetary_systems.model import Generator, Member  # noqa: E402
from jaxastro.systems.planetary_systems.sampling import sample  # noqa: E402
from jaxastro.systems.planetary_systems.simulate import PodSim  # noqa: E402
from jaxastro.systems.planetary_systems.tokens import GridGenerator, GridMember  # noqa: E402
from jaxastro.systems.planetary_systems.training import alone  # noqa: E402

WIDTH, LAYERS, HEADS, PLANETS, BATCH, STEPS, DRAWS = 64, 4, 4, 32, 64, 10, 2000


class TorchWords(torch.nn.Module):
    """The paper preset in PyTorch: pre-norm layers, cells learned as column, row and self, words kept in order."""

    def __init__(self, member: GridMember):
        super().__init__()
        n, self.cells = member.grid.end + 1, member.grid.n
        layer = lambda: torch.nn.TransformerEncoderLayer(  # noqa: E731
            WIDTH, HEADS, 4 * WIDTH, 0.0, torch.nn.GELU(approximate="tanh"), norm_first=True, batch_first=True
        )
        self.layers = torch.nn.ModuleList(layer() for _ in range(LAYERS))
        self.norm, self.out = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, n)
        self.out_column, self.out_row = (torch.nn.Linear(WIDTH, self.cells) for _ in range(2))
        self.embed, self.position = torch.nn.Embedding(n, WIDTH), torch.nn.Embedding(PLANETS + 1, WIDTH)
        self.embed_column, self.embed_row = (torch.nn.Embedding(self.cells + 1, WIDTH) for _ in range(2))
        self.column = torch.arange(n) // self.cells
        copy = lambda to, array: to.data.copy_(torch.tensor(np.array(array)))  # noqa: E731
        for name in ("embed", "embed_column", "embed_row", "position", "out", "out_column", "out_row"):
            copy(getattr(self, name).weight, getattr(member, name).weight)
        for name in ("out", "out_column", "out_row"):
            copy(getattr(self, name).bias, getattr(member, name).bias)
        for mine, block in zip(self.layers, member.decoder.blocks, strict=True):
            copy(mine.self_attn.in_proj_weight, block.qkv.weight), copy(mine.self_attn.in_proj_bias, block.qkv.bias)
            pairs = ((mine.self_attn.out_proj, block.out), (mine.linear1, block.up), (mine.linear2, block.down))
            for to, linear in pairs:
                copy(to.weight, linear.weight), copy(to.bias, linear.bias)

    def tokens(self, before, position):
        row = torch.where(before == self.cells**2, self.cells, before % self.cells)
        shared = self.embed_column(before // self.cells) + self.embed_row(row) + position
        return 0.3 * shared + 0.1 * self.embed(before)

    def log_probs(self, h, before, index):
        h = self.norm(h)
        cells = (self.out_column(h)[..., None] + self.out_row(h)[..., None, :]).flatten(-2)
        logits = self.out(h) + torch.nn.functional.pad(cells, (0, 1))
        allowed = self.column >= torch.where(before < self.cells**2, before // self.cells, 0)[..., None]
        allowed[..., -1] = index > 0
        return torch.log_softmax(logits.masked_fill(~allowed, -1e9), -1)

    def forward(self, before):
        """Log probabilities along whole words."""
        index = torch.arange(before.shape[1])
        h = self.tokens(before, self.position(index))
        mask = torch.triu(torch.ones(len(index), len(index), dtype=torch.bool), 1)
        for layer in self.layers:
            h = layer(h, src_mask=mask)
        return self.log_probs(h, before, index)

    @torch.no_grad()
    def sample(self, n):
        """Words drawn with cached keys and values until all have ended."""
        before, going = torch.full((n,), self.cells**2), torch.ones(n, dtype=torch.bool)
        empty = lambda: torch.zeros(n, HEADS, PLANETS, WIDTH // HEADS)  # noqa: E731
        caches = [(empty(), empty()) for _ in range(LAYERS)]
        attend = torch.nn.functional.scaled_dot_product_attention
        words = []
        for i in range(PLANETS):
            h = self.tokens(before, self.position.weight[i])
            for layer, (k, v) in zip(self.layers, caches, strict=True):
                a = layer.self_attn
                qkv = torch.nn.functional.linear(layer.norm1(h), a.in_proj_weight, a.in_proj_bias)
                q, k[:, :, i], v[:, :, i] = qkv.view(n, 3, HEADS, -1).unbind(1)
                seen = attend(q[:, :, None], k[:, :, : i + 1], v[:, :, : i + 1])
                h = h + a.out_proj(seen.reshape(n, WIDTH))
                h = h + layer.linear2(layer.activation(layer.linear1(layer.norm2(h))))
            before = torch.multinomial(self.log_probs(h, before, torch.tensor(i)).exp(), 1)[:, 0]
            going &= before < self.cells**2
            words.append(torch.where(going, before, self.cells**2))
            if not going.any():
                break
        return torch.stack(words, 1)


def main() -> None:
    """Run the comparisons."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    member = GridMember(width=WIDTH, layers=LAYERS, heads=HEADS, dropout=0.0, key=jax.random.key(0))
    member = eqx.tree_at(lambda m: m.out.bias, member, jnp.zeros_like(member.out.bias).at[-1].set(4.0))
    peer, model = TorchWords(member), GridGenerator((eqx.nn.inference_mode(member),))
    systems = jax.tree.map(np.asarray, alone(PodSim().sample(jax.random.key(0), BATCH * STEPS)))
    token = np.where(systems.mask, np.asarray(member.grid.encode(systems.log_a, systems.log_mass)), member.grid.end)
    before = torch.tensor(np.concatenate([np.full((len(token), 1), member.grid.end), token], 1))
    target = torch.tensor(np.concatenate([token, np.full((len(token), 1), member.grid.end)], 1))
    alive = torch.tensor(np.concatenate([np.ones((len(token), 1), bool), systems.mask], 1))

    def chunks():
        for _ in range(DRAWS // 250):
            peer.sample(250)

    size = {"parameters": sum(a.size for a in jax.tree.leaves(eqx.filter(member, eqx.is_inexact_array)))}
    draw = lambda devices: lambda: sample(model, jax.random.key(1), DRAWS, devices=devices)  # noqa: E731
    compare(
        "planetary_sampling",
        [
            Variant("jaxastro, one device", draw(1), units=DRAWS, size=size),
            Variant("jaxastro, all devices", draw(None), units=DRAWS, size=size),
            Variant("PyTorch, cached, chunks of 250", chunks, units=DRAWS, size=size),
        ],
        notes=f"paper preset, {LAYERS} layers, width {WIDTH}, at most {PLANETS} planets",
    )

    params, static = eqx.partition(member, eqx.is_inexact_array)
    optimizer = optax.adam(1e-3)

    @jax.jit
    def epoch(params, state, systems):
        def loss(params, batch):
            terms = jax.vmap(eqx.combine(params, static).terms)(batch)
            return -terms.kind.sum() / batch.mask.sum()

        def step(carry, batch):
            params, state = carry
            gradient = jax.grad(loss)(params, batch)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, state), systems)[0]

    batches = jax.tree.map(lambda a: jnp.asarray(a).reshape(STEPS, BATCH, *a.shape[1:]), systems)
    adam = torch.optim.Adam(peer.parameters(), 1e-3, fused=True)

    def torch_epoch():
        peer.train()
        for i in range(0, BATCH * STEPS, BATCH):
            rows = slice(i, i + BATCH)
            log_prob = peer(before[rows]).gather(-1, target[rows][..., None])[..., 0]
            loss = -(log_prob * alive[rows]).sum() / alive[rows][:, 1:].sum()
            adam.zero_grad()
            loss.backward()
            adam.step()

    state = optimizer.init(params)
    compare(
        "planetary_training",
        [
            Variant("jaxastro, scan over steps", lambda: epoch(params, state, batches), units=STEPS, size=size),
            Variant("PyTorch, fused Adam", torch_epoch, units=STEPS, size=size),
        ],
        notes=f"paper preset, {LAYERS} layers, width {WIDTH}, batch {BATCH}; units are steps",
    )

    ends = lambda m: eqx.tree_at(lambda m: m.kind.bias, m, jnp.array([-2.2, 0.0, 0.0]))  # noqa: E731
    members = [eqx.nn.inference_mode(ends(Member(key=jax.random.key(i)))) for i in range(3)]
    ten = lambda model: lambda: sample(model, jax.random.key(2), 10_000)  # noqa: E731
    compare(
        "planetary_default_sampling",
        [
            Variant("10,000 systems, one network", ten(Generator(tuple(members[:1]))), units=10_000),
            Variant("10,000 systems, mean of three", ten(Generator(tuple(members))), units=10_000),
        ],
        repeats=3,
        notes="default preset, all devices",
    )


if __name__ == "__main__":
    main()
