//! How long something took, many times.

use hdrhistogram::Histogram;

/// Durations in nanoseconds.
pub type Latencies = Histogram<u64>;

/// No durations yet. Three digits are kept; an hour is the longest that is told apart.
pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are in order")
}

/// The 10th percentile, the median, the 99th percentile and the maximum in microseconds.
pub fn micros(taken: &Latencies) -> [f64; 4] {
    let [p10, p50, p99] = [0.1, 0.5, 0.99].map(|quantile| taken.value_at_quantile(quantile));
    [p10, p50, p99, taken.max()].map(|nanos| nanos as f64 / 1e3)
}
