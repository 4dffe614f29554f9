"""The decoder against PyTorch's layer, and its cached steps against the full pass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.nn import Decoder
from jaxastro.nn.transformer import extend

DECODER = Decoder(16, 2, 4, key=jax.random.key(0))
TOKENS = jax.random.normal(jax.random.key(1), (9, 16))
CAUSAL = jnp.tril(jnp.ones((9, 9), bool))


@pytest.mark.core
@pytest.mark.parametrize("prefix", [1, 4])
def test_cached_steps_equal_the_full_pass(prefix):
    full = DECODER(TOKENS, CAUSAL)
    start, cache = DECODER.prefill(TOKENS[:prefix], CAUSAL[:prefix, :prefix])
    cache, states = extend(cache, 9 - prefix), list(start)
    step = eqx.filter_jit(DECODER.step)
    for i in range(prefix, 9):
        state, cache = step(TOKENS[i], cache, jnp.asarray(i), jnp.arange(9) <= i)
        states.append(state)
    np.testing.assert_allclose(jnp.stack(states), full, atol=1e-5)


@pytest.mark.core
def test_no_token_sees_what_its_mask_hides():
    changed = DECODER(TOKENS.at[5].multiply(-2.0), CAUSAL)
    np.testing.assert_allclose(changed[:5], DECODER(TOKENS, CAUSAL)[:5], atol=1e-6)
    assert jnp.abs(changed[5:] - DECODER(TOKENS, CAUSAL)[5:]).max() > 1e-2


@pytest.mark.peer
def test_a_block_equals_the_layer_of_pytorch():
    torch = pytest.importorskip("torch")
    block = DECODER.blocks[0]
    layer = torch.nn.TransformerEncoderLayer(
        16, 4, 64, 0.0, activation=torch.nn.GELU(approximate="tanh"), norm_first=True, batch_first=True
    )
    pairs = {
        "self_attn.in_proj": block.qkv, "self_attn.out_proj": block.out, "linear1": block.up, "linear2": block.down,
    }  # fmt: skip
    weights = {}
    for name, linear in pairs.items():
        join = "_" if name.endswith("in_proj") else "."
        weights[f"{name}{join}weight"] = torch.tensor(np.array(linear.weight))
        weights[f"{name}{join}bias"] = torch.tensor(np.array(linear.bias))
    layer.load_state_dict(weights, strict=False)
    layer.eval()
    # Without gradients PyTorch would take a fused path with the other GELU.
    expected = layer(torch.tensor(np.array(TOKENS))[None], src_mask=~torch.tensor(np.array(CAUSAL)))[0].detach()
    np.testing.assert_allclose(block(TOKENS, CAUSAL)[0], expected, atol=2e-5)
