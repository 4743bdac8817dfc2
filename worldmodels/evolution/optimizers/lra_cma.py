"""LRA-CMA-ES: CMA-ES that learns as slowly as the noise of the fitness asks for (Nomura, Akimoto & Ono 2023).

The signal-to-noise ratio of the updates of mean and covariance is estimated from their moving averages, and each
learning rate follows it: no population has to be tuned to the noise. Symbols are those of the paper and of Hansen's
tutorial (2016); the package `cmaes` takes the same steps, but needs N P^2 numbers and N products of P x P matrices.
"""

import math

import numpy as np
from numpy.typing import NDArray

from worldmodels.evolution.optimizers.base import Optimizer, Vector

ALPHA, BETA_MEAN, BETA_COV, GAMMA = 1.4, 0.1, 0.03, 0.1
"""Signal-to-noise ratio that is aimed at, rates of the two moving averages, damping of the learning rates' change."""


class LearningRate:
    """A learning rate eta that keeps the signal-to-noise ratio of the steps at `ALPHA` times itself."""

    def __init__(self, beta: float) -> None:
        self.eta, self._beta = 1.0, beta
        self._average: Vector | float = 0.0  # E: moving average of the steps
        self._power = 0.0  # V: moving average of their squared length

    def adapt(self, step: Vector) -> float:
        """Take a step, in coordinates in which the distribution is standard, into account; returns the new rate."""
        beta = self._beta
        self._average = (1 - beta) * self._average + beta * step
        self._power = (1 - beta) * self._power + beta * float(np.square(step).sum())
        signal = float(np.square(self._average).sum())  # |E|^2
        snr = (signal - beta / (2 - beta) * self._power) / (self._power - signal)
        towards = min(max(snr / (ALPHA * self.eta) - 1, -1.0), 1.0)
        self.eta = min(self.eta * math.exp(min(GAMMA * self.eta, beta) * towards), 1.0)
        return self.eta


class LRACMAES(Optimizer):
    """CMA-ES with learning rates that adapt to noise: slower, and not thrown off by it."""

    def __init__(
        self, dimension: int, population: int, sigma0: float, seed: int, mean: NDArray[np.floating] | None = None
    ) -> None:
        super().__init__(dimension, population, sigma0, seed, mean)
        p, n = dimension, population
        raw = math.log((n + 1) / 2) - np.log(np.arange(1, n + 1))
        self._mu = n // 2
        self._mu_eff, mu_minus = (float(w.sum() ** 2 / np.square(w).sum()) for w in (raw[: self._mu], raw[self._mu :]))
        self._c1 = 2 / ((p + 1.3) ** 2 + self._mu_eff)
        self._cmu = min(1 - self._c1 - 1e-8, 2 * (self._mu_eff - 2 + 1 / self._mu_eff) / ((p + 2) ** 2 + self._mu_eff))
        negative = min(
            1 + self._c1 / self._cmu,
            1 + 2 * mu_minus / (self._mu_eff + 2),
            (1 - self._c1 - self._cmu) / (p * self._cmu),
        )
        scale = np.where(raw >= 0, 1 / raw[raw > 0].sum(), negative / np.abs(raw[raw < 0]).sum())
        self._weights = raw * scale
        self._cs = (self._mu_eff + 2) / (p + self._mu_eff + 5)
        self._ds = 1 + 2 * max(0.0, math.sqrt((self._mu_eff - 1) / (p + 1)) - 1) + self._cs
        self._cc = (4 + self._mu_eff / p) / (p + 4 + 2 * self._mu_eff / p)
        self._chi = math.sqrt(p) * (1 - 1 / (4 * p) + 1 / (21 * p**2))  # E |N(0, I)|
        self._mean, self._sigma = self._first, sigma0
        self._cov, self._basis, self._scales = np.eye(p), np.eye(p), np.ones(p)  # C = B diag(D^2) B'
        self._path_sigma, self._path_cov = np.zeros(p), np.zeros(p)
        self._rate_mean, self._rate_cov = LearningRate(BETA_MEAN), LearningRate(BETA_COV)
        self._z = self._y = np.zeros((n, p))

    def rescale(self, sigma: float) -> None:
        """Set the step size; covariance and learning rates stay."""
        self._sigma = sigma

    def _sample(self) -> Vector:
        self._z = self._random.standard_normal((self.population, self.dimension))
        self._y = self._stretched(self._z, self._scales)  # y = C^(1/2) z ~ N(0, C)
        return self._mean + self._sigma * self._y  # x ~ N(m, sigma^2 C)

    def _stretched(self, vectors: Vector, scales: Vector) -> Vector:
        """Vectors (K, P), each stretched by `scales` along the principal axes of C."""
        return (vectors @ self._basis * scales) @ self._basis.T

    def _learn(self, fitness: Vector) -> None:
        best_first = np.argsort(-fitness, kind="stable")
        y, z = self._y[best_first], self._z[best_first]
        chosen = self._weights[: self._mu]
        y_w, z_w = chosen @ y[: self._mu], chosen @ z[: self._mu]
        ratio = (self._next_sigma(z_w) / self._sigma) ** 2
        shrink, vectors, weights = self._next_covariance(y, y_w, z)
        local = self._stretched(vectors, 1 / self._scales)
        step_cov = ratio * (local.T * weights) @ local
        step_cov[np.diag_indices_from(step_cov)] += ratio * shrink - 1
        delta_cov = (
            ratio * ((vectors.T * weights) @ vectors + shrink * self._cov) - self._cov
        )  # of sigma^2 C, / sigma^2
        before = self._rate_mean.eta
        eta = self._rate_mean.adapt(z_w)
        self._mean = self._mean + eta * self._sigma * y_w
        self._cov = self._cov + self._rate_cov.adapt(step_cov / math.sqrt(2)) * delta_cov
        self._split_off_sigma()
        self._sigma *= before / eta  # the step size that suits the new rate

    def _next_sigma(self, z_w: Vector) -> float:
        """Cumulative step-size control."""
        cs = self._cs
        self._path_sigma = (1 - cs) * self._path_sigma + math.sqrt(cs * (2 - cs) * self._mu_eff) * z_w
        return self._sigma * math.exp(cs / self._ds * (float(np.linalg.norm(self._path_sigma)) / self._chi - 1))

    def _next_covariance(self, y: Vector, y_w: Vector, z: Vector) -> tuple[float, Vector, Vector]:
        """The next C as a C + sum_i w_i v_i v_i': a, v (N + 1, P), w (N + 1,)."""
        cc, warm = self._cc, 1 - (1 - self._cs) ** (2 * (self.generation + 2))
        is_steady = np.linalg.norm(self._path_sigma) / math.sqrt(warm) < (1.4 + 2 / (self.dimension + 1)) * self._chi
        h = float(is_steady)
        self._path_cov = (1 - cc) * self._path_cov + h * math.sqrt(cc * (2 - cc) * self._mu_eff) * y_w
        lengths = np.square(z).sum(1) + 1e-8
        weights = self._weights * np.where(self._weights >= 0, 1, self.dimension / lengths)
        shrink = 1 + self._c1 * (1 - h) * cc * (2 - cc) - self._c1 - self._cmu * self._weights.sum()
        return shrink, np.vstack([self._path_cov, y]), np.append(self._c1, self._cmu * weights)

    def _split_off_sigma(self) -> None:
        """Give the overall scale of C to sigma, and decompose C."""
        squares, self._basis = np.linalg.eigh((self._cov + self._cov.T) / 2)
        squares = np.maximum(squares, 1e-16)
        scale = math.exp(float(np.log(squares).mean()))
        self._cov, self._scales = self._cov / scale, np.sqrt(squares / scale)
        self._sigma *= math.sqrt(scale)

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean (P,)."""
        return self._mean.astype(np.float32)

    @property
    def sigma(self) -> float:
        """CMA-ES's global step size."""
        return self._sigma
