//! Tones that last: special information tones, fax, the beep of a voicemail.

use std::collections::VecDeque;

use super::sound::Sound;

/// A piece of the tracker's time: 10 ms.
pub(crate) const HOP_MS: u32 = 10;
/// A tone stays within this of its mean. A SIT's neighbours are 400 Hz away; a sung vowel wanders further.
const DRIFT_HZ: f32 = 18.0;
/// And within this of its mean level: 6 dB takes a repeated packet of a loss concealment.
const DRIFT_DB: f32 = 6.0;
/// How steady a beep is on average; what 12 dB of noise and the half-filled blocks at its ends do is less.
const STEADY_HZ: f32 = 5.0;
const STEADY_DB: f32 = 1.3;
/// Blocks without the tone that do not end it: one lost packet of 20 ms spoils four blocks.
const MISSES: u32 = 4;
/// Runs that are remembered: a SIT has three.
const REMEMBERED: usize = 3;

/// The special information tones of ITU-T E.180 §7 before an announcement, with the meanings of North America's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SitKind {
    /// The number was changed or is out of service.
    Intercept,
    /// There is no such number.
    VacantCode,
    /// The network could not do it.
    Reorder,
    /// No line was free.
    NoCircuit,
    /// The tones of E.180 without a variant's meaning: the call cannot be completed.
    Unspecified,
}

/// A tone that has ended, or one that is long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    Sit(SitKind),
    FaxCalling,
    FaxAnswering,
    Beep { hz: u16, ms: u16 },
}

#[derive(Clone, Copy, Debug)]
struct Run {
    hz: f32,
    dbov: f32,
    /// The first and the last block with it, in hops.
    begin: u32,
    last: u32,
    blocks: u32,
    /// Mean distances from the mean so far: how steady it is.
    off_hz: f32,
    off_db: f32,
}

impl Run {
    fn new(hz: f32, dbov: f32, hop: u32) -> Run {
        Run { hz, dbov, begin: hop, last: hop, blocks: 1, off_hz: 0.0, off_db: 0.0 }
    }

    /// Another block with it.
    fn add(&mut self, hz: f32, dbov: f32, hop: u32) {
        self.blocks += 1;
        let weight = 1.0 / self.blocks.min(20) as f32;
        self.off_hz += ((hz - self.hz).abs() - self.off_hz) * weight;
        self.off_db += ((dbov - self.dbov).abs() - self.off_db) * weight;
        self.hz += (hz - self.hz) * weight;
        self.dbov += (dbov - self.dbov) * weight;
        self.last = hop;
    }

    /// A machine's tone and not a vowel that is held.
    fn is_steady(&self) -> bool {
        self.off_hz <= STEADY_HZ && self.off_db <= STEADY_DB
    }

    /// A block of 20 ms shows a tone when about half of it is in, at both ends: the hops counted are its length.
    fn ms(&self) -> u32 {
        (self.last - self.begin + 1) * HOP_MS
    }

    fn near(&self, hz: f32, tolerance: f32) -> bool {
        (self.hz - hz).abs() <= tolerance
    }
}

/// Follows single tones.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    hop: u32,
    run: Option<Run>,
    ended: VecDeque<Run>,
    /// Calling tones of a fax heard so far, and whether its answering tone was told.
    calling: u8,
    answering: bool,
}

impl Runs {
    /// Takes what a block is; `spoke` when there was speech before. Gives what ended or is long enough with it.
    pub(crate) fn push(&mut self, sound: Sound, dbov: f32, spoke: bool) -> Option<Lasting> {
        self.hop += 1;
        let hop = self.hop;
        let single = match sound {
            Sound::Single { hz, pure: true } => Some(hz),
            _ => None,
        };
        match (&mut self.run, single) {
            (Some(run), Some(hz))
                if (hz - run.hz).abs() <= DRIFT_HZ && (dbov - run.dbov).abs() <= DRIFT_DB =>
            {
                run.add(hz, dbov, hop);
                self.goes_on(spoke)
            }
            (Some(run), None) if hop - run.last <= MISSES => None,
            (Some(run), Some(_)) if hop - run.last <= 1 && run.blocks > 5 => None,
            (run, single) => {
                let ended = run.take();
                *run = single.map(|hz| Run::new(hz, dbov, hop));
                ended.and_then(|ended| self.over(ended, spoke))
            }
        }
    }

    /// Tones that are told while they sound.
    fn goes_on(&mut self, spoke: bool) -> Option<Lasting> {
        let run = self.run?;
        // T.30: 2100 ± 15 Hz. V.8's turns its phase every 450 ms, which ends a run.
        if !self.answering && run.near(2_100.0, 25.0) && run.ms() >= 400 {
            self.answering = true;
            return Some(Lasting::FaxAnswering);
        }
        // The third tone of a SIT; its length says nothing.
        if !spoke
            && run.ms() >= 200
            && let Some(kind) = self.sit(&run)
        {
            self.ended.clear();
            return Some(Lasting::Sit(kind));
        }
        None
    }

    fn over(&mut self, run: Run, spoke: bool) -> Option<Lasting> {
        // Shorter ones are the vowels of speech.
        if run.ms() < 100 || run.blocks * 2 < run.last - run.begin {
            return None;
        }
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(run);
        // T.30: 0.5 s ± 15% of 1100 ± 38 Hz, every 3 s. One is enough unless it could be a beep after a greeting.
        if run.near(1_100.0, 42.0) && (400..=600).contains(&run.ms()) {
            self.calling = self.calling.saturating_add(1);
            if !spoke || self.calling == 2 {
                return Some(Lasting::FaxCalling);
            }
        }
        let beep = spoke
            && run.is_steady()
            && (400.0..=2_010.0).contains(&run.hz)
            && (120..=2_500).contains(&run.ms());
        beep.then(|| Lasting::Beep { hz: run.hz.round() as u16, ms: run.ms() as u16 })
    }

    /// Three tones in their order; lengths 330 ± 70 ms, at most 30 ms between them (E.180 §7), and what a block smears.
    fn sit(&self, third: &Run) -> Option<SitKind> {
        let mut before = self.ended.iter().rev();
        let (second, first) = (before.next()?, before.next()?);
        let follows = |a: &Run, b: &Run| b.begin - a.last <= 8;
        let long = |run: &Run| (230..=430).contains(&run.ms());
        let fits = first.near(950.0, 55.0)
            && second.near(1_400.0, 55.0)
            && third.near(1_800.0, 55.0)
            && follows(first, second)
            && follows(second, third)
            && long(first)
            && long(second);
        fits.then(|| variant(first, second, third))
    }
}

/// North America: the first two tones are low or high, short (274 ms) or long (380 ms); the third is always 1776.7 Hz.
fn variant(first: &Run, second: &Run, third: &Run) -> SitKind {
    let high = |run: &Run, low: f32, high: f32| {
        // The middle is the tone of E.180 itself.
        let (to_low, to_high) = ((run.hz - low).abs(), (run.hz - high).abs());
        (to_low.min(to_high) <= (high - low) * 0.3).then_some(to_high < to_low)
    };
    let is_long = |run: &Run| run.ms() > 327;
    if third.hz > 1_789.0 {
        return SitKind::Unspecified;
    }
    match (high(first, 913.8, 985.2), is_long(first), high(second, 1_370.6, 1_428.5), is_long(second)) {
        (Some(false), false, Some(false), false) => SitKind::Intercept,
        (Some(true), true, Some(false), false) => SitKind::VacantCode,
        // Within and between the areas of local carriers.
        (Some(false), false, Some(true), true) | (Some(true), false, Some(false), true) => SitKind::Reorder,
        (Some(true), true, Some(true), true) => SitKind::NoCircuit,
        _ => SitKind::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bank::Bank;
    use crate::detect::sound::sound;
    use crate::detect::testing::{mix, noise, sines, speech};

    fn hear(samples: &[i16], spoke: bool) -> Vec<Lasting> {
        let (mut bank, mut runs) = (Bank::new(), Runs::default());
        let blocks = samples.as_chunks().0.iter().map(|piece| bank.push(piece));
        blocks.filter_map(|block| runs.push(sound(&block), block.level_dbov, spoke)).collect()
    }

    fn tones(parts: &[(f32, usize)], dbov: f32) -> Vec<i16> {
        let mut out = vec![0; 1_111];
        for (hz, ms) in parts {
            out.extend(sines(&[(*hz, dbov)], ms * 8));
        }
        out.extend([0; 2_000]);
        out
    }

    #[test]
    fn the_variants_of_sit() {
        use SitKind::*;
        for (parts, kind) in [
            ([(913.8, 274), (1_370.6, 274), (1_776.7, 380)], Intercept),
            ([(985.2, 380), (1_370.6, 274), (1_776.7, 380)], VacantCode),
            ([(913.8, 274), (1_428.5, 380), (1_776.7, 380)], Reorder),
            ([(985.2, 274), (1_370.6, 380), (1_776.7, 380)], Reorder),
            ([(985.2, 380), (1_428.5, 380), (1_776.7, 380)], NoCircuit),
            ([(950.0, 330), (1_400.0, 330), (1_800.0, 330)], Unspecified),
            // The edges of E.180.
            ([(905.0, 270), (1_445.0, 390), (1_845.0, 330)], Unspecified),
        ] {
            for dbov in [-12.0, -27.0, -38.0] {
                assert_eq!(hear(&tones(&parts, dbov), false), [Lasting::Sit(kind)], "{parts:?} at {dbov}");
            }
            let noisy = tones(&parts, -27.0);
            let noisy = mix(&noisy, &noise(5, -45.0, noisy.len()));
            assert_eq!(hear(&noisy, false), [Lasting::Sit(kind)], "{parts:?} in noise");
        }
        // In another order they mean nothing.
        assert_eq!(hear(&tones(&[(1_400.0, 330), (950.0, 330), (1_800.0, 330)], -20.0), false), []);
    }

    #[test]
    fn fax_both_ways() {
        for hz in [2_085.0, 2_100.0, 2_115.0] {
            assert_eq!(hear(&tones(&[(hz, 3_000)], -25.0), false), [Lasting::FaxAnswering]);
        }
        for hz in [1_062.0, 1_100.0, 1_138.0] {
            assert_eq!(hear(&tones(&[(hz, 500)], -25.0), false), [Lasting::FaxCalling]);
        }
        assert_eq!(hear(&tones(&[(1_100.0, 1_500)], -25.0), false), []);
    }

    #[test]
    fn a_beep_after_speech() {
        for hz in (420..=1_980).step_by(60) {
            for ms in [130, 400, 1_000] {
                let heard = hear(&tones(&[(hz as f32, ms)], -25.0), true);
                let Some(Lasting::Beep { hz: found, ms: length }) = heard.last() else { panic!("{hz} {ms}") };
                assert!((i32::from(*found) - hz).abs() <= 6 && usize::from(*length).abs_diff(ms) <= 30);
            }
        }
        assert_eq!(hear(&tones(&[(1_000.0, 80)], -25.0), true), []);
        assert_eq!(hear(&tones(&[(1_000.0, 400)], -25.0), false), []);
    }

    #[test]
    fn speech_is_no_tone() {
        for seed in 0..4 {
            assert_eq!(hear(&speech(seed, 10_000), true), [], "voice {seed}");
        }
    }
}
