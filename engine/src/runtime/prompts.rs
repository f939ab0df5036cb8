//! What campaigns play to people: their sound files and texts, read or said beside the loop, then kept.

use std::collections::HashMap;
use std::sync::Arc;

use kraliki_media::Audio;

use super::drive::Driver;
use super::handle::Request;
use super::line::told;
use super::speech::SpeechConfig;
use crate::campaign::spoken;
use crate::{CampaignId, Message, TryId};

/// Calls that may wait for a file that is being read; more hear a plain tone.
const WAITING: usize = 1_000;

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

impl Driver {
    /// Reads what a campaign plays, where that is not known yet.
    pub(super) fn read_prompts(&mut self, campaign: CampaignId) {
        for what in [Message::Abandoned, Message::Prompt] {
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
        let path = path.to_owned();
        let audio = path.is_empty().then(|| Arc::new(Audio::beep()));
        let reads = audio.is_none();
        let waiting = known.map(|known| std::mem::take(&mut known.waiting)).unwrap_or_default();
        self.prompts.0.insert((campaign, what), Prompt { path: path.clone(), audio, waiting });
        if reads {
            let (requests, speech) = (self.shared.requests.clone(), self.config.speech.clone());
            tokio::spawn(async move {
                let audio = load(&path, speech).await.unwrap_or_else(|error| {
                    tracing::error!(
                        path,
                        error,
                        "a campaign's message cannot be played; a tone stands in for it"
                    );
                    Audio::beep()
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
            _ => Arc::new(Audio::beep()),
        };
        told(self.media.play(leg, audio, false));
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

/// The sound of a file, or of a text that is said.
async fn load(path: &str, speech: Option<SpeechConfig>) -> Result<Audio, String> {
    if let Some((voice, text)) = spoken(path) {
        let speech = speech.ok_or("[media] speech_command is empty")?;
        return speech.say(voice, text).await;
    }
    let file = tokio::fs::read(path).await.map_err(|e| e.to_string())?;
    let read = tokio::task::spawn_blocking(move || Audio::from_wav(&file).map_err(|e| e.to_string()));
    read.await.map_err(|e| e.to_string())?
}
