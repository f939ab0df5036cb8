//! What is known of who answered, and prompts that were uploaded.

use super::*;
use crate::{LedgerCounts, Mark};

fn mark(attempt: i64, mark: Mark) -> Write {
    Write::Marked { attempt: AttemptId(attempt), mark }
}

#[tokio::test]
async fn marks_of_attempts_and_their_counts_after_a_restart() {
    let mut rig = Rig::new().await;
    rig.leads(5).await;
    for id in 1..=4 {
        assert!(rig.write(new_try(id, 1, id)).await);
        assert!(rig.write(answered(id)).await);
    }
    // 1 is left a message, 2 and 3 are checked by agents, 4 is only given to one.
    assert!(rig.write(mark(1, Mark::MessageLeft)).await);
    for id in 2..=4 {
        assert!(rig.write(connected(id, false)).await);
        assert!(rig.write(mark(id, Mark::Sampled)).await);
    }
    assert_eq!(rig.call(2).await.call.machine_check, Some(MachineCheck::Asked));
    assert!(rig.write(mark(2, Mark::Checked { machine: true })).await);
    assert!(rig.write(mark(3, Mark::Checked { machine: false })).await);
    for (id, outcome) in [(1, Outcome::Machine), (2, Outcome::Machine), (3, Outcome::Connected)] {
        assert!(rig.write(ended(id, outcome, change(id, LeadStatus::Done, 1))).await);
    }
    // In one transaction with the end, whatever comes first.
    rig.send(None, ended(4, Outcome::Screened, change(4, LeadStatus::Done, 1)));
    assert!(rig.write(mark(4, Mark::MessageLeft)).await);
    assert!(rig.write(mark(99, Mark::Sampled)).await, "settled, and counted as refused");
    let (one, two, three) = (rig.call(1).await.call, rig.call(2).await.call, rig.call(3).await.call);
    assert_eq!((one.message_left, one.machine_check), (true, None));
    assert_eq!((two.message_left, two.machine_check), (false, Some(MachineCheck::Machine)));
    assert_eq!(three.machine_check, Some(MachineCheck::Person));
    let four = rig.call(4).await.call;
    assert_eq!((four.message_left, four.machine_check), (true, Some(MachineCheck::Asked)));

    let rig = Rig::at(rig.stop().await).await;
    let recovered = rig.store.recover(NOW + 60_000).await.unwrap();
    let known = &recovered.campaigns[0];
    // Only 1 ended as a machine that no agent had.
    let sum =
        |of: fn(&LedgerCounts) -> u32| known.ledger.iter().map(|minute| of(&minute.counts)).sum::<u32>();
    let (machines, checked, persons) = (sum(|c| c.machines), sum(|c| c.checked), sum(|c| c.persons));
    assert_eq!((machines, checked, persons), (1, 2, 1));
    assert_eq!((sum(|c| c.answered), sum(|c| c.abandoned)), (1, 0));
}

#[tokio::test]
async fn prompts_are_kept_named_and_deleted() {
    let rig = Rig::new().await;
    let store = &rig.store;
    let samples: Vec<i16> = (0..8_000).map(|n| n - 4_000).collect();
    let added = store.add_prompt("Jaro 2026", &samples, NOW).await.unwrap();
    assert_eq!((added.id, added.lasted_ms), (1, 1_000));
    assert!(matches!(
        store.add_prompt("Jaro 2026", &samples, NOW).await,
        Err(StoreError::Exists { what: "prompt" })
    ));
    for (name, samples) in [("a/b", &samples[..]), ("ok", &[]), ("ok", &vec![0; PROMPT_SAMPLES_MOST + 1])] {
        assert!(
            matches!(store.add_prompt(name, samples, NOW).await, Err(StoreError::Invalid { .. })),
            "{name}"
        );
    }
    store.add_prompt("b", &samples[..800], NOW).await.unwrap();

    let mut rig = Rig::at(rig.stop().await).await;
    let names: Vec<String> = rig.store.prompts().await.unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["Jaro 2026", "b"]);
    assert_eq!(rig.store.prompt_samples("Jaro 2026").await.unwrap(), Some(samples));
    assert_eq!(rig.store.prompt_samples("none").await.unwrap(), None);

    let mut campaign = campaign(1);
    campaign.settings.voicemail_message = "prompt:b".into();
    assert!(rig.write(Write::Campaign(Box::new(campaign))).await);
    let refused = rig.store.delete_prompt(2).await;
    assert!(matches!(&refused, Err(StoreError::Invalid { message, .. }) if message.contains("Campaign 1")));
    assert!(rig.store.delete_prompt(1).await.unwrap());
    assert!(!rig.store.delete_prompt(1).await.unwrap());
    assert_eq!(rig.store.prompts().await.unwrap().len(), 1);
}
