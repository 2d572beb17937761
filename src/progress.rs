//! Progress on the screen: a bar of stages on a terminal, a plain line each elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Progress;

/// Stages shown on standard error: the bar says how many are done and how long the present one takes.
pub struct Screen {
    quiet: bool,
    terminal: bool,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    done: u64,
    expected: u64,
    stage: String,
    since: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// A bar on a terminal, lines elsewhere, nothing if `quiet`.
    pub fn new(quiet: bool) -> Screen {
        Screen { quiet, terminal: std::io::stderr().is_terminal(), now: Mutex::default() }
    }
}

impl Progress for Screen {
    fn expect(&self, stages: u64) {
        let mut now = self.now.lock().expect("no stage panics while it is shown");
        now.expected = now.done + stages;
    }

    fn begin(&self, stage: &str) {
        let mut now = self.now.lock().expect("no stage panics while it is shown");
        now.stage = stage.to_string();
        now.since = Some(Instant::now());
        if self.terminal && !self.quiet {
            let style = ProgressStyle::with_template("{spinner} [{bar:24}] {pos}/{len} {msg} {elapsed}")
                .expect("a valid template")
                .progress_chars("=> ");
            let bar = ProgressBar::new(now.expected.max(now.done + 1)).with_style(style);
            bar.set_position(now.done);
            bar.set_message(now.stage.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            now.bar = Some(bar);
        }
    }

    fn end(&self, result: &str) {
        let mut now = self.now.lock().expect("no stage panics while it is shown");
        now.done += 1;
        if let Some(bar) = now.bar.take() {
            bar.finish_and_clear();
        }
        if !self.quiet {
            let took = now.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
            eprintln!("[{}] {}: {result} ({took:.2} s)", now.done, now.stage);
        }
    }
}
