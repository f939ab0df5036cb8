//! What a campaign says to people: a sound file, an uploaded prompt, or a text.

/// Bytes of a prompt's name.
const NAME_MOST: usize = 64;

/// Whether a prompt may be called so.
pub(crate) fn is_prompt_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || " .-_".contains(c);
    (1..=NAME_MOST).contains(&name.len()) && name.trim() == name && name.chars().all(fits)
}

/// The uploaded prompt that `prompt:NAME` names.
pub(crate) fn uploaded(message: &str) -> Option<&str> {
    message.strip_prefix("prompt:").filter(|name| is_prompt_name(name))
}

/// What `say:VOICE:TEXT` wants said: a voice of letters, digits, `+`, `-` and `_`, and a text.
pub(crate) fn spoken(message: &str) -> Option<(&str, &str)> {
    let (voice, text) = message.strip_prefix("say:")?.split_once(':')?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"+-_".contains(&b);
    let is_voice = voice.bytes().all(is_name) && voice.bytes().next().is_some_and(|b| b != b'-');
    (is_voice && !text.trim().is_empty()).then_some((voice, text))
}

#[cfg(test)]
mod tests {
    use super::{is_prompt_name, spoken, uploaded};

    #[test]
    fn names_of_prompts() {
        assert_eq!(uploaded("prompt:Jaro 2026.v2"), Some("Jaro 2026.v2"));
        for wrong in ["", " x", "a/b", "a:b", "a\nb", &"x".repeat(65)] {
            assert!(!is_prompt_name(wrong) && uploaded(&format!("prompt:{wrong}")).is_none(), "{wrong}");
        }
        assert_eq!(uploaded("Jaro"), None);
    }

    #[test]
    fn what_is_to_be_said() {
        assert_eq!(spoken("say:en-us:Hello: you"), Some(("en-us", "Hello: you")));
        assert_eq!(spoken("say:cs+f2:Dobrý den"), Some(("cs+f2", "Dobrý den")));
        for wrong in ["hello.wav", "say:en", "say::x", "say:-v:x", "say:e/n:x", "say:en: "] {
            assert_eq!(spoken(wrong), None, "{wrong}");
        }
    }
}
