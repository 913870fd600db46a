"""Samples under their name, with the prefix that all of ours have."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "recorder_station_"


def gauge(name: str, help: str, value: float | None) -> Metric:
    """Without a sample where nobody knows: silence is no zero."""
    family = GaugeMetricFamily(PREFIX + name, help)
    if value is not None:
        family.add_metric((), value)
    return family


def gauges(name: str, help: str, label: str, values: Mapping[str, float | None]) -> Metric:
    return labelled(name, help, (label,), {(key,): value for key, value in values.items()})


def labelled(
    name: str, help: str, labels: Iterable[str], values: Mapping[tuple[str, ...], float | None]
) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, help, labels=list(labels))
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family


def counter(name: str, help: str, value: float | None) -> Metric:
    """`name` without `_total`."""
    family = CounterMetricFamily(PREFIX + name, help)
    if value is not None:
        family.add_metric((), value)
    return family
