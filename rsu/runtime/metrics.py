"""Numbers of one process: counters, gauges and recent latency quantiles.

In: `count`, `gauge`, `observe` calls from hosts. Out: a `Metrics` message about once a second, and
(in the supervisor) the Prometheus text of all processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from rsu.schema.health import Metric, MetricKind, Metrics

Labels = tuple[tuple[str, str], ...]
QUANTILES = (0.5, 0.99)
WINDOW = 1024
"""Observations kept per quantile series: 100 s at the 10 Hz of a safety message."""


class Meter:
    """Metrics of one process. Names follow Prometheus' conventions (base units, `_total`)."""

    def __init__(self, process: str) -> None:
        self.process = process
        self._counters: dict[tuple[str, Labels], float] = {}
        self._gauges: dict[tuple[str, Labels], float] = {}
        self._windows: dict[tuple[str, Labels], deque[float]] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = (name, tuple(sorted(labels.items())))
        self._counters[key] = self._counters.get(key, 0) + amount

    def total(self, name: str, amount: float, **labels: str) -> None:
        """Set a counter to a total that something else keeps."""
        self._counters[(name, tuple(sorted(labels.items())))] = amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._gauges[(name, tuple(sorted(labels.items())))] = value

    def forget(self, name: str, **labels: str) -> None:
        """A gauge that is unknown now is not told."""
        self._gauges.pop((name, tuple(sorted(labels.items()))), None)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one observation, e.g. a latency in seconds."""
        key = (name, tuple(sorted(labels.items())))
        self._windows.setdefault(key, deque(maxlen=WINDOW)).append(value)

    def snapshot(self, time_ns: int) -> Metrics:
        """All numbers as one message, in a fixed order."""
        return Metrics(
            process=self.process, time_ns=time_ns, samples=tuple(self._samples())
        )  # fmt: skip

    def _samples(self) -> Iterator[Metric]:
        for (name, labels), value in sorted(self._counters.items()):
            yield Metric(name=name, kind=MetricKind.COUNTER, value=value, labels=dict(labels))
        for (name, labels), value in sorted(self._gauges.items()):
            yield Metric(name=name, kind=MetricKind.GAUGE, value=value, labels=dict(labels))
        for (name, labels), window in sorted(self._windows.items()):
            for quantile in QUANTILES:
                yield Metric(
                    name=name,
                    kind=MetricKind.GAUGE,
                    value=quantile_of(window, quantile),
                    labels={**dict(labels), "quantile": f"{quantile:g}"},
                )


def quantile_of(values: Iterable[float], quantile: float) -> float:
    """Nearest-rank quantile (0 < quantile ≤ 1); 0.0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    rank = max(1, -(-quantile * len(ordered) // 1))
    return ordered[int(rank) - 1]


def prometheus_text(processes: Iterable[Metrics]) -> bytes:
    """Exposition text of several processes' metrics, each sample labelled with its process."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    families: dict[str, list[tuple[str, Metric]]] = {}
    for metrics in processes:
        for sample in metrics.samples:
            families.setdefault(sample.name, []).append((metrics.process, sample))

    class _Latest(Collector):
        def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
            for name, samples in sorted(families.items()):
                label_names = sorted({label for _, sample in samples for label in sample.labels})
                make = (
                    CounterMetricFamily
                    if samples[0][1].kind is MetricKind.COUNTER
                    else GaugeMetricFamily
                )
                family = make(
                    f"rsu_{name}", name.replace("_", " "), labels=["process", *label_names]
                )
                for process, sample in samples:
                    values = [sample.labels.get(label, "") for label in label_names]
                    family.add_metric([process, *values], sample.value)
                yield family

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Latest())
    return generate_latest(registry)
