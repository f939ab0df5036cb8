//! A journal of a day gives the same outputs, byte for byte.

use super::world::{Setting, World};
use super::*;
use crate::journal::{Reader, Record};

#[test]
fn a_replay_gives_the_same_bytes() {
    let campaigns = vec![CampaignSettings { mode: Mode::Predictive, ..settings() }];
    let setting = Setting {
        restless: true,
        bad_disk: true,
        detecting: true,
        nonsense: 200,
        campaigns,
        ..Setting::calm(7)
    };
    let mut world = World::new(setting);
    world.run();
    let mut engine = Engine::new();
    let mut reader = Reader::new(&world.journal[..]).unwrap();
    let (mut outputs, mut records) = (Vec::new(), 0);
    while let Some((at, record)) = reader.next_record().unwrap() {
        match record {
            Record::Input(input) => engine.handle_input(at, *input),
            Record::Timeout => engine.handle_timeout(at),
        }
        records += 1;
        loop {
            let output = engine.poll_output();
            outputs.extend(serde_json::to_vec(&output).unwrap());
            if matches!(output, Output::Timeout(_)) {
                break;
            }
        }
    }
    assert!(records > 1_000, "{records}");
    assert!(outputs == world.outputs, "a replay went another way");
}
