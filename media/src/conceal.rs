//! Filling in for packets that did not come, in the manner of G.711 Appendix I: the last pitch period is repeated, fades
//! over 60 ms, and is blended into what comes after. For codecs that have no concealment of their own.
//!
//! Appendix I delays all sound by 3.75 ms to blend at the beginning of a loss as well. This one adds no delay: the first
//! repeated samples are bent to join the last ones heard.

/// The pitch periods looked for, in samples at 8 kHz: 66 to 200 Hz, and twice as high voices by their double period
/// (Appendix I §2.2).
const MIN_PITCH: usize = 40;
const MAX_PITCH: usize = 120;
/// The length over which periods are compared, at 8 kHz: 20 ms.
const CORRELATION: usize = 160;
/// History kept, at 8 kHz: what the longest period is compared over, and more (Appendix I: 48.75 ms).
const HISTORY: usize = 390;

/// Conceals losses in one voice. Every frame passes through it: heard ones by [`Concealer::heard`], lost ones by
/// [`Concealer::conceal`].
#[derive(Clone, Debug)]
pub struct Concealer {
    /// Samples at 8 kHz per sample here: 1 at 8 kHz, 2 at 16 kHz.
    scale: usize,
    /// The last samples given out, the newest at the end.
    history: Vec<i16>,
    /// What is repeated, while packets are missing: the last periods of the history, joined end to start.
    period: Vec<f32>,
    /// Where the next repeated sample stands in it.
    at: usize,
    /// Samples concealed in a row.
    concealed: usize,
    /// How far the first repeated sample is from the last heard; it shrinks to nothing.
    bend: f32,
}

impl Concealer {
    /// A concealer for 8,000 or 16,000 samples a second (others are taken as the nearer of the two).
    pub fn new(rate_hz: u32) -> Concealer {
        let scale = if rate_hz > 12_000 { 2 } else { 1 };
        Concealer {
            scale,
            history: vec![0; HISTORY * scale],
            period: Vec::new(),
            at: 0,
            concealed: 0,
            bend: 0.0,
        }
    }

    /// Samples that were decoded. The first ones after a loss are blended with what was made up.
    pub fn heard(&mut self, samples: &mut [i16]) {
        if self.concealed > 0 {
            // A quarter of the period, and 4 ms more for each 10 ms lost, up to 10 ms (Appendix I §2.6).
            let ten_ms = 80 * self.scale;
            let extra = self.concealed.saturating_sub(1) / ten_ms * 32 * self.scale;
            let blend = (self.period.len() / 4 + extra).clamp(8, ten_ms).min(samples.len());
            for (n, sample) in samples.iter_mut().enumerate().take(blend) {
                let made = self.next_sample();
                let share = (n as f32 + 1.0) / (blend as f32 + 1.0);
                *sample = to_i16(f32::from(*sample) * share + made * (1.0 - share));
            }
            self.concealed = 0;
            self.period.clear();
        }
        self.remember(samples);
    }

    /// Fills `samples` with what may have been said in a lost packet: silence from 60 ms on.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        if self.concealed == 0 {
            self.begin();
        }
        for sample in samples.iter_mut() {
            *sample = to_i16(self.next_sample());
        }
        self.remember(samples);
    }

    /// Forgets everything: another voice begins.
    pub fn reset(&mut self) {
        self.history.fill(0);
        self.period.clear();
        self.concealed = 0;
    }

    /// Whether the last frame was made up.
    pub fn is_concealing(&self) -> bool {
        self.concealed > 0
    }

    /// Takes the last period of the history, and joins its end to its start: a quarter of it is blended with the quarter
    /// before it, so that it can be repeated without a step.
    fn begin(&mut self) {
        let pitch = self.pitch();
        let blend = pitch / 4;
        let tail = self.history.get(self.history.len() - pitch - blend..).unwrap_or_default();
        let (before, last) = tail.split_at(blend.min(tail.len()));
        self.period.clear();
        self.period.extend(last.iter().map(|sample| f32::from(*sample)));
        let joined = self.period.iter_mut().skip(pitch - blend).zip(before);
        for (n, (sample, before)) in joined.enumerate() {
            let share = (n as f32 + 1.0) / (blend as f32 + 1.0);
            *sample = *sample * (1.0 - share) + f32::from(*before) * share;
        }
        self.at = 0;
        // The period's first sample continues the one before it in the history; what was heard last may differ.
        let last = self.history.last().copied().unwrap_or(0);
        self.bend = f32::from(last) - self.history_at(pitch + 1);
    }

    /// The next made-up sample: the repeated period, bent at the start and fading from 10 ms to 60 ms.
    fn next_sample(&mut self) -> f32 {
        let ten_ms = 80.0 * self.scale as f32;
        let fade = (1.0 - (self.concealed as f32 - ten_ms) / (5.0 * ten_ms)).clamp(0.0, 1.0);
        let sample = self.period.get(self.at).copied().unwrap_or(0.0) + self.bend;
        self.bend *= 0.94;
        self.at = if self.at + 1 >= self.period.len() { 0 } else { self.at + 1 };
        self.concealed = self.concealed.saturating_add(1);
        sample * fade
    }

    fn history_at(&self, back: usize) -> f32 {
        self.history
            .len()
            .checked_sub(back)
            .and_then(|at| self.history.get(at))
            .map_or(0.0, |s| f32::from(*s))
    }

    /// The period, in samples, whose repetition fits the last 20 ms best: coarse first, then around the best.
    fn pitch(&self) -> usize {
        let scale = self.scale;
        let (min, max, len) = (MIN_PITCH * scale, MAX_PITCH * scale, CORRELATION * scale);
        let coarse = 2 * scale;
        let best = |candidates: &mut dyn Iterator<Item = usize>, step: usize| {
            let fits = candidates.map(|pitch| (pitch, self.fit(pitch, len, step)));
            fits.fold((max, f32::MIN), |best, this| if this.1 > best.1 { this } else { best }).0
        };
        let near = best(&mut (min..=max).step_by(coarse), coarse);
        best(&mut (near.saturating_sub(coarse - 1).max(min)..=(near + coarse - 1).min(max)), 1)
    }

    /// The normalised correlation of the last `len` samples with those a period before, every `step`th looked at.
    fn fit(&self, pitch: usize, len: usize, step: usize) -> f32 {
        let end = self.history.len();
        let (Some(last), Some(before)) =
            (self.history.get(end - len..), self.history.get(end - len - pitch..end - pitch))
        else {
            return f32::MIN;
        };
        let (mut product, mut energy) = (0.0f32, 0.0f32);
        for (a, b) in last.iter().zip(before).step_by(step) {
            let b = f32::from(*b);
            product += f32::from(*a) * b;
            energy += b * b;
        }
        product / energy.max(1.0).sqrt()
    }

    fn remember(&mut self, samples: &[i16]) {
        let kept = samples.get(samples.len().saturating_sub(self.history.len())..).unwrap_or_default();
        self.history.rotate_left(kept.len());
        let start = self.history.len() - kept.len();
        self.history.iter_mut().skip(start).zip(kept).for_each(|(to, from)| *to = *from);
    }
}

fn to_i16(sample: f32) -> i16 {
    // The cast saturates.
    sample.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::speech;
    use crate::level::rms;

    fn tone(rate_hz: u32, hz: f64, samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        (0..samples).map(|n| ((n as f64 * step).sin() * 8_000.0) as i16).collect()
    }

    #[test]
    fn a_steady_voice_goes_on_through_a_lost_packet() {
        for (rate, frame) in [(8_000, 160), (16_000, 320)] {
            let whole = tone(rate, 151.0, frame * 8);
            let mut concealer = Concealer::new(rate);
            let mut out = whole.clone();
            for (n, samples) in out.chunks_exact_mut(frame).enumerate() {
                if n == 5 { concealer.conceal(samples) } else { concealer.heard(samples) }
            }
            // The first 10 ms repeat at full level: they are what was lost, nearly.
            let lost = 5 * frame..5 * frame + frame / 2;
            let error: Vec<i16> = whole[lost.clone()].iter().zip(&out[lost]).map(|(a, b)| a - b).collect();
            assert!(rms(&error) < 800.0, "{rate} Hz: an error of {:.0} in 5657", rms(&error));
            // No step anywhere: a sine of 8,000 moves by less than 950 a sample at 8 kHz.
            let steepest = out.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
            assert!(steepest < Some(1_400), "{steepest:?}");
        }
    }

    #[test]
    fn it_fades_to_silence_in_60_ms() {
        let mut concealer = Concealer::new(8_000);
        let mut sound = tone(8_000, 200.0, 800);
        concealer.heard(&mut sound);
        let levels: Vec<f64> = (0..5)
            .map(|_| {
                let mut frame = [0; 160];
                concealer.conceal(&mut frame);
                rms(&frame)
            })
            .collect();
        assert!(levels[0] > 4_500.0 && levels[1] > levels[2] && levels[2] > 300.0, "{levels:?}");
        assert_eq!(levels[3..], [0.0, 0.0]);
        // Sound that returns is faded in, and then untouched.
        let back = tone(8_000, 200.0, 160);
        let mut heard = back.clone();
        concealer.heard(&mut heard);
        assert!(rms(&heard[..20]) < rms(&back[..20]) && heard[80..] == back[80..]);
        assert!(!concealer.is_concealing());
    }

    #[test]
    fn speech_with_losses_is_nearer_than_with_holes() {
        let whole = speech(8_000, 4);
        let (mut concealed, mut holes) = (whole.clone(), whole.clone());
        let mut concealer = Concealer::new(8_000);
        let frames = concealed.chunks_exact_mut(160).zip(holes.chunks_exact_mut(160));
        for (n, (frame, hole)) in frames.enumerate() {
            if n % 10 == 7 {
                concealer.conceal(frame);
                hole.fill(0);
            } else {
                concealer.heard(frame);
            }
        }
        let error = |of: &[i16]| {
            let apart: Vec<i16> = of.iter().zip(&whole).map(|(a, b)| a.saturating_sub(*b)).collect();
            rms(&apart)
        };
        assert!(error(&concealed) < error(&holes), "{} and {}", error(&concealed), error(&holes));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut concealer = Concealer::new(8_000);
        concealer.conceal(&mut [0; 160]);
        let mut square: Vec<i16> =
            (0..2_000).map(|n| if n / 30 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        concealer.heard(&mut square);
        concealer.conceal(&mut [0; 960]);
        concealer.heard(&mut []);
        concealer.heard(&mut [7; 3]);
        concealer.reset();
        let mut quiet = [5; 160];
        concealer.conceal(&mut quiet);
        assert_eq!(quiet, [0; 160]);
    }
}
