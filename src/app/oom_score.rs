//! How soon the kernel ends this process when memory runs out: `oom-score-adj` and `oom-score-adj-values`.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::config::{OomScoreAdj, Settings};

/// What the kernel takes.
const RANGE: std::ops::RangeInclusive<i32> = -1000..=1000;

/// The score of this process.
#[derive(Debug)]
pub(super) struct OomScore {
    file: PathBuf,
    /// The score before it was first adjusted; relative values are added to it, and `no` restores it.
    before: Mutex<Option<i32>>,
}

impl Default for OomScore {
    fn default() -> OomScore {
        OomScore::at("/proc/self/oom_score_adj".into())
    }
}

impl OomScore {
    fn at(file: PathBuf) -> OomScore {
        OomScore { file, before: Mutex::new(None) }
    }

    /// Adjusts the score as the settings say. What the kernel refuses is logged and is an error.
    pub(super) fn apply(&self, settings: &Settings) -> io::Result<()> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = match (settings.oom_score_adj, *before) {
            (OomScoreAdj::No, None) => return Ok(()),
            (OomScoreAdj::No, Some(score)) => score,
            (how, _) => {
                // The first value is the one of a master; there are no saving processes here.
                let [value, ..] = settings.oom_score_adj_values;
                let base = self.base(&mut before)?;
                if how == OomScoreAdj::Relative { base + value } else { value }
            }
        };
        let wanted = wanted.clamp(*RANGE.start(), *RANGE.end());
        std::fs::write(&self.file, wanted.to_string())
            .inspect_err(|error| tracing::warn!("Unable to write oom_score_adj: {error}"))?;
        if settings.oom_score_adj == OomScoreAdj::No {
            *before = None;
        }
        Ok(())
    }

    fn base(&self, before: &mut Option<i32>) -> io::Result<i32> {
        if let Some(score) = *before {
            return Ok(score);
        }
        let text = std::fs::read_to_string(&self.file)
            .inspect_err(|error| tracing::warn!("Unable to read oom_score_adj: {error}"))?;
        let score = text.trim().parse().map_err(io::Error::other)?;
        *before = Some(score);
        Ok(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_follows_the_settings() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("oom_score_adj");
        std::fs::write(&file, "7\n").expect("a score");
        let score = OomScore::at(file.clone());
        let mut settings = Settings::default();
        for (how, values, expected) in [
            (OomScoreAdj::No, [1, 2, 3], "7\n"),
            (OomScoreAdj::Relative, [1, 2, 3], "8"),
            (OomScoreAdj::Relative, [100, 2, 3], "107"),
            (OomScoreAdj::Absolute, [5, 2, 3], "5"),
            (OomScoreAdj::Relative, [-2000, 2, 3], "-1000"),
            (OomScoreAdj::Relative, [2000, 2, 3], "1000"),
            (OomScoreAdj::No, [2000, 2, 3], "7"),
        ] {
            (settings.oom_score_adj, settings.oom_score_adj_values) = (how, values);
            score.apply(&settings).expect("written");
            assert_eq!(std::fs::read_to_string(&file).expect("read"), expected, "{how:?} {values:?}");
        }
        // What was set by others since is where the next adjustment begins.
        std::fs::write(&file, "20").expect("a score");
        (settings.oom_score_adj, settings.oom_score_adj_values) = (OomScoreAdj::Relative, [1, 2, 3]);
        score.apply(&settings).expect("written");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "21");
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        let score = OomScore::at("/nowhere/oom_score_adj".into());
        let mut settings = Settings::default();
        score.apply(&settings).expect("nothing to do");
        settings.oom_score_adj = OomScoreAdj::Absolute;
        score.apply(&settings).expect_err("no such file");
    }
}
