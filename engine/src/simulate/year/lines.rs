//! What happens on the year's lines: most ring out, some are busy, some are answered.

use std::time::Duration;

use kraliki_time::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::agenda::Agenda;
use crate::{EndedBy, Failure, LineEvent, TryId};

/// What comes of a dial, on the agenda.
pub(super) fn dial(now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda<(TryId, LineEvent)>) {
    let after = |seconds: f64| now + Duration::from_secs_f64(seconds);
    agenda.add(after(1.5), (id, LineEvent::Ringing { early_media: false }));
    let chance: f64 = rng.random();
    if chance < 0.1 {
        let busy = Failure::Status {
            status: 486,
            q850: Some(17),
            reason: String::new(),
            retry_after: None,
            rang: true,
        };
        agenda.add(after(2.5), (id, LineEvent::Failed(busy)));
    } else if chance < 0.45 {
        let at = 3.0 + rng.random_range(0.0..12.0);
        agenda.add(after(at - 0.01), (id, LineEvent::FirstRtp));
        agenda.add(after(at), (id, LineEvent::Answered { dialog: vec![1], detecting: false }));
        // Whoever is left alone presses the key now and then.
        if rng.random_range(0..3) == 0 {
            agenda.add(after(at + 5.0), (id, LineEvent::Digit('9')));
        }
        let gone = LineEvent::Ended { by: EndedBy::Far, q850: Some(16) };
        agenda.add(after(at + rng.random_range(8.0..90.0)), (id, gone));
    }
}

/// A line that was taken back.
pub(super) fn cancel(now: Time, id: TryId, agenda: &mut Agenda<(TryId, LineEvent)>) {
    agenda.add(now + Duration::from_millis(80), (id, LineEvent::Failed(Failure::Cancelled)));
}

/// A call that was hung up.
pub(super) fn hang_up(now: Time, id: TryId, agenda: &mut Agenda<(TryId, LineEvent)>) {
    agenda.add(now + Duration::from_millis(80), (id, LineEvent::Ended { by: EndedBy::Near, q850: None }));
}
