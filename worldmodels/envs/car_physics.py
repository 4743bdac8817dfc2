"""The car of CarRacing with a faster clockwork: bit for bit the same motion."""

import math
from typing import Any

from gymnasium.envs.box2d.car_dynamics import (
    ENGINE_POWER,
    FRICTION_LIMIT,
    SIZE,
    WHEEL_MOMENT_OF_INERTIA,
    Car,
)

GRASS_FRICTION = FRICTION_LIMIT * 0.6
BRAKE_POWER = 15
"""Radians per second that full braking takes off a wheel each step."""

BLOCKING = 0.9
"""Braking that blocks the wheels."""

STIFFNESS = 205000 * SIZE * SIZE
"""Force per unit of slip; stock's own coefficient against oscillation."""

LONGEST_MARK = 30
"""Points of a skid mark, after which another begins."""


class FastCar(Car):
    """Stock's car, computed with Python's floats.

    Stock computes with NumPy scalars, whose operations cost many times as much, and asks Box2D twice for
    one rotation. Here each arithmetic operation is the same, in the same order, on the same 64 bits. An
    existing car becomes a fast one by `car.__class__ = FastCar`.
    """

    def gas(self, gas: float) -> None:
        """Set the rear wheels' throttle to `gas`, cut to 0..1: it opens gradually and closes at once."""
        gas = min(max(float(gas), 0.0), 1.0)
        for wheel in self.wheels[2:4]:
            wheel.gas += min(gas - wheel.gas, 0.1)

    def brake(self, b: float) -> None:
        """Brake all wheels with 0..1; from 0.9 on they block."""
        super().brake(float(b))

    def steer(self, s: float) -> None:
        """Aim the front wheels at -1..1."""
        super().steer(float(s))

    def step(self, dt: float) -> None:
        """Apply to every wheel the forces of `dt` seconds."""
        for wheel in self.wheels:
            _aim(wheel)
            _drive(wheel, dt)
            self.fuel_spent += dt * ENGINE_POWER * wheel.gas
            self._push(wheel, dt)

    def _push(self, wheel: Any, dt: float) -> None:
        """Let the road hold the tread: friction up to its limit, and a skid mark beyond twice the limit."""
        forward_x, forward_y = wheel.GetWorldVector((0, 1)).tuple
        side_x, side_y = forward_y, -forward_x  # exactly what Box2D makes of (1, 0)
        velocity_x, velocity_y = wheel.linearVelocity.tuple
        forward_speed = forward_x * velocity_x + forward_y * velocity_y
        side_speed = side_x * velocity_x + side_y * velocity_y

        forward_force = (-forward_speed + wheel.omega * wheel.wheel_rad) * STIFFNESS
        side_force = -side_speed * STIFFNESS
        force = math.sqrt(forward_force * forward_force + side_force * side_force)

        limit = GRASS_FRICTION
        for tile in wheel.tiles:
            limit = max(limit, FRICTION_LIMIT * tile.road_friction)
        if force > 2.0 * limit:
            self._skid(wheel, on_grass=not wheel.tiles)
        else:
            wheel.skid_start = wheel.skid_particle = None
        if force > limit:
            forward_force = forward_force / force * limit
            side_force = side_force / force * limit

        wheel.omega -= dt * forward_force * wheel.wheel_rad / WHEEL_MOMENT_OF_INERTIA
        push_x = side_force * side_x + forward_force * forward_x
        push_y = side_force * side_y + forward_force * forward_y
        wheel.ApplyForceToCenter((push_x, push_y), True)

    def _skid(self, wheel: Any, on_grass: bool) -> None:
        """Lengthen the wheel's skid mark, or begin one in the second step of it, for `render()` to show."""
        mark = wheel.skid_particle
        if mark and mark.grass == on_grass and len(mark.poly) < LONGEST_MARK:
            mark.poly.append(wheel.position.tuple)
        elif wheel.skid_start is None:
            wheel.skid_start = wheel.position
        else:
            wheel.skid_particle = self._create_particle(wheel.skid_start, wheel.position, on_grass)
            wheel.skid_start = None


def _aim(wheel: Any) -> None:
    """Have the joint's motor turn the wheel towards where it is steered, at 3 radians a second at most."""
    joint = wheel.joint
    away = wheel.steer - joint.angle
    joint.motorSpeed = math.copysign(min(50.0 * abs(away), 3.0), away)


def _drive(wheel: Any, dt: float) -> None:
    """Let engine and brakes change how fast the wheel turns."""
    omega = wheel.omega + dt * ENGINE_POWER * wheel.gas / WHEEL_MOMENT_OF_INERTIA / (abs(wheel.omega) + 5.0)
    if wheel.brake >= BLOCKING:
        omega = 0.0
    elif wheel.brake > 0:
        omega -= math.copysign(min(BRAKE_POWER * wheel.brake, abs(omega)), omega)
    wheel.omega = omega
    wheel.phase += omega * dt
