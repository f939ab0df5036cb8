//! Judges who-answered detection by a corpus (`scripts/amd-corpus`), beside the silence rules of Asterisk's documentation.
//!
//! `cargo run --release -p kraliki-media --example amd -- target/amd/held.jsonl [--rules FILE] [--wrong] [--features]`
//! `--wrong` explains each wrong decision, `--features` prints the numbers of each first decision as CSV instead, `--trace MS` those of every so many ms.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a table of a real corpus, and the CPU it took

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kraliki_media::Audio;
use kraliki_media::detect::corpus::{
    Call, Judged, Row, SilenceRules, Table, judge_by_silence, listen, read, trace,
};
use kraliki_media::detect::{Class, Event, Rules};

/// Each call is heard so often for the CPU figure, of which the quickest counts: others use this machine too.
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut manifest = None;
    let mut rules = Rules::standard();
    let (mut wrong, mut features, mut every_ms) = (false, false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rules" => {
                rules = Rules::parse(&std::fs::read_to_string(arguments.next().ok_or("--rules FILE")?)?)?
            }
            "--wrong" => wrong = true,
            "--features" => features = true,
            "--trace" => every_ms = Some(arguments.next().ok_or("--trace MS")?.parse()?),
            _ => manifest = Some(argument),
        }
    }
    let manifest =
        manifest.ok_or("which manifest? scripts/amd-corpus target/amd makes target/amd/held.jsonl")?;
    let rules = Arc::new(rules);
    let calls = read(Path::new(&manifest))?;
    if let Some(every_ms) = every_ms {
        return print_trace(&rules, &calls, every_ms);
    }
    let judged: Vec<Judged> =
        calls.iter().map(|(call, audio)| listen(&rules, call, audio.samples())).collect();
    if features {
        return print_features(&judged);
    }
    let table: Table = judged.iter().map(Judged::row).collect();
    println!("{table}");
    println!(
        "| {} calls | people taken for machines | machines taken for people at first | … 6 s after the answer | … and for good | decided after a person's answer p50 / p95 | after the first word p50 / p95 | later than 1.2 s |",
        table.calls()
    );
    println!("|---|---|---|---|---|---|---|---|");
    figures(&format!("Kraliki Voice, rules {}", rules.version), &table);
    for words in [3, 2] {
        let silence = SilenceRules { maximum_number_of_words: words, ..SilenceRules::default() };
        let row = |(call, audio): &(Call, Audio)| judge_by_silence(&silence, call, audio.samples());
        figures(&format!("Asterisk's silence rules, {words} words"), &calls.iter().map(row).collect());
    }
    tones(&judged);
    cpu(&rules, &calls);
    if wrong {
        judged.iter().for_each(explain);
    }
    Ok(())
}

fn figures(name: &str, table: &Table) {
    println!(
        "| {name} | {:.1}% | {:.1}% | {:.1}% | {:.1}% | {} / {} ms | {} / {} ms | {:.1}% |",
        table.false_machines() * 100.0,
        table.misses_at_first() * 100.0,
        table.misses_after(6_000) * 100.0,
        table.misses() * 100.0,
        table.after_answer_ms(0.5),
        table.after_answer_ms(0.95),
        table.after_word_ms(0.5),
        table.after_word_ms(0.95),
        table.late() * 100.0,
    );
}

fn tones(judged: &[Judged]) {
    let known: Vec<bool> = judged.iter().filter_map(Judged::tones_right).collect();
    let right = known.iter().filter(|right| **right).count();
    let speech = |j: &&Judged| matches!(j.row().truth, Class::Person | Class::Machine | Class::Screening);
    let spoken = || judged.iter().filter(speech);
    let heard = |is: fn(&Event) -> bool| spoken().flat_map(|j| &j.heard).filter(|event| is(event)).count();
    let seconds: u32 = spoken().map(|j| j.ms).sum::<u32>() / 1_000;
    let unasked = spoken().filter(|j| j.call.beep_hz.is_none());
    let beeps = unasked.flat_map(|j| &j.heard).filter(|event| matches!(event, Event::Beep { .. })).count();
    println!("\nTones, beeps among them: {right} of {} told as what they are.", known.len());
    println!(
        "In {seconds} s of calls with speech: {} keys, {} fax, {} SIT, {} line tones, {beeps} beeps that were none.",
        heard(|e| matches!(e, Event::Digit(_))),
        heard(|e| matches!(e, Event::FaxCalling | Event::FaxAnswering)),
        heard(|e| matches!(e, Event::Sit(_))),
        heard(|e| matches!(e, Event::Line(_))),
    );
}

fn cpu(rules: &Arc<Rules>, calls: &[(Call, Audio)]) {
    let mut spent = Duration::ZERO;
    let mut sound = Duration::ZERO;
    for (call, audio) in calls {
        let once = || {
            let began = Instant::now();
            std::hint::black_box(listen(rules, call, audio.samples()));
            began.elapsed()
        };
        spent += (0..ROUNDS).map(|_| once()).min().unwrap_or_default();
        sound += audio.duration();
    }
    println!("\nCPU: {:.3} ms for a second of audio.", spent.as_secs_f64() * 1_000.0 / sound.as_secs_f64());
}

fn explain(judged: &Judged) {
    let Row { truth, first, last, .. } = judged.row();
    if truth != last || judged.tones_right() == Some(false) {
        let decision = judged.first.as_ref().map_or("too short".to_owned(), ToString::to_string);
        println!(
            "\n{} {truth:?} ({}), told {first:?} then {last:?}\n  {decision}",
            judged.call.file, judged.call.kind
        );
        println!("  {:?}", judged.heard);
        if let Some(features) = judged.features() {
            let all: Vec<String> =
                features.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
            println!("  {}", all.join(", "));
        }
    }
}

fn print_trace(rules: &Arc<Rules>, calls: &[(Call, Audio)], every_ms: usize) -> Result<(), Box<dyn Error>> {
    let mut headed = false;
    for (call, audio) in calls {
        for (ms, features) in trace(rules, call, audio.samples(), every_ms) {
            if !std::mem::replace(&mut headed, true) {
                let names: Vec<_> = features.iter().map(|(name, _)| name).collect();
                println!("file,class,kind,ms,{}", names.join(","));
            }
            let values: Vec<String> = features.iter().map(|(_, value)| format!("{value:.3}")).collect();
            println!("{},{},{},{ms},{}", call.file, call.class, call.kind, values.join(","));
        }
    }
    Ok(())
}

fn print_features(judged: &[Judged]) -> Result<(), Box<dyn Error>> {
    let names = judged.iter().find_map(Judged::features).ok_or("no decisions")?;
    println!(
        "file,class,kind,told,at_ms,{}",
        names.iter().map(|(name, _)| name).collect::<Vec<_>>().join(",")
    );
    for one in judged {
        let Some(decision) = &one.first else { continue };
        let values: Vec<String> = decision.features.iter().map(|(_, value)| format!("{value:.3}")).collect();
        let call = &one.call;
        println!(
            "{},{},{},{:?},{},{}",
            call.file,
            call.class,
            call.kind,
            decision.class,
            decision.at_ms,
            values.join(",")
        );
    }
    Ok(())
}
