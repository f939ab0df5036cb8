//! Where there is speech, in steps of 10 ms.
//!
//! All levels since the beginning are kept, and what is speech is asked of all of them again each time: with every second
//! it is better known how loud the room is and how loud the voice, and a television behind "hello" is no longer taken
//! for a word. Some hundred comparisons each time are cheap.

use super::bank::{BINS, Block};
use super::rules::VoiceRules;
use super::sound::Sound;

/// Steps that are kept: 20 s. Who answered is known long before; what follows is not looked at.
pub(crate) const HOPS: usize = 2_000;
/// The lowest level that is told apart, in dBov: below the steps of G.711.
const LOWEST: f32 = -80.0;
const LEVELS: usize = 81;
/// Words that are kept apart; the later ones run together.
const WORDS: usize = 64;

/// Below this flatness a spectrum is uneven as a voice's: white noise has 0.56 give or take 0.1 in one block.
const UNEVEN: f32 = 0.42;

/// A word, or some that run together: steps from its beginning to behind its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        self.end - self.begin
    }
}

/// One step.
#[derive(Clone, Copy, Debug)]
struct Step {
    dbov: f32,
    /// How even its spectrum is: a voice's is uneven.
    flatness: f32,
    /// It is a tone of the network, a beep.
    tone: bool,
    /// Nothing but the smallest steps of a codec.
    silent: bool,
}

/// The levels so far.
#[derive(Debug)]
pub(crate) struct Levels {
    steps: Vec<Step>,
    /// How many steps had each level, for its percentiles.
    counts: [u16; LEVELS],
    /// Voiced steps that are loud beside what was the softest: a first guess, for what must be cheap.
    spoken: usize,
    softest: f32,
}

/// Loudness of what is around, in dBov.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loudness {
    pub(crate) floor: f32,
    /// From here it is speech.
    pub(crate) threshold: f32,
}

impl Levels {
    pub(crate) fn new() -> Levels {
        Levels { steps: Vec::new(), counts: [0; LEVELS], spoken: 0, softest: 0.0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn push(&mut self, block: &Block, sound: Sound) {
        if self.steps.len() == HOPS {
            return;
        }
        let (dbov, tone) = (level(block), is_tone(sound));
        if !tone && let Some(count) = self.counts.get_mut((dbov - LOWEST) as usize) {
            *count += 1;
        }
        let step = Step { dbov, flatness: flatness(&block.share), tone, silent: block.digital_silence };
        self.softest = self.softest.min(dbov);
        self.spoken +=
            usize::from(step.flatness < UNEVEN && !tone && dbov > (self.softest + 12.0).max(-50.0));
        self.steps.push(step);
    }

    /// Whether there was speech for so many steps, more or less.
    pub(crate) fn spoke_for(&self, hops: usize) -> bool {
        self.spoken >= hops
    }

    /// How loud everything is so far.
    pub(crate) fn loudness(&self, rules: &VoiceRules) -> Loudness {
        let all: u16 = self.counts.iter().sum();
        let floor = nth(self.counts.iter().enumerate(), all / 10);
        // A tenth of a second is louder than this: a click is not.
        let peak = nth(self.counts.iter().enumerate().rev(), 10);
        let threshold = (floor + rules.over_floor_db).max(peak - rules.under_peak_db);
        // Where the voice is little louder than the room, the threshold stays between both.
        let between = (peak - rules.under_peak_least_db).max(floor + rules.over_floor_least_db);
        let threshold = threshold.min(between).max(rules.least_dbov);
        let threshold = if peak - floor < rules.least_range_db { 0.0 } else { threshold };
        Loudness { floor, threshold }
    }

    /// The words so far.
    pub(crate) fn words(&self, threshold: f32, rules: &VoiceRules) -> Vec<Span> {
        let bridge = rules.bridge_ms as usize / 10;
        let least = rules.least_word_ms as usize / 10;
        let mut words: Vec<Span> = Vec::new();
        let mut open: Option<Span> = None;
        for (at, step) in self.steps.iter().enumerate() {
            if step.dbov < threshold || step.tone {
                continue;
            }
            match &mut open {
                Some(span) if at - span.end <= bridge => span.end = at + 1,
                open => {
                    let done = open.replace(Span { begin: at, end: at + 1 });
                    self.keep(done, least, &mut words);
                }
            }
        }
        self.keep(open, least, &mut words);
        words
    }

    fn keep(&self, span: Option<Span>, least: usize, words: &mut Vec<Span>) {
        let Some(span) = span.filter(|span| span.len() >= least) else { return };
        let inside = self.steps.get(span.begin..span.end).unwrap_or_default();
        let voiced = inside.iter().filter(|step| step.flatness < UNEVEN).count();
        if voiced * 4 < span.len() {
            return;
        }
        if words.len() < WORDS {
            words.push(span);
        } else if let Some(last) = words.last_mut() {
            last.end = span.end;
        }
    }

    /// The level that so many of a hundred of some steps stay under.
    pub(crate) fn percentile(&self, within: Span, percent: usize) -> Option<f32> {
        let mut counts = [0u16; LEVELS];
        let steps = self.steps.get(within.begin..within.end.min(self.steps.len()))?;
        for step in steps.iter().filter(|step| !step.tone) {
            if let Some(count) = counts.get_mut((step.dbov - LOWEST) as usize) {
                *count += 1;
            }
        }
        let all: u16 = counts.iter().sum();
        (all > 0).then(|| nth(counts.iter().enumerate(), (usize::from(all) * percent / 100) as u16))
    }

    /// How even the spectrum of some steps is on average, those without sound left out; and the share of these.
    pub(crate) fn evenness(&self, within: Span) -> (Option<f32>, f32) {
        let steps = self.steps.get(within.begin..within.end.min(self.steps.len())).unwrap_or_default();
        let sounding = || steps.iter().filter(|step| !step.silent);
        let count = sounding().count();
        let mean = sounding().map(|step| step.flatness).sum::<f32>() / count.max(1) as f32;
        let silent = (steps.len() - count) as f32 / steps.len().max(1) as f32;
        // A handful of steps says nothing.
        ((count >= 5).then_some(mean), silent)
    }

    /// Mean level, and its standard deviation, of some steps.
    pub(crate) fn mean(&self, within: Span, wanted: impl Fn(f32) -> bool) -> Option<(f32, f32)> {
        let levels = self.steps.get(within.begin..within.end.min(self.steps.len()))?;
        let levels = || levels.iter().map(|step| step.dbov).filter(|dbov| wanted(*dbov));
        let count = levels().count();
        let mean = levels().sum::<f32>() / count as f32;
        let spread = (levels().map(|dbov| (dbov - mean).powi(2)).sum::<f32>() / count as f32).sqrt();
        (count > 0).then_some((mean, spread))
    }
}

/// A step's level, in dBov.
pub(crate) fn level(block: &Block) -> f32 {
    if block.digital_silence { LOWEST } else { block.band_dbov.clamp(LOWEST, 0.0) }
}

/// Whether it is a tone of the network, a beep.
pub(crate) fn is_tone(sound: Sound) -> bool {
    matches!(sound, Sound::Single { pure: true, .. } | Sound::Pair { .. })
}

/// The level at which more than so many steps were counted.
fn nth<'a>(mut counts: impl Iterator<Item = (usize, &'a u16)>, count: u16) -> f32 {
    let mut seen = 0;
    let found = counts.find(|(_, n)| {
        seen += **n;
        seen > count
    });
    found.map_or(LOWEST, |(at, _)| LOWEST + at as f32)
}

/// Geometric by arithmetic mean of the spectrum: 1 is the same everywhere, noise has about 0.56, voices have less than 0.3.
fn flatness(share: &[f32; BINS]) -> f32 {
    let count = BINS as f32;
    let mean = share.iter().sum::<f32>() / count;
    // Products of four before the logarithm: a quarter of the work.
    let log: f32 = share
        .chunks(4)
        .map(|few| few.iter().map(|s| (s / mean.max(1e-12)).max(1e-6)).product::<f32>().log2())
        .sum();
    (log / count).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bank::Bank;
    use crate::detect::rules::Rules;
    use crate::detect::sound::sound;
    use crate::detect::testing::{mix, noise, speech};

    fn words(samples: &[i16]) -> Vec<Span> {
        let rules = Rules::standard();
        let (mut bank, mut levels) = (Bank::new(), Levels::new());
        for piece in samples.as_chunks().0 {
            let block = bank.push(piece);
            levels.push(&block, sound(&block));
        }
        levels.words(levels.loudness(&rules.voice).threshold, &rules.voice)
    }

    /// 0.5 s of silence, 0.6 s of speech, 1 s of silence, 0.5 s of speech, 0.5 s of silence.
    fn two_words() -> Vec<i16> {
        let spoken = speech(5, 3_000);
        let mut out = vec![0; 4_000];
        out.extend(&spoken[3_200..8_000]);
        out.extend([0; 8_000]);
        out.extend(&spoken[3_200..7_200]);
        out.extend([0; 4_000]);
        out
    }

    fn close(words: &[Span], slack: usize) -> bool {
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
        first.begin.abs_diff(50) <= slack && last.end.abs_diff(260) <= slack + 6
    }

    #[test]
    fn words_and_pauses() {
        let found = words(&two_words());
        assert!(close(&found, 6), "{found:?}");
        assert!(found.windows(2).any(|w| w[1].begin - w[0].end > 80), "{found:?}");
    }

    #[test]
    fn in_noise_and_softly() {
        let samples = two_words();
        let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 8_800.0;
        let level = 10.0 * (energy / 32_768f64.powi(2)).log10() as f32;
        for snr in [25.0, 15.0] {
            let found = words(&mix(&samples, &noise(9, level - snr, samples.len())));
            assert!(close(&found, 12), "{snr} dB: {found:?}");
        }
        let soft: Vec<i16> = samples.iter().map(|s| s / 4).collect();
        assert!(close(&words(&soft), 16), "{:?}", words(&soft));
    }

    #[test]
    fn noise_is_no_speech() {
        assert_eq!(words(&noise(2, -30.0, 24_000)), []);
        assert_eq!(words(&[0; 24_000]), []);
    }
}
