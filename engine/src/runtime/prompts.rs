//! What campaigns play to people: their sound files, read and decoded beside the loop, then kept.

use std::collections::HashMap;
use std::sync::Arc;

use kraliki_media::Audio;

use super::drive::Driver;
use super::handle::Request;
use super::line::told;
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
            let requests = self.shared.requests.clone();
            tokio::spawn(async move {
                let from = path.clone();
                let read = tokio::task::spawn_blocking(move || Arc::new(read(&from))).await;
                let audio = read.unwrap_or_else(|_| Arc::new(Audio::beep()));
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

/// The sound file, or a plain tone when it cannot be read.
fn read(path: &str) -> Audio {
    let read = std::fs::read(path).map_err(|e| e.to_string());
    match read.and_then(|file| Audio::from_wav(&file).map_err(|e| e.to_string())) {
        Ok(audio) => audio,
        Err(error) => {
            tracing::error!(path, error, "a campaign's message cannot be played; a tone stands in for it");
            Audio::beep()
        }
    }
}
