//! What a campaign says to people: a sound file, or a text.

/// What `say:VOICE:TEXT` wants said: a voice of letters, digits, `+`, `-` and `_`, and a text.
pub(crate) fn spoken(message: &str) -> Option<(&str, &str)> {
    let (voice, text) = message.strip_prefix("say:")?.split_once(':')?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"+-_".contains(&b);
    let is_voice = voice.bytes().all(is_name) && voice.bytes().next().is_some_and(|b| b != b'-');
    (is_voice && !text.trim().is_empty()).then_some((voice, text))
}

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn what_is_to_be_said() {
        assert_eq!(spoken("say:en-us:Hello: you"), Some(("en-us", "Hello: you")));
        assert_eq!(spoken("say:cs+f2:Dobrý den"), Some(("cs+f2", "Dobrý den")));
        for wrong in ["hello.wav", "say:en", "say::x", "say:-v:x", "say:e/n:x", "say:en: "] {
            assert_eq!(spoken(wrong), None, "{wrong}");
        }
    }
}
