"""The selective state-space layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon._module import Parameter
from bit_axon.config import BitAxonConfig
from bit_axon.layers._device import as_rows, check_positive
from bit_axon.layers._results import result_of
from bit_axon.layers.linear import Conv1d, EngineModule, Linear, matrix_of

__all__ = ["AxonSSM", "segsum"]

_DT_LEAST, _DT_MOST = 1e-4, 100.0


def _ssm_fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c."""
    product = as_numpy(a, np.float32) * as_numpy(b, np.float32)
    return result_of(product + as_numpy(c, np.float32), (a, b, c))


def _compute_dt(dt: Array, dt_bias: Array, lo: float, hi: float) -> Array:
    """softplus(dt + dt_bias), clipped to [lo, hi]."""
    raw = as_numpy(dt, np.float32) + as_numpy(dt_bias, np.float32)
    clipped = np.clip(np.logaddexp(np.float32(0), raw), lo, hi).astype(np.float32)
    return result_of(clipped, (dt, dt_bias))


def segsum(x: Array) -> Array:
    """Sums of segments: [..., n] to [..., n, n] with sum(x[..., j + 1 : i + 1]) at [..., i, j] for
    i > j, else 0."""
    sums = np.cumsum(as_numpy(x, np.float32), axis=-1)
    return result_of(np.tril(sums[..., :, None] - sums[..., None, :], -1), (x,))


class AxonSSM(EngineModule):
    """A Mamba-style layer: a causal convolution, a selective scan with a diagonal state, a gate.

    With E = ssm_expand * hidden_dim, N = ssm_d_state and K = ssm_d_conv:

    Attributes:
        in_proj: Linear, hidden_dim to 2 E: the branch of the scan and the gate.
        conv1d: Conv1d of E channels with K taps.
        x_proj: Linear, E to 2 N + 1: B, C and the time step.
        dt_proj: Linear, 1 to E, with bias.
        out_proj: Linear, E to hidden_dim.
        A_log: [E, N]: the logarithm of the decay rates.
        D: [E]: the skip connection.

    Source: Gu & Dao 2023, "Mamba", algorithm 2.
    """

    def __init__(self, config: BitAxonConfig) -> None:
        super().__init__()
        width, inner = config.hidden_dim, config.ssm_intermediate_dim
        n, k = config.ssm_d_state, config.ssm_d_conv
        check_positive(hidden_dim=width, ssm_expand=config.ssm_expand, ssm_d_state=n)
        if k < 2:
            raise InvalidArgument(f"ssm_d_conv: expected at least 2, got {k}")
        self.in_proj = Linear(width, 2 * inner, bias=False)
        self.conv1d = Conv1d(inner, k)
        self.x_proj = Linear(inner, 2 * n + 1, bias=False)
        self.dt_proj = Linear(1, inner)
        self.out_proj = Linear(inner, width, bias=False)
        self.d_conv, self.d_state, self.E, self.step = k, n, inner, config.ssm_scan_step
        rates = np.log(np.arange(1, n + 1, dtype=np.float32))
        self.A_log = Parameter((inner, n), lambda: np.tile(rates, (inner, 1)))
        self.D = Parameter((inner,), lambda: np.ones(inner, dtype=np.float32))

    def __call__(
        self, x: Array, cache: Sequence[Array | None] | None = None
    ) -> tuple[Array, list[Array]]:
        """Continues sequences.

        Args:
            x: [batch, rows, hidden_dim].
            cache: What the call for the rows before has returned: [conv_cache, ssm_state]. Without
                it (or None in it), the sequences begin.

        Returns:
            y [batch, rows, hidden_dim] and [conv_cache [batch, K - 1, E], ssm_state [batch, E, N]].
            The result is the same in whatever pieces the rows are given.
        """
        width = self.in_proj.input_dims
        values = as_rows(x, width, "AxonSSM input")
        if values.ndim != 3:
            raise InvalidArgument(
                f"AxonSSM input: expected [batch, rows, {width}], got {list(values.shape)}"
            )
        batch, n_rows, _ = values.shape
        shapes = ((batch, self.d_conv - 1, self.E), (batch, self.E, self.d_state))
        state = self._state_of(cache, shapes)
        y, *state_after = self._layer().run(batch, n_rows, values.reshape(-1), *state)
        arrays = cache or ()
        return self._result(y.reshape(values.shape), x, *arrays), [
            self._result(part.reshape(shape), x, *arrays)
            for part, shape in zip(state_after, shapes)
        ]

    def _state_of(
        self, cache: Sequence[Array | None] | None, shapes: Sequence[tuple[int, ...]]
    ) -> list[npt.NDArray[np.float32] | None]:
        if cache is None:
            return [None, None]
        if len(cache) != 2:
            raise InvalidArgument(
                f"cache: expected [conv_cache, ssm_state], got {len(cache)} arrays"
            )
        state: list[npt.NDArray[np.float32] | None] = []
        for name, part, shape in zip(("conv_cache", "ssm_state"), cache, shapes):
            values = None if part is None else as_numpy(part, np.float32, name=name)
            if values is not None and values.shape != shape:
                raise InvalidArgument(
                    f"{name}: expected the shape {list(shape)}, got {list(values.shape)}"
                )
            state.append(None if values is None else values.reshape(-1))
        return state

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.SsmLayer:
        conv, dt = self.conv1d, self.dt_proj
        if not isinstance(conv, Conv1d) or "bias" not in conv:
            raise InvalidArgument("AxonSSM.conv1d: expected a Conv1d with a bias")
        if not isinstance(dt, Linear) or "bias" not in dt:
            raise InvalidArgument("AxonSSM.dt_proj: expected a Linear with a bias")
        a_log: Parameter = self._items["A_log"]
        taps: Parameter = conv._items["weight"]
        return _engine.ssm_layer(
            on,
            matrix_of(self, "in_proj", on),
            taps.packed(on, (1, *taps.shape[:2]), "AxonSSM.conv1d.weight"),  # type: ignore[arg-type]
            conv._vector(on, "bias"),
            matrix_of(self, "x_proj", on),
            dt.packed(on),
            dt._vector(on, "bias"),
            a_log.packed(on, (1, *a_log.shape), "AxonSSM.A_log"),  # type: ignore[arg-type]
            self._vector(on, "D"),
            matrix_of(self, "out_proj", on),
            _DT_LEAST,
            _DT_MOST,
        )

    # Pieces of the computation, in numpy. A call of the layer does not use them.

    def _causal_conv1d(self, x: Array, conv_cache: Array | None = None) -> tuple[Array, Array]:
        values = as_numpy(x, np.float32)
        n_before = self.d_conv - 1
        if conv_cache is None:
            before = np.zeros((values.shape[0], n_before, values.shape[2]), dtype=np.float32)
        else:
            before = as_numpy(conv_cache, np.float32)
        rows = np.concatenate([before, values], axis=1)
        return self._result(self.conv1d(rows), x), self._result(
            rows[:, rows.shape[1] - n_before :], x
        )

    def _ssm_scan(
        self, x: Array, dt: Array, B_in: Array, C_in: Array, ssm_state: Array | None = None
    ) -> tuple[Array, Array]:
        u, dts, bs, cs = (as_numpy(a, np.float32) for a in (x, dt, B_in, C_in))
        rates = -np.exp(as_numpy(self.A_log, np.float32))
        skip = as_numpy(self.D, np.float32)
        h: npt.NDArray[Any] = np.zeros((u.shape[0], self.E, self.d_state), dtype=np.float32)
        if ssm_state is not None:
            h = as_numpy(ssm_state, np.float32)
        y = np.empty_like(u)
        for t in range(u.shape[1]):
            step = dts[:, t, :, None]
            h = np.exp(step * rates) * h + step * u[:, t, :, None] * bs[:, t, None, :]
            y[:, t] = (h * cs[:, t, None, :]).sum(axis=-1) + skip * u[:, t]
        return self._result(y, x), self._result(h, x)

    # The engine scans in one way only, so both names compute the same.
    _ssm_scan_parallel = _ssm_scan
