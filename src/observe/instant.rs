//! Rates of the last 1.6 seconds: what INFO calls instantaneous.
//!
//! As Redis does it: every 100 ms the growth of a counter since the last look becomes a rate
//! a second, the last 16 of these are kept, and the figure is their mean. So a server that
//! has just started or been reset rises to its true rate within 1.6 seconds.

/// How many samples the mean is taken over.
const SAMPLES: usize = 16;
/// How far apart samples are.
const PERIOD_NS: u64 = 100_000_000;

/// The rates that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Commands a second.
    pub commands_per_sec: u64,
    /// Bytes read a second. INFO shows this divided by 1,024.
    pub input_bytes_per_sec: u64,
    /// Bytes written a second.
    pub output_bytes_per_sec: u64,
}

/// One look at the counters that have a rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// When the last sample was taken, and what the counters said.
    last: Option<(u64, Reading)>,
    samples: [Rates; SAMPLES],
    next: usize,
}

impl Sampler {
    /// Whether a sample is due at this monotonic time.
    pub fn due(&self, now_ns: u64) -> bool {
        self.last.is_none_or(|(then, _)| now_ns.saturating_sub(then) >= PERIOD_NS)
    }

    pub fn sample(&mut self, now_ns: u64, now: Reading) {
        if let Some((then_ns, then)) = self.last {
            let millis = now_ns.saturating_sub(then_ns) / 1_000_000;
            let rate = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1000) / millis.max(1);
            self.samples[self.next] = Rates {
                commands_per_sec: rate(now.commands, then.commands),
                input_bytes_per_sec: rate(now.input_bytes, then.input_bytes),
                output_bytes_per_sec: rate(now.output_bytes, then.output_bytes),
            };
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = Some((now_ns, now));
    }

    pub fn mean(&self) -> Rates {
        let mean = |of: fn(&Rates) -> u64| self.samples.iter().map(of).sum::<u64>() / SAMPLES as u64;
        Rates {
            commands_per_sec: mean(|rates| rates.commands_per_sec),
            input_bytes_per_sec: mean(|rates| rates.input_bytes_per_sec),
            output_bytes_per_sec: mean(|rates| rates.output_bytes_per_sec),
        }
    }

    /// Starts anew; the counters begin at zero again.
    pub fn reset(&mut self) {
        let last = self.last.map(|(then, _)| (then, Reading::default()));
        *self = Self { last, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_sixteen_samples() {
        let mut sampler = Sampler::default();
        for step in 0..=16_u64 {
            let now_ns = step * PERIOD_NS;
            assert!(sampler.due(now_ns));
            sampler.sample(
                now_ns,
                Reading { commands: step * 50, input_bytes: step * 4096, output_bytes: step },
            );
            assert!(!sampler.due(now_ns + PERIOD_NS - 1));
        }
        let rates = Rates { commands_per_sec: 500, input_bytes_per_sec: 40_960, output_bytes_per_sec: 10 };
        assert_eq!(sampler.mean(), rates);
    }

    #[test]
    fn a_rate_fades_when_nothing_happens() {
        let mut sampler = Sampler::default();
        sampler.sample(0, Reading::default());
        sampler.sample(PERIOD_NS, Reading { commands: 160, ..Reading::default() });
        assert_eq!(sampler.mean().commands_per_sec, 100);
        for step in 2..18 {
            sampler.sample(step * PERIOD_NS, Reading { commands: 160, ..Reading::default() });
        }
        assert_eq!(sampler.mean().commands_per_sec, 0);
    }

    #[test]
    fn a_reset_starts_at_zero() {
        let mut sampler = Sampler::default();
        sampler.sample(0, Reading::default());
        sampler.sample(PERIOD_NS, Reading { commands: 1600, ..Reading::default() });
        sampler.reset();
        assert_eq!(sampler.mean(), Rates::default());
        sampler.sample(2 * PERIOD_NS, Reading { commands: 16, ..Reading::default() });
        assert_eq!(sampler.mean().commands_per_sec, 10);
    }
}
