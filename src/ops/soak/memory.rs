//! What worker and gateway hold on to over time: memory and open files, once a second, and how steeply memory rises.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::now;
use crate::bench::usage;

/// The samples.
pub struct Memory {
    worker: u64,
    gateway: Rc<Cell<u64>>,
    started: Instant,
    samples: RefCell<Vec<Sample>>,
}

/// One second.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at_s: f64,
    /// Megabytes of worker and gateway.
    pub mb: [f64; 2],
    /// Open files of both, connections among them.
    pub files: [usize; 2],
}

/// How the two are called.
pub const NAMES: [&str; 2] = ["the worker", "the gateway"];

impl Memory {
    /// Of these processes; the gateway's may change.
    pub fn new(worker: u64, gateway: Rc<Cell<u64>>) -> Self {
        Self { worker, gateway, started: now(), samples: RefCell::default() }
    }

    /// Watches until then, and calls `tick` each time.
    pub async fn sample(&self, until: Instant, mut tick: impl FnMut(Sample)) -> anyhow::Result<()> {
        while now() < until {
            if let Some(sample) = self.now() {
                self.samples.borrow_mut().push(sample);
                tick(sample);
            }
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// As it is; `None` while one of them is gone, or where no `/proc` tells.
    pub fn now(&self) -> Option<Sample> {
        let pids = [self.worker, self.gateway.get()];
        let [worker, gateway] = pids.map(|pid| Some((usage::of(pid)?.memory_mb, files(pid)?)));
        let (worker, gateway) = (worker?, gateway?);
        let at_s = now().duration_since(self.started).as_secs_f64();
        Some(Sample { at_s, mb: [worker.0, gateway.0], files: [worker.1, gateway.1] })
    }

    /// Megabytes a minute by which each of the two rose over the second half; `None` for too few samples to say.
    pub fn slopes(&self) -> Option<[f64; 2]> {
        let samples = self.second_half();
        (samples.len() >= 60).then(|| [0, 1].map(|which| slope(&samples, which)))
    }

    /// How long the second half is.
    pub fn second_half_minutes(&self) -> f64 {
        let samples = self.second_half();
        let ends = samples.first().zip(samples.last());
        ends.map_or(0.0, |(first, last)| (last.at_s - first.at_s) / 60.0)
    }

    /// Most files that each of the two had open over the second half.
    pub fn most_files(&self) -> [usize; 2] {
        let samples = self.second_half();
        let most = |files: fn(&Sample) -> usize| samples.iter().map(files).max().unwrap_or_default();
        [most(|sample| sample.files[0]), most(|sample| sample.files[1])]
    }

    fn second_half(&self) -> Vec<Sample> {
        let samples = self.samples.borrow();
        samples.iter().skip(samples.len() / 2).copied().collect()
    }

    /// Both over time, as SVG.
    pub fn plot(&self) -> String {
        plot(&self.samples.borrow())
    }
}

/// Of a process itself.
fn files(pid: u64) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Of the line that fits best (least squares), megabytes a minute.
fn slope(samples: &[Sample], which: usize) -> f64 {
    let points = || samples.iter().filter_map(|sample| Some((sample.at_s / 60.0, *sample.mb.get(which)?)));
    let count = points().map(|_| 1.0).sum::<f64>();
    let (minutes, mb) = (points().map(|(x, _)| x).sum::<f64>(), points().map(|(_, y)| y).sum::<f64>());
    let (middle, height) = (minutes / count, mb / count);
    let both = points().map(|(x, y)| (x - middle) * (y - height)).sum::<f64>();
    let spread = points().map(|(x, _)| (x - middle).powi(2)).sum::<f64>();
    if spread > 0.0 { both / spread } else { 0.0 }
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;

fn plot(samples: &[Sample]) -> String {
    let last = samples.last().map_or(1.0, |sample| sample.at_s).max(1.0);
    let most = samples.iter().flat_map(|sample| sample.mb).fold(1.0, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 380\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\" role=\"img\">\n<title>Memory while soaking</title>\n<style>text {{ fill: #1a1a1a }} polyline {{ \
         fill: none; stroke: #2f6fb3; stroke-width: 1.5 }} .ours {{ stroke: #c2571a }} @media (prefers-color-scheme: dark) \
         {{ text {{ fill: #eee }} }}</style>\n<text x=\"20\" y=\"24\" font-size=\"16\">Memory while soaking (MB): the worker \
         (orange) up to {most:.0}, the gateway (blue)</text>\n<text x=\"20\" y=\"370\">0</text>\
         <text x=\"880\" y=\"370\" text-anchor=\"end\">{:.1} minutes</text>\n",
        last / 60.0
    );
    for (which, class) in [(0, " class=\"ours\""), (1, "")] {
        let points = samples.iter().filter_map(|sample| {
            let mb = sample.mb.get(which)?;
            Some(format!("{:.1},{:.1}", 20.0 + sample.at_s / last * WIDTH, 350.0 - mb / most * HEIGHT))
        });
        // Writing to a string does not fail.
        let _ = writeln!(svg, "<polyline{class} points=\"{}\"/>", points.collect::<Vec<_>>().join(" "));
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rises: f64) -> Vec<Sample> {
        let sample = |second: u32| {
            let at_s = f64::from(second);
            let sawtooth = f64::from(second % 7);
            Sample { at_s, mb: [100.0 + sawtooth + at_s / 60.0 * rises, 20.0], files: [10, 10] }
        };
        (0..420).map(sample).collect()
    }

    #[test]
    fn what_rises_is_told_from_what_goes_up_and_down() {
        for rises in [0.0, 0.5, 4.0] {
            let measured = slope(&samples(rises), 0);
            assert!((measured - rises).abs() < 0.05, "{measured} instead of {rises}");
        }
        assert_eq!(slope(&samples(4.0), 1), 0.0);
        assert_eq!(slope(&[], 0), 0.0);
    }

    #[test]
    fn the_plot_has_a_line_each_within_its_frame() {
        let svg = plot(&samples(1.0));
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("7.0 minutes") && !svg.contains("NaN") && !svg.contains("inf"));
        assert!(!plot(&[]).contains("NaN"));
    }
}
