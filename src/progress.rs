//! Progress on the screen: a moving line a stage on a terminal, a plain line each elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Progress;

/// Stages shown on standard error.
pub struct Screen {
    shown: Shown,
    stage: Mutex<(u32, String, Option<ProgressBar>)>,
}

enum Shown {
    Bars,
    Lines,
    Nothing,
}

impl Screen {
    /// Bars on a terminal, lines elsewhere, nothing if `quiet`.
    pub fn new(quiet: bool) -> Screen {
        let shown = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (false, true) => Shown::Bars,
            (false, false) => Shown::Lines,
        };
        Screen { shown, stage: Mutex::new((0, String::new(), None)) }
    }
}

impl Progress for Screen {
    fn begin(&self, stage: &str) {
        let mut current = self.stage.lock().expect("no stage panics while it is shown");
        current.0 += 1;
        current.1 = stage.to_string();
        if let Shown::Bars = self.shown {
            let style =
                ProgressStyle::with_template("{spinner} {prefix} {msg} {elapsed}").expect("a valid template");
            let bar = ProgressBar::new_spinner().with_style(style).with_prefix(format!("[{}]", current.0));
            bar.set_message(current.1.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            current.2 = Some(bar);
        }
    }

    fn end(&self, result: &str) {
        let mut current = self.stage.lock().expect("no stage panics while it is shown");
        if let Some(bar) = current.2.take() {
            bar.finish_and_clear();
        }
        if !matches!(self.shown, Shown::Nothing) {
            eprintln!("[{}] {}: {result}", current.0, current.1);
        }
    }
}
