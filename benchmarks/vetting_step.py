"""One epoch of the default vetting network beside the same network in plain PyTorch with fused Adam.

    python benchmarks/vetting_step.py

Both train on the same 40 batches of 128 signals with TESS views (201 and 61 bins) and 4 scalars, with dropout, Adam and
no augmentation; PyTorch uses all threads. Writes results/vetting_step.json.
"""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from harness import Variant, compare

from jaxastro.systems.vetting.data import Example
from jaxastro.systems.vetting.model import Layout, Network
from jaxastro.systems.vetting.training import decision_loss, trainable

BATCH, STEPS, WIDTH = 128, 40, 64
LAYOUT = Layout({"global": (201, 1), "main": (61, 1)}, 4)


def make_data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    whole, main = (rng.normal(size=(STEPS, BATCH, n)).astype(np.float32) for n in (201, 61))
    scalars = rng.normal(size=(STEPS, BATCH, 4)).astype(np.float32)
    return whole, main, scalars, rng.integers(0, 4, (STEPS, BATCH))


def ours(data):
    whole, main, scalars, label = data
    true = np.ones((STEPS, BATCH), bool)
    examples = Example(
        {"global": whole[..., None], "main": main[..., None]}, {"global": true, "main": true},
        scalars, np.ones((STEPS, BATCH, 4), bool),
    )  # fmt: skip
    model = Network(LAYOUT, 4, branch_dropout=0.0, key=jax.random.key(0))
    params, static = eqx.partition(model, trainable(model))
    optimizer = optax.adam(1e-3)
    one_loss = decision_loss(np.array([True, False, False, False]), label_weight=1.0)

    def step(carry, batch):
        (params, state, key), (examples, label) = carry, batch
        key, drop = jax.random.split(key)

        def loss(params):
            model = eqx.combine(params, static)
            each = lambda e, label, k: one_loss(model, (e, label), k)[0]  # noqa: E731
            return jax.vmap(each)(examples, label, jax.random.split(drop, BATCH)).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state, key), None

    epoch = jax.jit(lambda carry, data: jax.lax.scan(step, carry, data)[0])
    carry = params, optimizer.init(params), jax.random.key(1)
    device = jax.tree.map(jnp.asarray, (examples, label))
    size = sum(x.size for x in jax.tree.leaves(params))
    return (lambda: epoch(carry, device)[0]), size


def theirs(data):
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self, bins, filters):
            super().__init__()
            sizes = (1, *filters)
            self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in pairwise(sizes))
            self.dense = nn.Linear((bins >> len(filters)) * filters[-1], WIDTH)

        def forward(self, x):
            x = torch.arcsinh(x)[:, None]
            for convolution in self.convolutions:
                x = torch.relu(nn.functional.max_pool1d(convolution(x), 2))
            return self.dense(x.flatten(1))

    def head(branches):
        return nn.Sequential(
            nn.GELU(), nn.Dropout(0.2), nn.Linear(branches * WIDTH, 128), nn.GELU(), nn.Dropout(0.2),
            nn.Linear(128, 128), nn.GELU(), nn.Dropout(0.2), nn.Linear(128, 4),
        )  # fmt: skip

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.whole, self.main = Encoder(201, (16, 32, 64, 64)), Encoder(61, (16, 32, 64))
            self.embedding, self.offset = nn.Parameter(torch.randn(4, 10, 4)), nn.Parameter(torch.randn(4, 4))
            self.scalars = nn.Sequential(nn.Linear(16, 128), nn.GELU(), nn.Linear(128, WIDTH))
            self.tokens = nn.Parameter(torch.zeros(3, WIDTH))
            self.heads = nn.ModuleList(map(head, (2, 1, 3)))

        def forward(self, whole, main, scalars):
            z = scalars[..., None]
            between = torch.clip((z - knots[:-1]) / (knots[1:] - knots[:-1]), 0, 1) - 0.5
            features = torch.cat([4 * torch.tanh(z / 4), between, torch.ones_like(z)], -1)
            numbers = torch.einsum("bsf,sfn->bsn", features, self.embedding) + self.offset
            numbers = nn.functional.gelu(numbers).flatten(1)
            parts = [self.whole(whole), self.main(main), self.scalars(numbers)]
            shown = torch.stack(parts, 1)
            seen = shown[:, :2], shown[:, 2:], shown
            return [one(vectors.flatten(1)) for one, vectors in zip(self.heads, seen, strict=True)]

    knots = torch.linspace(-2, 2, 9)
    tensors = [torch.from_numpy(x) for x in data]
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

    def epoch():
        for whole, main, scalars, label in zip(*tensors, strict=True):
            optimizer.zero_grad(set_to_none=True)
            each = [nn.functional.cross_entropy(logits, label) for logits in net(whole, main, scalars)]
            torch.stack(each).mean().backward()
            optimizer.step()

    return epoch, sum(p.numel() for p in net.parameters())


def main() -> None:
    data = make_data()
    jax_epoch, jax_size = ours(data)
    torch_epoch, torch_size = theirs(data)
    assert jax_size == torch_size
    variants = [
        Variant("jaxastro", jax_epoch, units=STEPS, size={"parameters": jax_size}),
        Variant("PyTorch, fused Adam", torch_epoch, units=STEPS, size={"parameters": torch_size}),
    ]
    compare("vetting_step", variants, repeats=7, notes=f"{STEPS} steps of {BATCH} signals; rates are steps per second")


if __name__ == "__main__":
    main()
