//! What the rules look at: plain numbers of the first seconds.

use serde::{Deserialize, Serialize};

use super::rules::VoiceRules;
use super::voice::{Levels, Span};

/// 0.6 s in steps.
const FADE_HOPS: usize = 60;
/// 0.25 s in steps.
const LEAD_HOPS: usize = 25;
/// How even white noise is; stands for what is before the first word when that is nothing.
const WHITE: f32 = 0.56;

macro_rules! features {
    ($($(#[$doc:meta])* $field:ident $variant:ident,)*) => {
        /// One of the numbers, as a rule names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Feature { $($(#[$doc])* $variant,)* }

        /// All of the numbers at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct Features { $($(#[$doc])* pub $field: f32,)* }

        impl Features {
            /// The value of one.
            pub fn get(&self, feature: Feature) -> f32 {
                match feature { $(Feature::$variant => self.$field,)* }
            }

            /// Each with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, f32)> {
                [$((stringify!($field), self.$field),)*].into_iter()
            }
        }
    };
}

features! {
    /// From the answer to the first word, ms.
    initial_silence_ms InitialSilenceMs,
    /// From the beginning of the first word to now, ms.
    since_onset_ms SinceOnsetMs,
    /// Speech so far, pauses left out, ms.
    speech_ms SpeechMs,
    /// Stretches of speech between pauses.
    words Words,
    /// The first stretch of speech, ms.
    first_word_ms FirstWordMs,
    /// The last stretch of speech, ms.
    last_word_ms LastWordMs,
    /// The pause behind the first stretch, ms.
    first_pause_ms FirstPauseMs,
    /// The longest pause between two stretches, ms.
    longest_pause_ms LongestPauseMs,
    /// Since the last speech, ms; 0 while somebody speaks.
    pause_ms PauseMs,
    /// Speech of the time since the first word began, 0 to 1.
    speech_share SpeechShare,
    /// How loud the speech is, dBov.
    level_dbov LevelDbov,
    /// How much the speech's level goes up and down, dB.
    spread_db SpreadDb,
    /// How loud it was before the first word, dBov.
    before_dbov BeforeDbov,
    /// How much louder the speech is than what was before it, dB.
    over_before_db OverBeforeDb,
    /// How much louder the pauses are than what was before the first word, dB: a recording brings its own noise.
    pause_rise_db PauseRiseDb,
    /// How much softer the last 0.6 s of speech are than the first, dB: what speaks behind a person is softer.
    fade_db FadeDb,
    /// How much the level before the first word goes up and down, dB: a line hisses, a room does not.
    before_spread_db BeforeSpreadDb,
    /// How even the spectrum before the first word is, 0 to 1: 0.56 for hiss, less for a room; 0.56 where nothing is heard.
    before_flatness BeforeFlatness,
    /// The share of digital silence before the first word, 0 to 1.
    before_silence BeforeSilence,
    /// How much louder the last quarter of a second before the first word is than what was before it, dB: a recording
    /// begins before its words.
    lead_rise_db LeadRiseDb,
    /// How much louder the softest tenth of the speech is than what was before it, dB.
    floor_rise_db FloorRiseDb,
    /// How far the softest tenth of the speech is under its mean, dB.
    floor_under_db FloorUnderDb,
    /// How even the spectrum of the longest pause is, 0 to 1; 0.56 where there is none.
    pause_flatness PauseFlatness,
    /// Beeps since the answer.
    beeps Beeps,
}

impl Features {
    /// The numbers of what was heard, the first step being `begin_ms` after the answer. `None` when nobody spoke.
    pub(crate) fn of(levels: &Levels, begin_ms: f32, beeps: u16, rules: &VoiceRules) -> Option<Features> {
        let loud = levels.loudness(rules);
        let words = levels.words(loud.threshold, rules);
        let (first, last) = (words.first()?, words.last()?);
        let ms = |steps: usize| steps as f32 * 10.0;
        let now = levels.len();
        let speech: usize = words.iter().map(|word| word.len()).sum();
        let pauses = || words.array_windows::<2>().map(|[a, b]| b.begin - a.end);
        let since = now - first.begin;
        let heard = |dbov| dbov >= loud.threshold;
        let (level, spread) = levels.mean(Span { begin: first.begin, end: last.end }, heard)?;
        // A step reaches into the word that begins with the next.
        let until = first.begin.saturating_sub(2);
        let silence = Span { begin: 0, end: until };
        let (before, before_spread) =
            levels.mean(silence, |dbov| dbov < loud.threshold).unwrap_or((loud.floor, 0.0));
        let (before_flatness, before_silence) = levels.evenness(silence);
        let lead = until.saturating_sub(LEAD_HOPS);
        let soft = |begin, end| levels.mean(Span { begin, end }, |_| true).map(|(mean, _)| mean);
        let lead_rise = soft(lead, until).zip(soft(0, lead)).map_or(0.0, |(late, early)| late - early);
        let softest = levels.percentile(Span { begin: first.begin, end: last.end }, 10).unwrap_or(before);
        let gap = words
            .array_windows::<2>()
            .map(|[a, b]| Span { begin: a.end + 2, end: b.begin.saturating_sub(2) });
        let gap = gap.chain([Span { begin: last.end + 2, end: now }]).filter(|gap| gap.end > gap.begin + 4);
        let gap = gap.max_by_key(|gap| gap.len());
        let in_gap = gap.and_then(|gap| levels.mean(gap, |_| true));
        let part = |begin, end| levels.mean(Span { begin, end }, heard).map_or(level, |(mean, _)| mean);
        let opening = part(first.begin, first.begin + FADE_HOPS);
        let ending = part(last.end.saturating_sub(FADE_HOPS).max(first.begin), last.end);
        Some(Features {
            initial_silence_ms: begin_ms + ms(first.begin),
            since_onset_ms: ms(since),
            speech_ms: ms(speech),
            words: words.len() as f32,
            first_word_ms: ms(first.len()),
            last_word_ms: ms(last.len()),
            first_pause_ms: pauses().next().map_or(ms(now - first.end), ms),
            longest_pause_ms: pauses().max().map_or(0.0, ms),
            pause_ms: ms(now - last.end),
            speech_share: speech as f32 / since.max(1) as f32,
            level_dbov: level,
            spread_db: spread,
            before_dbov: before,
            over_before_db: level - before,
            pause_rise_db: in_gap.map_or(0.0, |(mean, _)| mean - before),
            fade_db: opening - ending,
            before_spread_db: before_spread,
            before_flatness: before_flatness.unwrap_or(WHITE),
            before_silence,
            lead_rise_db: lead_rise,
            floor_rise_db: softest - before,
            floor_under_db: level - softest,
            pause_flatness: gap.and_then(|gap| levels.evenness(gap).0).unwrap_or(WHITE),
            beeps: f32::from(beeps),
        })
    }
}
