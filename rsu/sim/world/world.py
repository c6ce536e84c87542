"""The truth: one junction with its traffic, walkers and lights, in steps of fixed length.

A site map, options, a seed and a start go in. `advance` takes the world forward; between two steps
every motion is exact, so that sensors may look at any time within the present step. Sensor models
see the world only through `Scene`; scoring sees it as `Truth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np

from rsu.config.simulation import SimulationOptions
from rsu.schema.priority import SignalCommand
from rsu.schema.reports import Truth, TruthLight, TruthObject, TruthWeather
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import SignalState
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.sim.scenario.model import AnyAction
from rsu.sim.world.actuated import ActuatedPlan
from rsu.sim.world.incidents import Incidents
from rsu.sim.world.movers import Bodies
from rsu.sim.world.pedestrians import build_pedestrians
from rsu.sim.world.roads import build_roads
from rsu.sim.world.scene import CLEAR_DAY, Asking, Scene, Weather, stream
from rsu.sim.world.signals import Signals, build_plan, build_ring
from rsu.sim.world.stage import Stage
from rsu.sim.world.traffic import STEP_NS, MakeTraffic, Traffic
from rsu.site.lanes import SiteMap


class World:
    """Traffic at one signalised junction; deterministic in (map, options, seed, start)."""

    def __init__(
        self,
        site_map: SiteMap,
        options: SimulationOptions,
        seed: int,
        start_ns: int,
        *,
        script: Sequence[AnyAction] = (),
        script_ns: int | None = None,
        weather: Weather = CLEAR_DAY,
        make_traffic: MakeTraffic = Traffic.build,
    ) -> None:
        """An empty road at `start_ns` UTC; raises SimulationError for a map that makes no world.

        Times of the `script` count from `script_ns` (default: `start_ns`). `make_traffic` decides
        who drives (`rsu.sim.world.engine`).
        """
        self.site_map = site_map
        self.roads = build_roads(site_map)
        plan = build_plan(self.roads, options.cycle_s, start_ns)
        self.plan: Signals = plan
        if options.signals == "actuated" and plan.groups:
            self.plan = ActuatedPlan(build_ring(self.roads, options.cycle_s), plan, STEP_NS)
        ids = count(1)
        self._now_ns = start_ns
        self.traffic = make_traffic(
            self.roads, self.plan, options.vehicles_per_hour, stream(seed, "traffic"),
            lambda: next(ids), start_ns,
        )  # fmt: skip
        self.pedestrians = build_pedestrians(
            site_map, self.plan, options.pedestrians_per_hour, stream(seed, "pedestrians"),
            lambda: next(ids),
        )  # fmt: skip
        stage = Stage(
            site_map, self.traffic, self.pedestrians, stream(seed, "incidents"),
            lambda: next(ids), weather=weather,
        )  # fmt: skip
        self._stage = stage
        self.incidents = Incidents(
            script, stage, start_ns if script_ns is None else script_ns, seed
        )
        self._scene: Scene | None = None
        self._begin()

    @property
    def now_ns(self) -> int:
        """Time of the last step, ns UTC."""
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        """Take every step up to `to_ns`; a time before the last step changes nothing."""
        while self._now_ns + STEP_NS <= to_ns:
            self._now_ns += STEP_NS
            dt = STEP_NS / NS_PER_S
            self.traffic.move(dt)
            self.pedestrians.move(dt)
            for mover in self._stage.movers:
                mover.move(self._now_ns, dt)
            self._begin()

    def scene(self, time_ns: int) -> Scene:
        """Everyone at a time within the present step; ValueError outside it."""
        if self._scene is not None and self._scene.time_ns == time_ns:
            return self._scene
        tau = (time_ns - self._now_ns) / NS_PER_S
        if not 0.0 <= tau <= STEP_NS / NS_PER_S:
            raise ValueError(f"the world stands at {self._now_ns} ns, not at {time_ns} ns")
        rows: list[tuple[float, ...]] = []
        ids: list[int] = []
        classes: list[ObjectClass] = []
        roles: list[str] = []
        for vehicle, *pose in self.traffic.bodies(tau):
            size = vehicle.size
            rows.append((*pose, size.length, size.width, size.height))
            ids.append(vehicle.id)
            classes.append(vehicle.object_class)
            roles.append(vehicle.role)
        for walker in self.pedestrians.walkers:
            s = walker.s + walker.speed * tau
            size = walker.size
            rows.append((*walker.path.pose(s), walker.speed, size.length, size.width, size.height))
            ids.append(walker.id)
            classes.append(walker.object_class)
            roles.append("")
        for mover in self._stage.movers:
            size = mover.size
            rows.append((*mover.place(tau), mover.speed, size.length, size.width, size.height))
            ids.append(mover.id)
            classes.append(mover.object_class)
            roles.append(mover.role)
        table = np.array(rows, dtype=np.float64).reshape(-1, 7)
        self._scene = Scene(
            time_ns=time_ns,
            ids=tuple(ids),
            classes=tuple(classes),
            position=table[:, 0:2],
            heading=table[:, 2],
            speed=table[:, 3],
            size=table[:, 4:7],
            roles=tuple(roles),
            weather=self._stage.weather,
            lights={group: self.plan.light(group, time_ns) for group in self.plan.groups},
            water=dict(self._stage.water),
            asking={
                vehicle.id: Asking(
                    vehicle.asks,
                    vehicle.route.entry,
                    vehicle.route.lanes[-1],
                    vehicle.route.stop - vehicle.after(tau)[0],
                )
                for vehicle in self.traffic.vehicles
                # Who stands at a bus stop asks when it goes on.
                if vehicle.asks != "none" and vehicle.halt is None
            },
        )
        return self._scene

    def truth(self, time_ns: int) -> Truth:
        """Everyone at a time within the present step, for scoring."""
        scene = self.scene(time_ns)
        weather = scene.weather
        return Truth(
            time_ns=time_ns,
            events=tuple(self.incidents.events()),
            bays=tuple(self.incidents.bays()),
            lights=tuple(
                TruthLight(group=group, light=light) for group, light in scene.lights.items()
            ),
            weather=TruthWeather(
                light=weather.light, rain=weather.rain, visibility=weather.visibility
            ),
            objects=tuple(
                TruthObject(
                    id=identity,
                    object_class=object_class,
                    position=Vec2(*position),
                    heading=heading,
                    speed=speed,
                    size=Size(*size),
                    role=role,
                )
                for identity, object_class, position, heading, speed, size, role in zip(
                    scene.ids,
                    scene.classes,
                    scene.position.tolist(),
                    scene.heading.tolist(),
                    scene.speed.tolist(),
                    scene.size.tolist(),
                    scene.roles,
                    strict=True,
                )
            ),
        )

    def signal_state(
        self, time_ns: int, controller: str = "sim", intersection: int = 0
    ) -> SignalState:
        """What the signal controller reports at any time."""
        return self.plan.state(controller, intersection, time_ns)

    def command(self, command: SignalCommand, heard_ns: int) -> None:
        """A roadside unit's wish arrives at the controller; it counts from the next step on."""
        self.plan.command(command, heard_ns)

    def close(self) -> None:
        """Nobody moves any more; an engine that is one of a kind may be begun again."""
        self.traffic.close()

    def _begin(self) -> None:
        """Let newcomers in and let everyone decide what to do until the next step."""
        dt = STEP_NS / NS_PER_S
        self.traffic.arrive(self._now_ns)
        self.pedestrians.arrive(self._now_ns)
        self.incidents.act(self._now_ns)
        self.plan.decide(self._now_ns, self.traffic.approaching())
        self.traffic.decide(self._now_ns, dt, self.pedestrians.on_crosswalks())
        self.pedestrians.decide(self._now_ns, dt, self.traffic.claimed())
        if self._stage.movers:
            bodies = self._bodies()
            for mover in self._stage.movers:
                mover.decide(dt, bodies)
        self._scene = None

    def _bodies(self) -> Bodies:
        """Everyone as movers see them: a look at the present scene, before anybody moves on."""
        self._scene = None
        scene = self.scene(self._now_ns)
        return Bodies(
            [
                (identity, x, y, length / 2, width)
                for identity, (x, y), (length, width, _) in zip(
                    scene.ids, scene.position.tolist(), scene.size.tolist(), strict=True
                )
            ]
        )
