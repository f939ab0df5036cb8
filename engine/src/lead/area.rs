//! Which state or country an area code of the North American Numbering Plan lies in, and in which zones a US state lies.

use std::sync::LazyLock;

/// The country, and in the US the state, of an area code; none for codes that have no place (toll-free and others) or
/// that nobody has.
pub(crate) fn area(code: &str) -> Option<(&'static str, &'static str)> {
    let code = code.parse::<usize>().ok()?;
    BY_CODE.get(code).copied().flatten()
}

/// The zones (IANA names) of a US state or territory, by its two letters; empty when there is none of that name.
pub(crate) fn state_zones(state: &str) -> &'static [&'static str] {
    let found = STATES.iter().find(|(code, ..)| *code == state);
    found.map_or(&[], |(_, _, zones)| zones)
}

/// The two letters of a US state or territory, as people write it: by these letters or by its name.
pub(crate) fn us_state(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let found = STATES
        .iter()
        .find(|(code, name, _)| code.eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text));
    found.map(|(code, ..)| *code)
}

type Place = (&'static str, &'static str);

static BY_CODE: LazyLock<Vec<Option<Place>>> = LazyLock::new(|| {
    let mut areas = vec![None; 1000];
    for (country, state, codes) in AREAS {
        for code in codes.split_ascii_whitespace() {
            if let Some(slot) = code.parse::<usize>().ok().and_then(|code| areas.get_mut(code)) {
                *slot = Some((*country, *state));
            }
        }
    }
    areas
});

/// By NANPA, 2026.
#[rustfmt::skip]
const AREAS: &[(&str, &str, &str)] = &[
    ("US", "AL", "205 251 256 334 659 938"), ("US", "AK", "907"), ("US", "AZ", "480 520 602 623 928"),
    ("US", "AR", "327 479 501 870"),
    ("US", "CA", "209 213 279 310 323 341 350 357 369 408 415 424 442 510 530 559 562 619 626 628 650 657 661 669 707
        714 738 747 760 805 818 820 831 837 840 858 909 916 925 949 951"),
    ("US", "CO", "303 719 720 748 970 983"), ("US", "CT", "203 475 860 959"), ("US", "DE", "302"),
    ("US", "DC", "202 771"),
    ("US", "FL", "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954"),
    ("US", "GA", "229 404 470 478 678 706 762 770 912 943"), ("US", "HI", "808"), ("US", "ID", "208 986"),
    ("US", "IL", "217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 861 872"),
    ("US", "IN", "219 260 317 463 574 765 812 930"), ("US", "IA", "319 515 563 641 712"),
    ("US", "KS", "316 620 785 913"), ("US", "KY", "270 364 502 606 859"),
    ("US", "LA", "225 318 337 457 504 985"), ("US", "ME", "207"), ("US", "MD", "227 240 301 410 443 667"),
    ("US", "MA", "339 351 413 508 617 774 781 857 978"),
    ("US", "MI", "231 248 269 313 517 586 616 679 734 810 906 947 989"),
    ("US", "MN", "218 320 507 612 651 763 924 952"), ("US", "MS", "228 601 662 769"),
    ("US", "MO", "235 314 417 557 573 636 660 816 975"), ("US", "MT", "406"), ("US", "NE", "308 402 531"),
    ("US", "NV", "702 725 775"), ("US", "NH", "603"), ("US", "NJ", "201 551 609 640 732 848 856 862 908 973"),
    ("US", "NM", "505 575"),
    ("US", "NY", "212 315 329 332 347 363 516 518 585 607 624 631 646 680 716 718 838 845 914 917 929 934"),
    ("US", "NC", "252 336 472 704 743 828 910 919 980 984"), ("US", "ND", "701"),
    ("US", "OH", "216 220 234 283 326 330 380 419 436 440 513 567 614 740 937"),
    ("US", "OK", "405 539 572 580 918"), ("US", "OR", "458 503 541 971"),
    ("US", "PA", "215 223 267 272 412 445 484 570 582 610 717 724 814 835 878"), ("US", "RI", "401"),
    ("US", "SC", "803 821 839 843 854 864"), ("US", "SD", "605"), ("US", "TN", "423 615 629 731 865 901 931"),
    ("US", "TX", "210 214 254 281 325 346 361 409 430 432 469 512 621 682 713 726 737 806 817 830 832 903 915 936 940
        945 956 972 979"),
    ("US", "UT", "385 435 801"), ("US", "VT", "802"), ("US", "VA", "276 434 540 571 686 703 757 804 826 948"),
    ("US", "WA", "206 253 360 425 509 564"), ("US", "WV", "304 681"),
    ("US", "WI", "262 274 353 414 534 608 715 920"), ("US", "WY", "307"),
    // Territories: US law holds there.
    ("US", "PR", "787 939"), ("US", "VI", "340"), ("US", "GU", "671"), ("US", "AS", "684"), ("US", "MP", "670"),
    ("CA", "", "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506
        514 519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905
        942"),
    ("BS", "", "242"), ("BB", "", "246"), ("AI", "", "264"), ("AG", "", "268"), ("VG", "", "284"), ("KY", "", "345"),
    ("BM", "", "441"), ("GD", "", "473"), ("TC", "", "649"), ("JM", "", "658 876"), ("MS", "", "664"),
    ("SX", "", "721"), ("LC", "", "758"), ("DM", "", "767"), ("VC", "", "784"), ("DO", "", "809 829 849"),
    ("TT", "", "868"), ("KN", "", "869"),
];

const EASTERN: &[&str] = &["America/New_York"];
const CENTRAL: &[&str] = &["America/Chicago"];
const MOUNTAIN: &[&str] = &["America/Denver"];
const PACIFIC: &[&str] = &["America/Los_Angeles"];
const EAST_CENTRAL: &[&str] = &["America/New_York", "America/Chicago"];
const CENTRAL_MOUNTAIN: &[&str] = &["America/Chicago", "America/Denver"];

/// Letters, name, zones.
#[rustfmt::skip]
const STATES: &[(&str, &str, &[&str])] = &[
    ("AL", "Alabama", CENTRAL), ("AK", "Alaska", &["America/Anchorage", "America/Adak"]),
    ("AZ", "Arizona", &["America/Phoenix", "America/Denver"]), ("AR", "Arkansas", CENTRAL),
    ("CA", "California", PACIFIC), ("CO", "Colorado", MOUNTAIN), ("CT", "Connecticut", EASTERN),
    ("DE", "Delaware", EASTERN), ("DC", "District of Columbia", EASTERN), ("FL", "Florida", EAST_CENTRAL),
    ("GA", "Georgia", EASTERN), ("HI", "Hawaii", &["Pacific/Honolulu"]),
    ("ID", "Idaho", &["America/Boise", "America/Los_Angeles"]), ("IL", "Illinois", CENTRAL),
    ("IN", "Indiana", &["America/Indiana/Indianapolis", "America/Chicago"]), ("IA", "Iowa", CENTRAL),
    ("KS", "Kansas", CENTRAL_MOUNTAIN), ("KY", "Kentucky", EAST_CENTRAL), ("LA", "Louisiana", CENTRAL),
    ("ME", "Maine", EASTERN), ("MD", "Maryland", EASTERN), ("MA", "Massachusetts", EASTERN),
    ("MI", "Michigan", &["America/Detroit", "America/Menominee"]), ("MN", "Minnesota", CENTRAL),
    ("MS", "Mississippi", CENTRAL), ("MO", "Missouri", CENTRAL), ("MT", "Montana", MOUNTAIN),
    ("NE", "Nebraska", CENTRAL_MOUNTAIN), ("NV", "Nevada", &["America/Los_Angeles", "America/Denver"]),
    ("NH", "New Hampshire", EASTERN), ("NJ", "New Jersey", EASTERN), ("NM", "New Mexico", MOUNTAIN),
    ("NY", "New York", EASTERN), ("NC", "North Carolina", EASTERN), ("ND", "North Dakota", CENTRAL_MOUNTAIN),
    ("OH", "Ohio", EASTERN), ("OK", "Oklahoma", CENTRAL), ("OR", "Oregon", &["America/Los_Angeles", "America/Boise"]),
    ("PA", "Pennsylvania", EASTERN), ("RI", "Rhode Island", EASTERN), ("SC", "South Carolina", EASTERN),
    ("SD", "South Dakota", CENTRAL_MOUNTAIN), ("TN", "Tennessee", EAST_CENTRAL), ("TX", "Texas", CENTRAL_MOUNTAIN),
    ("UT", "Utah", MOUNTAIN), ("VT", "Vermont", EASTERN), ("VA", "Virginia", EASTERN), ("WA", "Washington", PACIFIC),
    ("WV", "West Virginia", EASTERN), ("WI", "Wisconsin", CENTRAL), ("WY", "Wyoming", MOUNTAIN),
    ("PR", "Puerto Rico", &["America/Puerto_Rico"]), ("VI", "US Virgin Islands", &["America/St_Thomas"]),
    ("GU", "Guam", &["Pacific/Guam"]), ("AS", "American Samoa", &["Pacific/Pago_Pago"]),
    ("MP", "Northern Mariana Islands", &["Pacific/Saipan"]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::zone::zones;
    use super::*;

    #[test]
    fn every_code_stands_once_and_lies_in_a_zone_of_its_state() {
        let mut seen = BTreeSet::new();
        for (country, state, codes) in AREAS {
            for code in codes.split_ascii_whitespace() {
                assert!(seen.insert(code), "{code} stands twice");
                if *country != "US" {
                    continue;
                }
                let there = state_zones(state);
                assert!(!there.is_empty(), "{state}");
                let offset = |zone: &&str| {
                    let at: jiff::Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
                    jiff::tz::TimeZone::get(zone).unwrap().to_offset(at)
                };
                let number = format!("+1{code}5550100");
                let offsets: Vec<_> = there.iter().map(offset).collect();
                assert!(
                    zones(&number).iter().map(offset).all(|zone| offsets.contains(&zone)),
                    "{code} {state}"
                );
            }
        }
        // The table of zones knows the same codes.
        for code in 200..1000 {
            let code = code.to_string();
            let number = format!("+1{code}5550100");
            assert_eq!(!zones(&number).is_empty(), area(&code).is_some(), "{code}");
        }
    }

    #[test]
    fn states_as_people_write_them() {
        assert_eq!(us_state("fl"), Some("FL"));
        assert_eq!(us_state(" New york "), Some("NY"));
        assert_eq!(us_state("Ontario"), None);
        assert_eq!(area("850"), Some(("US", "FL")));
        assert_eq!(area("416"), Some(("CA", "")));
        assert_eq!((area("800"), area("555"), area("")), (None, None, None));
    }
}
