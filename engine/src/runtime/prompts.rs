//! What campaigns play to people: their sound files and texts, read or said beside the loop, then kept.

use std::collections::HashMap;
use std::sync::Arc;

use kraliki_media::Audio;

use super::drive::Driver;
use super::handle::EngineHandle;
use super::handle::Request;
use super::line::told;
use super::speech::SpeechConfig;
use crate::campaign::{spoken, uploaded};
use crate::store::{PROMPT_SAMPLES_MOST, PromptRecord, Store, StoreError};
use crate::{CampaignId, LineEvent, Message, TryId};
use kraliki_media::SoundError;

/// Calls that may wait for a file that is being read; more hear a plain tone.
const WAITING: usize = 1_000;

/// Why an uploaded prompt was not kept.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The file is no sound that can be played.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineHandle {
    /// Keeps an uploaded sound file (WAV or Ogg Opus, two minutes at most) under a new name, converted.
    pub async fn add_prompt(&self, name: String, file: Vec<u8>) -> Result<PromptRecord, PromptError> {
        let read = tokio::task::spawn_blocking(move || Audio::read(&file));
        let audio = read.await.map_err(|_| SoundError::Broken)??;
        if audio.samples().len() > PROMPT_SAMPLES_MOST {
            let message = "must be a sound of two minutes at most".to_owned();
            return Err(StoreError::Invalid { field: "file", message }.into());
        }
        Ok(self.store().add_prompt(&name, audio.samples(), self.wall_unix_ms()).await?)
    }
}

/// The messages of campaigns.
#[derive(Default)]
pub(super) struct Prompts(HashMap<(CampaignId, Message), Prompt>);

struct Prompt {
    /// Where it is read from; empty: the built-in tone.
    path: String,
    /// None while it is read.
    audio: Option<Arc<Audio>>,
    /// Who is to hear it as soon as it is there.
    waiting: Vec<TryId>,
}

impl Prompts {
    /// An uploaded prompt that some campaign has: its sound is shared.
    fn uploaded(&self, path: &str) -> Option<Arc<Audio>> {
        uploaded(path)?;
        let mut same = self.0.values().filter(|prompt| prompt.path == path);
        same.find_map(|prompt| prompt.audio.clone().filter(|audio| !audio.samples().is_empty()))
    }
}

impl Driver {
    /// Reads what a campaign plays, where that is not known yet.
    pub(super) fn read_prompts(&mut self, campaign: CampaignId) {
        for what in [Message::Abandoned, Message::Prompt, Message::Voicemail, Message::Callback] {
            self.read_prompt(campaign, what);
        }
    }

    pub(super) fn forget_prompts(&mut self, campaign: CampaignId) {
        self.prompts.0.retain(|(of, _), _| *of != campaign);
    }

    fn read_prompt(&mut self, campaign: CampaignId, what: Message) {
        let path = self.engine.message(campaign, what).unwrap_or_default();
        let known = self.prompts.0.get_mut(&(campaign, what));
        if known.as_ref().is_some_and(|known| known.path == path) {
            return;
        }
        let waiting = known.map(|known| std::mem::take(&mut known.waiting)).unwrap_or_default();
        let path = path.to_owned();
        let audio = match path.is_empty() {
            true => Some(Arc::new(Audio::beep())),
            false => self.prompts.uploaded(&path),
        };
        let reads = audio.is_none();
        self.prompts.0.insert((campaign, what), Prompt { path: path.clone(), audio, waiting });
        if reads {
            let (requests, speech) = (self.shared.requests.clone(), self.config.speech.clone());
            let store = self.shared.store.clone();
            tokio::spawn(async move {
                let audio = load(&path, speech, &store).await.unwrap_or_else(|error| {
                    tracing::error!(path, error, "a campaign's message cannot be played");
                    missing(what)
                });
                let audio = Arc::new(audio);
                let _ = requests.send(Request::PromptRead { campaign, what, path, audio }).await;
            });
        } else {
            self.play_to_those_who_wait(campaign, what);
        }
    }

    /// A file was read.
    pub(super) fn on_prompt_read(
        &mut self,
        campaign: CampaignId,
        what: Message,
        path: &str,
        audio: Arc<Audio>,
    ) {
        // Not when the campaign has another one by now.
        if let Some(prompt) = self.prompts.0.get_mut(&(campaign, what)).filter(|prompt| prompt.path == path) {
            prompt.audio = Some(audio);
            self.play_to_those_who_wait(campaign, what);
        }
    }

    fn play_to_those_who_wait(&mut self, campaign: CampaignId, what: Message) {
        let waiting =
            self.prompts.0.get_mut(&(campaign, what)).map(|prompt| std::mem::take(&mut prompt.waiting));
        for id in waiting.unwrap_or_default() {
            self.play_message(id, campaign, what);
        }
    }

    pub(super) fn play_message(&mut self, id: TryId, campaign: CampaignId, what: Message) {
        let Some(leg) = self.lines.leg(id) else { return };
        self.read_prompt(campaign, what);
        let audio = match self.prompts.0.get_mut(&(campaign, what)) {
            Some(Prompt { audio: Some(audio), .. }) => audio.clone(),
            Some(prompt) if prompt.waiting.len() < WAITING => return prompt.waiting.push(id),
            _ => Arc::new(missing(what)),
        };
        if audio.samples().is_empty() {
            return self.give_line(id, LineEvent::PlayFailed);
        }
        told(self.media.play(leg, audio, false));
    }

    /// What a campaign says to those who call it back; none: nothing of its own, or nothing that could be read yet.
    pub(super) fn callback_message(&self, campaign: CampaignId) -> Option<Arc<Audio>> {
        self.engine.message(campaign, Message::Callback)?;
        let audio = self.prompts.0.get(&(campaign, Message::Callback))?.audio.clone()?;
        (!audio.samples().is_empty()).then_some(audio)
    }

    /// The message is not to be heard any more, be it playing or still read.
    pub(super) fn stop_message(&mut self, id: TryId) {
        for prompt in self.prompts.0.values_mut().filter(|prompt| !prompt.waiting.is_empty()) {
            prompt.waiting.retain(|waiting| *waiting != id);
        }
        if let Some(leg) = self.lines.leg(id) {
            told(self.media.stop(leg));
        }
    }
}

/// What stands in for a sound that is not there: people hear a tone at least, machines nothing, and who calls back what the
/// dialer says for all campaigns.
fn missing(what: Message) -> Audio {
    match what {
        Message::Abandoned | Message::Prompt => Audio::beep(),
        Message::Voicemail | Message::Callback => Audio::from_samples(Vec::new()),
    }
}

/// The sound of a file, of an uploaded prompt, or of a text that is said.
async fn load(path: &str, speech: Option<SpeechConfig>, store: &Store) -> Result<Audio, String> {
    if let Some(name) = uploaded(path) {
        let samples = store.prompt_samples(name).await.map_err(|e| e.to_string())?;
        return samples.map(Audio::from_samples).ok_or_else(|| "there is no such prompt".to_owned());
    }
    if let Some((voice, text)) = spoken(path) {
        let speech = speech.ok_or("[media] speech_command is empty")?;
        return speech.say(voice, text).await;
    }
    let file = tokio::fs::read(path).await.map_err(|e| e.to_string())?;
    let read = tokio::task::spawn_blocking(move || Audio::read(&file).map_err(|e| e.to_string()));
    read.await.map_err(|e| e.to_string())?
}
