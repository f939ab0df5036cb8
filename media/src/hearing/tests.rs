use super::*;

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn arrivals(sequences: impl IntoIterator<Item = u16>) -> Arrivals {
    let mut arrivals = Arrivals::default();
    sequences.into_iter().for_each(|sequence| arrivals.packet(sequence));
    arrivals
}

#[test]
fn what_is_overtaken_is_not_lost() {
    let tidy = arrivals(0..200);
    assert_eq!((tidy.meter().lost(), tidy.meter().loss()), (0, 0.0));
    let swapped = arrivals((0..200).map(|n| n ^ 1));
    assert_eq!((swapped.meter().lost(), swapped.repeated, swapped.reordered), (0, 0, 99));
    let twice = arrivals((0..200).flat_map(|n| [n, n]));
    assert_eq!((twice.meter().lost(), twice.repeated, twice.reordered), (0, 200, 0));
}

#[test]
fn losses_are_counted_in_their_order_and_over_the_wrap() {
    let first = u16::MAX - 40;
    let lost = |n: &u16| !matches!(n, 30 | 50..=54 | 99);
    let some = arrivals((0..100).filter(lost).map(|n| first.wrapping_add(n)));
    // The last one is among the lost: nobody knows that it was sent.
    assert_eq!((some.meter().lost(), some.meter().longest_run()), (6, 5));
    // More than the window holds, at once.
    let hole = arrivals((0..10).chain(500..600));
    assert_eq!(
        (hole.meter().lost(), hole.meter().longest_run(), hole.meter().bursts().bursts),
        (490, 490, 1)
    );
    // Too far for a loss: another stream.
    let jump = arrivals((0..10).chain(20_000..20_010));
    assert_eq!((jump.meter().lost(), jump.meter().loss()), (0, 0.0));
    // Too late for anybody.
    let late = arrivals((0..100).filter(|n| *n != 20).chain([20]));
    assert_eq!((late.meter().lost(), late.repeated, late.reordered), (1, 0, 0));
}

#[test]
fn loss_by_the_seed_is_measured() {
    let mut seed = 1_u64;
    let mut dropped = 0;
    let kept = (0..20_000_u32).filter(|n| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let keep = seed >> 33 > (1 << 31) / 20 || *n == 0 || *n == 19_999;
        dropped += u64::from(!keep);
        keep
    });
    let kept: Vec<u16> = kept.map(|n| n as u16).collect();
    let meter = arrivals(kept).meter();
    assert_eq!(meter.lost(), dropped);
    assert!((0.04..0.06).contains(&meter.loss()), "{}", meter.loss());
    assert!(meter.burst_ratio() < 1.1, "by chance: {}", meter.burst_ratio());
}

#[test]
fn levels_of_both_laws() {
    for codec in AudioCodec::G711 {
        let coder = codec.coder().unwrap();
        let mut levels = Levels::default();
        let mut take = |samples: [i16; 160]| {
            let mut payload = [0; 160];
            coder.encode(&samples, &mut payload);
            levels.take(codec, &payload)
        };
        let square = std::array::from_fn(|n| if n / 10 % 2 == 0 { 32_767 } else { -32_768 });
        let loud = std::array::from_fn(|n| if n % 2 == 0 { 32_767 } else { -9_000 });
        assert!(take(square), "clipped");
        assert!(take(loud), "peaks of one sample are no clipping");
        assert!(take([50; 160]), "quiet, and not nothing");
        assert!(!take([0; 160]), "nothing");
        assert_eq!((levels.clipped(), levels.silent()), (Some(0.25), Some(0.5)));
    }
    assert_eq!(Levels::default().clipped(), None);
}

/// 20 ms packets of G.711 from `from` to `to`, all octets as given. Gives what changed, with its moment.
fn feed(hearing: &mut Hearing, from: u64, to: u64, byte: u8) -> Vec<(u64, Option<Unheard>)> {
    let mut changes = Vec::new();
    for ms in (from..to).step_by(20) {
        let look = hearing.packet(at(ms), (ms / 20) as u16, false);
        hearing.audio(at(ms), AudioCodec::Pcmu, &[byte; 160], look || hearing.is_unheard());
        changes.extend(hearing.look(at(ms)).map(|why| (ms, why)));
    }
    changes
}

const ZERO: u8 = 0xff;
const VOICE: u8 = 0x20;

#[test]
fn a_far_end_that_is_not_heard() {
    let mut hearing = Hearing::new(at(0), 0);
    assert_eq!(feed(&mut hearing, 0, 2_000, VOICE), []);
    // Nothing comes.
    assert_eq!(hearing.due(at(2_000)), at(1_980) + NO_PACKETS_AFTER);
    assert_eq!(hearing.look(at(6_979)), None);
    assert_eq!(hearing.look(at(6_980)), Some(Some(Unheard::NoPackets)));
    assert_eq!(hearing.look(at(7_500)), None, "told once");
    // Then it is heard again, with the first packet that has something in it.
    assert_eq!(feed(&mut hearing, 8_000, 9_000, VOICE), [(8_000, None)]);
    // A microphone that is muted.
    let changes = feed(&mut hearing, 9_000, 25_000, ZERO);
    assert!(matches!(changes[..], [(18_860..=19_000, Some(Unheard::DigitalSilence))]), "{changes:?}");
    // Then it stops sending altogether, and comes back.
    assert_eq!(hearing.due(at(25_000)), at(24_980) + NO_PACKETS_AFTER);
    assert_eq!(hearing.look(at(30_000)), Some(Some(Unheard::NoPackets)));
    assert_eq!(feed(&mut hearing, 31_000, 31_100, VOICE), [(31_000, None)]);
    let quality = hearing.quality(at(31_100), 0, None);
    assert_eq!((quality.unheard, quality.was_unheard), (None, Some(Unheard::DigitalSilence)));
    let s = quality.unheard_for.as_secs_f64();
    // From 1.98 to 8 s, and from about 8.9 to 31 s.
    assert!((28.0..28.4).contains(&s), "{s}");
}

#[test]
fn comfort_noise_and_hold_are_heard() {
    let mut hearing = Hearing::new(at(0), 0);
    for second in 1..60 {
        hearing.packet(at(second * 1_000), second as u16, false);
        hearing.other(at(second * 1_000), true);
        assert_eq!(hearing.look(at(second * 1_000)), None);
    }
    assert_eq!(hearing.look(at(99_000)), None, "a long pause");
    hearing.expect(at(100_000));
    assert_eq!(hearing.look(at(100_000)), None);
    assert_eq!(hearing.quality(at(100_000), 0, None).was_unheard, None);
}

#[test]
fn what_the_far_end_says_of_us() {
    let mut hearing = Hearing::new(at(0), 100);
    let quality = hearing.quality(at(0), 100, None);
    assert_eq!((quality.far_loss, quality.far_mos(), quality.sent), (None, None, 0));
    let block = |lost, highest_sequence| ReportBlock { lost, highest_sequence, ..ReportBlock::default() };
    // What was lost before the call does not count.
    hearing.report(&block(90, 1_000), Duration::from_millis(1));
    assert_eq!(hearing.quality(at(0), 100, None).far_loss, None);
    hearing.report(&block(100, 1_200), Duration::from_millis(7));
    let quality = hearing.quality(at(4_000), 300, Some(Duration::from_millis(80)));
    assert_eq!((quality.far_loss, quality.sent), (Some(0.05), 200));
    assert_eq!(quality.far_jitter, Some(Duration::from_millis(7)));
    assert!((3.0..4.2).contains(&quality.far_mos().unwrap()), "{:?}", quality.far_mos());
    assert!(quality.mos() > quality.far_mos().unwrap());
    assert_eq!((quality.loss(), quality.silent, quality.codec), (0.0, None, None));
}
