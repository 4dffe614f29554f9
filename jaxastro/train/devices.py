"""Where the arrays of a fit live: per-member arrays along the "member" axis of a mesh, the rest on every device."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def mesh_of(axis: str, count: int | None = None) -> Mesh | None:
    """All devices (or the first `count`) as a mesh of one axis, "member" or "batch"; None on a single device."""
    devices = jax.devices()[:count]
    if len(devices) == 1:
        return None
    return jax.make_mesh((len(devices),), (axis,), axis_types=(AxisType.Auto,), devices=devices)


class Placement(NamedTuple):
    """Puts the arrays of `count` members on the devices of `mesh`."""

    mesh: Mesh | None
    count: int

    def members(self, tree: Any) -> Any:
        """Arrays with a leading member axis, padded by copies of the last member to fill the devices."""
        if self.mesh is None or "member" not in self.mesh.axis_names:
            return self.shared(tree)
        missing = -self.count % self.mesh.shape["member"]
        sharding = NamedSharding(self.mesh, PartitionSpec("member"))

        def place(x):
            x = jnp.asarray(x)
            if x.shape[0] == self.count and missing:
                x = jnp.concatenate([x, *[x[-1:]] * missing])
            return jax.device_put(x, sharding)

        return jax.tree.map(place, tree)

    def shared(self, tree: Any) -> Any:
        """Arrays that every device holds whole; every process must bring the same values."""
        if self.mesh is None:
            return jax.tree.map(jnp.asarray, tree)
        sharding = NamedSharding(self.mesh, PartitionSpec())

        def place(x):
            if jnp.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(place(jax.random.key_data(x)))
            host = np.asarray(x)
            return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])

        return jax.tree.map(place, tree)
