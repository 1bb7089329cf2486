//! What Prometheus' own libraries expose about a process, under the same names; read from `/proc` when somebody asks.
//!
//! What cannot be read is left out: nothing depends on it.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Clock ticks a second in `/proc`: the kernel shows every process this number.
const TICKS: f64 = 100.0;

/// Registers the metrics of this process.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            let help = "Memory that is resident, in bytes";
            let metric = encoder.encode_descriptor(
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        if let Some((seconds, started)) = times() {
            let help = "User and system CPU time that was spent, in seconds";
            let metric =
                encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
            ConstCounter::new(seconds).encode(metric)?;
            if let Some(started) = started {
                let help = "When the process was started, in seconds since 1970";
                let metric = encoder.encode_descriptor(
                    "process_start_time",
                    help,
                    Some(&Unit::Seconds),
                    MetricType::Gauge,
                )?;
                ConstGauge::new(started).encode(metric)?;
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let metric = encoder.encode_descriptor(
                "process_open_fds",
                "Open file descriptors",
                None,
                MetricType::Gauge,
            )?;
            ConstGauge::new(i64::try_from(open.count()).unwrap_or(i64::MAX)).encode(metric)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<i64>().ok()?.saturating_mul(1024))
}

/// CPU seconds, and when the process was started.
fn times() -> Option<(f64, Option<f64>)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold anything.
    let fields: Vec<f64> =
        stat.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
    let cpu = (fields.get(11)? + fields.get(12)?) / TICKS;
    let booted = fs::read_to_string("/proc/stat").ok().and_then(|stat| {
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()
    });
    Some((cpu, booted.zip(fields.get(19)).map(|(booted, ticks)| booted + ticks / TICKS)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use prometheus_client::encoding::prometheus_text::encode;

    use super::*;

    #[test]
    fn documented_metrics_of_the_process_are_exposed() {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let exposed: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let documented: Vec<&str> = include_str!("../../docs/operating.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `process_"))
            .filter_map(|rest| rest.split('`').next())
            .collect();
        assert_eq!(exposed, documented.iter().map(|name| format!("process_{name}")).collect::<Vec<_>>());
        let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        assert!(resident.unwrap().parse::<f64>().unwrap() > 1e6, "{text}");
        let started = text.lines().find_map(|line| line.strip_prefix("process_start_time_seconds "));
        assert!(started.unwrap().parse::<f64>().unwrap() > 1.6e9, "{text}");
    }
}
