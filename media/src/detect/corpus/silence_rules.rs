//! The row to beat: rules of silence, as the documentation of Asterisk's AMD application describes them, with its defaults.
//! Written from that description.

use super::super::Class;

/// The settings, by the names of `amd.conf`; times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceRules {
    /// Silence before any word that makes it a machine.
    pub initial_silence: u32,
    /// A greeting longer than this is a machine's.
    pub greeting: u32,
    /// Silence behind a greeting that makes it a person.
    pub after_greeting_silence: u32,
    /// After this it is not known.
    pub total_analysis_time: u32,
    /// Voice that is a word.
    pub min_word_length: u32,
    /// Silence that ends a word.
    pub between_words_silence: u32,
    /// So many words are a machine's.
    pub maximum_number_of_words: u32,
    /// A mean amplitude below this is silence.
    pub silence_threshold: u32,
}

impl Default for SilenceRules {
    fn default() -> SilenceRules {
        SilenceRules {
            initial_silence: 2_500,
            greeting: 1_500,
            after_greeting_silence: 800,
            total_analysis_time: 5_000,
            min_word_length: 100,
            between_words_silence: 50,
            maximum_number_of_words: 3,
            silence_threshold: 256,
        }
    }
}

impl SilenceRules {
    /// Who answered, and when that was known in ms. What is not known counts as a person.
    pub fn judge(&self, samples: &[i16]) -> (Class, u32) {
        let (mut silence, mut voice, mut word, mut words) = (0, 0, 0, 0);
        let (mut in_word, mut greeting) = (false, false);
        let mut now = 0;
        for frame in samples.as_chunks::<160>().0 {
            now += 20;
            if now > self.total_analysis_time {
                break;
            }
            let sum: u32 = frame.iter().map(|s| u32::from(s.unsigned_abs())).sum();
            if sum / 160 < self.silence_threshold {
                silence += 20;
                if silence >= self.between_words_silence {
                    in_word = false;
                    word = 0;
                }
                if !greeting && silence >= self.initial_silence {
                    return (Class::Machine, now);
                }
                if greeting && silence >= self.after_greeting_silence {
                    return (Class::Person, now);
                }
            } else {
                silence = 0;
                word += 20;
                voice += 20;
                if word >= self.min_word_length && !in_word {
                    in_word = true;
                    greeting = true;
                    words += 1;
                }
                if words >= self.maximum_number_of_words || (greeting && voice >= self.greeting) {
                    return (Class::Machine, now);
                }
            }
        }
        (Class::Person, now.min(self.total_analysis_time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{noise, speech};

    #[test]
    fn its_documented_cases() {
        let rules = SilenceRules::default();
        assert_eq!(rules.judge(&[0; 40_000]), (Class::Machine, 2_500));
        let mut hello = vec![0; 4_000];
        hello.extend(noise(1, -20.0, 3_200));
        hello.extend([0; 16_000]);
        assert_eq!(rules.judge(&hello), (Class::Person, 1_700));
        assert_eq!(rules.judge(&speech(3, 6_000)).0, Class::Machine);
        // Noise above the threshold is a long greeting.
        assert_eq!(rules.judge(&noise(1, -35.0, 40_000)), (Class::Machine, 1_500));
    }
}
