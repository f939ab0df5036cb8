//! Text to speech: an outside command says what a campaign's message is written as, once; what it said is kept.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use kraliki_media::Audio;
use tokio::process::Command;

/// Long for a few sentences on any machine.
const MOST: Duration = Duration::from_secs(20);

/// How text is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechConfig {
    /// The program and its arguments, `{voice}` and `{text}` in them; it writes a WAV file to its output.
    pub command: Vec<String>,
    /// Where what was said is kept between two runs.
    pub cache: Option<PathBuf>,
}

impl SpeechConfig {
    /// The sound of a text, from the cache where it was said before.
    pub(super) async fn say(&self, voice: &str, text: &str) -> Result<Audio, String> {
        let file = self.cache.as_ref().map(|cache| {
            let said = [self.command.join("\0").as_bytes(), voice.as_bytes(), text.as_bytes()].join(&0);
            let name: String = digest(&SHA256, &said).as_ref().iter().map(|b| format!("{b:02x}")).collect();
            cache.join(name + ".wav")
        });
        if let Some(file) = &file
            && let Ok(kept) = tokio::fs::read(file).await
            && let Ok(audio) = Audio::from_wav(&kept)
        {
            return Ok(audio);
        }
        let wav = self.run(voice, text).await?;
        let audio = Audio::from_wav(&wav).map_err(|e| format!("what it says is {e}"))?;
        if let Some(file) = file {
            // A cache that cannot be written costs time alone.
            if let Err(error) = keep(&file, &wav).await {
                tracing::warn!(file = %file.display(), %error, "what was said is not kept");
            }
        }
        Ok(audio)
    }

    async fn run(&self, voice: &str, text: &str) -> Result<Vec<u8>, String> {
        let arguments =
            self.command.iter().map(|part| part.replace("{voice}", voice).replace("{text}", text));
        let mut arguments = arguments.collect::<Vec<_>>().into_iter();
        let program = arguments.next().ok_or("[media] speech_command is empty")?;
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(MOST, command.output()).await {
            Ok(output) => output.map_err(|e| format!("{program}: {e}"))?,
            Err(_) => return Err(format!("{program} did not end within {} s", MOST.as_secs())),
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} ended with {}: {}", output.status, said.lines().next().unwrap_or_default()))
    }
}

/// Writes a file at once, or not at all.
async fn keep(file: &std::path::Path, wav: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        tokio::fs::create_dir_all(directory).await?;
    }
    let part = file.with_extension("part");
    tokio::fs::write(&part, wav).await?;
    tokio::fs::rename(&part, file).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that ignores its voice and says the sound whose octal escapes are the text.
    fn config(script: &str, cache: Option<PathBuf>) -> SpeechConfig {
        let command = ["sh", "-c", script, "sh", "{voice}", "{text}"].map(String::from).to_vec();
        SpeechConfig { command, cache }
    }

    const WAV: &str =
        r"RIFF\0\0\0\0WAVEfmt \20\0\0\0\7\0\1\0\100\37\0\0\100\37\0\0\1\0\10\0data\4\0\0\0\200\200\377\377";

    #[tokio::test]
    async fn it_is_said_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("speech");
        let log = dir.path().join("log");
        let script = format!("echo \"$1\" >> {}; printf \"$2\"", log.display());
        let speech = config(&script, Some(cache.clone()));
        for _ in 0..2 {
            assert_eq!(speech.say("en", WAV).await.unwrap().samples().len(), 4);
        }
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "en\n");
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1);
        assert!(speech.say("es", WAV).await.is_ok());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "en\nes\n");
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told() {
        let failed =
            |script: &'static str| async move { config(script, None).say("en", "x").await.unwrap_err() };
        assert!(failed("echo no such voice >&2; exit 3").await.contains("3: no such voice"));
        assert!(failed("printf nonsense").await.contains("not a WAV file"));
        let none = SpeechConfig { command: vec!["/no/such/program".into()], cache: None };
        assert!(none.say("en", "x").await.unwrap_err().starts_with("/no/such/program: "));
    }
}
