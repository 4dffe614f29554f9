"""How an ensemble of ten trains fastest: one after the other, in one program, over devices, and in PyTorch.

    python benchmarks/train_ensembles.py

Writes `benchmarks/results/train_ensembles.json`. One unit is a step of one member.
"""

import os

import jax

jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))

import equinox as eqx  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from harness import Variant, compare  # noqa: E402

from jaxastro.train import fit, fit_members, mesh_of  # noqa: E402

MEMBERS, ROWS, BATCH, EPOCHS, WIDTH = 10, 5120, 256, 2, 64


def main() -> None:
    """Run the comparison."""
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(ROWS, 8)).astype("f4"), "y": rng.normal(size=ROWS).astype("f4")}
    keys = jax.random.split(jax.random.key(0), MEMBERS)
    models = eqx.filter_vmap(lambda k: eqx.nn.MLP(8, "scalar", WIDTH, 2, key=k))(keys)
    options = {"epochs": EPOCHS, "batch_size": BATCH, "optimizer": optax.adam(1e-3), "progress": False}

    def loss(model, example, key):
        return (model(example["x"]) - example["y"]) ** 2

    def together(mesh):
        return lambda: fit_members(models, loss, data, keys=keys, mesh=mesh, **options).model

    def alone():
        one = lambda i: jax.tree.map(lambda x: x[i] if eqx.is_array(x) else x, models)  # noqa: E731
        return [fit(one(i), loss, data, key=keys[i], **options).model for i in range(MEMBERS)]

    units = MEMBERS * EPOCHS * -(-ROWS // BATCH)
    variants = [
        Variant("one program, members over devices", together(mesh_of("member")), units=units),
        Variant("one program, one device", together(None), units=units),
        Variant("one fit after the other", alone, units=units, limit_s=120),
    ]
    torch_run = torch_ensemble(data)
    if torch_run is not None:
        variants.append(Variant("PyTorch, fused Adam, one after the other", torch_run, units=units))
    shape = f"{MEMBERS} members 8-{WIDTH}-{WIDTH}-1, {ROWS} rows, batch {BATCH}, {EPOCHS} epochs"
    notes = f"{shape}; every call compiles anew"
    compare("train_ensembles", variants, repeats=5, notes=notes)


def torch_ensemble(data):
    """The same training in PyTorch; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    x, y = (torch.from_numpy(data[name]) for name in ("x", "y"))

    def run():
        for seed in range(MEMBERS):
            torch.manual_seed(seed)
            net = torch.nn.Sequential(
                torch.nn.Linear(8, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(),
                torch.nn.Linear(WIDTH, 1),
            )  # fmt: skip
            optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
            for _ in range(EPOCHS):
                for rows in torch.randperm(ROWS).split(BATCH):
                    optimizer.zero_grad()
                    ((net(x[rows])[:, 0] - y[rows]) ** 2).mean().backward()
                    optimizer.step()

    return run


if __name__ == "__main__":
    main()
