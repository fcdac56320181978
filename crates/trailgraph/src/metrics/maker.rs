//! Makes metrics in one registry.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use super::SECONDS;

/// Names and labels are constants, so making them cannot fail.
pub(super) struct Maker(pub(super) Registry);

impl Maker {
    pub(super) fn opts(name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace("trailgraph")
    }

    pub(super) fn register<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> M {
        let metric = metric.expect("metric names and labels are valid");
        self.0.register(Box::new(metric.clone())).expect("metric names are distinct");
        metric
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::with_opts(Self::opts(name, help)))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Self::opts(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::with_opts(Self::opts(name, help)))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, label: &str) -> GaugeVec {
        self.register(GaugeVec::new(Self::opts(name, help), &[label]))
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts::new(name, help).namespace("trailgraph").buckets(buckets.to_vec());
        self.register(Histogram::with_opts(opts))
    }

    pub(super) fn histograms(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).namespace("trailgraph").buckets(SECONDS.to_vec());
        self.register(HistogramVec::new(opts, &[label]))
    }
}
