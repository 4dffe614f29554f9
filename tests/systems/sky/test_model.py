"""The model of the sky at latents whose expected counts are known in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.fields import gaussian_kernel
from jaxastro.systems.sky.config import Train
from jaxastro.systems.sky.data import assemble
from jaxastro.systems.sky.model import build, cropped, with_margin
from jaxastro.systems.sky.reconstruction import prior_mean
from jaxastro.systems.sky.slots import expected

KERNEL = gaussian_kernel(1.0)


@pytest.mark.parametrize(("inflow", "share"), [(9.0, 1.0), (0.0, 0.5), (-9.0, 0.0)])
def test_a_flat_sky_is_dimmer_at_the_edge_by_what_does_not_flow_in(inflow, share):
    """At a corner the PSF brings the margin's flux over three quadrants, in the share that flows in (1/2 at 0)."""
    field = assemble("flat", np.full((1, 20, 20), 7), 10.0, 0.0, KERNEL, [1.0])
    big, start = with_margin(field, 1.6)
    sky = build(big, Train(sources=1, extended=1))
    rate = cropped(expected(sky, prior_mean(sky) | {"inflow_latent": jnp.asarray(inflow)}), field, start)[0]
    half = len(KERNEL) // 2
    inside = KERNEL[: half + 1, : half + 1].sum()
    assert rate[10, 10] == pytest.approx(7.0, rel=1e-4)
    assert rate[0, 0] == pytest.approx(7.0 * (inside + share * (1 - inside)), rel=1e-4)
