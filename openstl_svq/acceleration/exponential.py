"""The exponential function of compiled loops, of which the compiler computes several at once."""

import numpy as np

from ..compiled import inlined

f32 = np.float32


@inlined
def exponential(power):
    """e^power for -87 < power <= 0, in float32: 2^k times a polynomial, as in Cephes, without a branch or a call."""
    whole = np.int32(power * f32(1.44269504) - f32(0.5))  # k
    k = f32(whole)
    rest = power - k * f32(0.693359375) + k * f32(2.12194440e-4)
    e = f32(1.9875691500e-4)
    e = e * rest + f32(1.3981999507e-3)
    e = e * rest + f32(8.3334519073e-3)
    e = e * rest + f32(4.1665795894e-2)
    e = e * rest + f32(1.6666665459e-1)
    e = e * rest + f32(5.0000001201e-1)
    e = e * rest * rest + rest + f32(1)
    return e * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)
