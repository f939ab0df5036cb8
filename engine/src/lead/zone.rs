//! The time zone of a phone number.
//!
//! A number tells its zone only where its country, or its area code, lies in one. Where it lies in several the lead is
//! not dialed unless the list gives the zone: a guess could ring somebody an hour too early. Numbers that moved with
//! their owner cannot be told apart; the list's own zone goes first.

use std::sync::LazyLock;

/// The zones (IANA names) that a number, E.164 with the plus sign, may lie in: none when unknown, one when sure,
/// several when in doubt.
pub(crate) fn zones(e164: &str) -> &'static [&'static str] {
    let digits = e164.strip_prefix('+').unwrap_or(e164);
    if let Some(national) = digits.strip_prefix('1') {
        let area = national.get(..3).and_then(|a| a.parse::<usize>().ok());
        let row = area.and_then(|a| NANP_BY_AREA.get(a)).copied().flatten();
        return row.and_then(|row| NANP.get(usize::from(row))).map_or(&[], |&(zones, _)| zones);
    }
    // The longest prefix wins: +34928 lies on the Canaries, +34 does not say.
    (1..=LONGEST_PREFIX.min(digits.len()))
        .rev()
        .filter_map(|len| digits.get(..len))
        .find_map(|prefix| {
            let at = COUNTRIES_BY_PREFIX.binary_search_by(|&(p, _)| p.cmp(prefix)).ok()?;
            COUNTRIES_BY_PREFIX.get(at).map(|&(_, zones)| zones)
        })
        .unwrap_or(&[])
}

type Zones = &'static [&'static str];

/// From area code to the row of `NANP`.
static NANP_BY_AREA: LazyLock<Vec<Option<u8>>> = LazyLock::new(|| {
    let mut areas = vec![None; 1000];
    for (row, (_, codes)) in (0u8..).zip(NANP) {
        for code in codes.split_ascii_whitespace() {
            if let Some(slot) = code.parse::<usize>().ok().and_then(|c| areas.get_mut(c)) {
                *slot = Some(row);
            }
        }
    }
    areas
});

/// Sorted by prefix.
static COUNTRIES_BY_PREFIX: LazyLock<Vec<(&'static str, Zones)>> = LazyLock::new(|| {
    let mut rows: Vec<(&'static str, Zones)> = COUNTRIES
        .iter()
        .flat_map(|&(zones, prefixes)| prefixes.split_ascii_whitespace().map(move |p| (p, zones)))
        .collect();
    rows.sort_unstable_by_key(|&(prefix, _)| prefix);
    rows
});

const LONGEST_PREFIX: usize = 6;

/// Area codes of the North American Numbering Plan (NANPA, 2026). Codes on a zone border name each zone they touch.
#[rustfmt::skip]
const NANP: &[(Zones, &str)] = &[
    (&["America/New_York"], "201 202 203 207 212 215 216 220 223 227 229 234 239 240 252 267 272 276 283 301 302 304 305
        315 321 324 326 329 330 332 336 339 347 351 352 363 380 386 401 404 407 410 412 413 419 434 436 440 443 445 470
        472 475 478 484 508 513 516 518 540 551 561 567 570 571 582 585 603 607 609 610 614 617 624 631 640 645 646 656
        667 678 680 681 686 689 703 704 706 716 717 718 724 727 728 732 740 743 754 757 762 770 771 772 774 781 786 802 803
        804 813 814 821 826 828 835 838 839 843 845 848 854 856 857 859 860 862 863 864 865 878 904 908 910 912 914 917 919
        929 934 937 941 943 948 954 959 973 978 980 984"),
    (&["America/Detroit"], "231 248 269 313 517 586 616 679 734 810 947 989"),
    (&["America/Indiana/Indianapolis"], "260 317 463 765"),
    (&["America/Kentucky/Louisville"], "502"),
    (&["America/Chicago"], "205 210 214 217 218 219 224 225 228 235 251 254 256 262 274 281 309 312 314 316 318 319 320
        325 327 331 334 337 346 353 361 402 405 409 414 417 430 432 447 457 464 469 479 501 504 507 512 515 531 534 539 557
        563 572 573 580 601 608 612 615 618 621 629 630 636 641 651 659 660 662 682 708 712 713 715 726 730 731 737 763
        769 773 779 806 815 816 817 830 832 847 861 870 872 901 903 913 918 920 924 931 936 938 940 945 952 956 972 975
        979 985"),
    (&["America/Denver"], "303 307 385 406 435 505 575 719 720 748 801 915 970 983"),
    (&["America/Phoenix"], "480 520 602 623"),
    (&["America/Los_Angeles"], "206 209 213 253 279 310 323 341 350 357 360 369 408 415 424 425 442 503 509 510 530 559
        562 564 619 626 628 650 657 661 669 702 707 714 725 738 747 760 805 818 820 831 837 840 858 909 916 925 949 951
        971"),
    (&["Pacific/Honolulu"], "808"),
    // On a border: Indiana, Kentucky, Tennessee, Florida, Michigan, the Dakotas, Nebraska, Kansas, Idaho, Oregon,
    // Nevada (West Wendover), Arizona (the Navajo Nation keeps daylight-saving time), Alaska (Adak).
    (&["America/New_York", "America/Chicago"], "270 364 423 448 574 606 812 850 930"),
    (&["America/Detroit", "America/Menominee"], "906"),
    (&["America/Chicago", "America/Denver"], "308 605 620 701 785"),
    (&["America/Boise", "America/Los_Angeles"], "208 986"),
    (&["America/Los_Angeles", "America/Boise"], "458 541"),
    (&["America/Los_Angeles", "America/Denver"], "775"),
    (&["America/Phoenix", "America/Denver"], "928"),
    (&["America/Anchorage", "America/Adak"], "907"),
    // Canada.
    (&["America/Toronto"], "226 249 263 289 343 354 365 382 416 437 438 450 468 514 519 548 579 613 647 683 705 742 753
        819 873 905 942"),
    (&["America/Winnipeg"], "204 431 584"),
    (&["America/Edmonton"], "368 403 587 780 825"),
    (&["America/Vancouver"], "604"),
    (&["America/Halifax"], "782 902"),
    (&["America/Moncton"], "428 506"),
    (&["America/Toronto", "America/Winnipeg"], "807"),
    (&["America/Toronto", "America/Halifax", "America/Blanc-Sablon"], "367 418 581"),
    (&["America/Regina", "America/Edmonton", "America/Winnipeg"], "306 474 639"),
    (&["America/Vancouver", "America/Edmonton", "America/Dawson_Creek"], "236 250 257 672 778"),
    (&["America/St_Johns", "America/Goose_Bay"], "709 879"),
    (&["America/Whitehorse", "America/Yellowknife", "America/Rankin_Inlet", "America/Iqaluit"], "867"),
    // The Caribbean, Bermuda and the Pacific.
    (&["America/Nassau"], "242"), (&["America/Barbados"], "246"), (&["America/Anguilla"], "264"),
    (&["America/Antigua"], "268"), (&["America/Tortola"], "284"), (&["America/St_Thomas"], "340"),
    (&["America/Cayman"], "345"), (&["Atlantic/Bermuda"], "441"), (&["America/Grenada"], "473"),
    (&["America/Grand_Turk"], "649"), (&["America/Jamaica"], "658 876"), (&["America/Montserrat"], "664"),
    (&["Pacific/Saipan"], "670"), (&["Pacific/Guam"], "671"), (&["Pacific/Pago_Pago"], "684"),
    (&["America/Lower_Princes"], "721"), (&["America/St_Lucia"], "758"), (&["America/Dominica"], "767"),
    (&["America/St_Vincent"], "784"), (&["America/Puerto_Rico"], "787 939"),
    (&["America/Santo_Domingo"], "809 829 849"), (&["America/Port_of_Spain"], "868"), (&["America/St_Kitts"], "869"),
];

/// Country calling codes with one zone, and parts of countries that their numbers tell apart. A country with several
/// zones that its numbers do not tell apart is not here, or names them all.
#[rustfmt::skip]
const COUNTRIES: &[(Zones, &str)] = &[
    (&["Africa/Cairo"], "20"), (&["Africa/Juba"], "211"), (&["Africa/Casablanca"], "212"),
    (&["Africa/Algiers"], "213"), (&["Africa/Tunis"], "216"), (&["Africa/Tripoli"], "218"),
    (&["Africa/Banjul"], "220"), (&["Africa/Dakar"], "221"), (&["Africa/Nouakchott"], "222"),
    (&["Africa/Bamako"], "223"), (&["Africa/Conakry"], "224"), (&["Africa/Abidjan"], "225"),
    (&["Africa/Ouagadougou"], "226"), (&["Africa/Niamey"], "227"), (&["Africa/Lome"], "228"),
    (&["Africa/Porto-Novo"], "229"), (&["Indian/Mauritius"], "230"), (&["Africa/Monrovia"], "231"),
    (&["Africa/Freetown"], "232"), (&["Africa/Accra"], "233"), (&["Africa/Lagos"], "234"),
    (&["Africa/Ndjamena"], "235"), (&["Africa/Bangui"], "236"), (&["Africa/Douala"], "237"),
    (&["Atlantic/Cape_Verde"], "238"), (&["Africa/Sao_Tome"], "239"), (&["Africa/Malabo"], "240"),
    (&["Africa/Libreville"], "241"), (&["Africa/Brazzaville"], "242"), (&["Africa/Luanda"], "244"),
    (&["Africa/Bissau"], "245"), (&["Indian/Mahe"], "248"), (&["Africa/Khartoum"], "249"),
    (&["Africa/Kigali"], "250"), (&["Africa/Addis_Ababa"], "251"), (&["Africa/Mogadishu"], "252"),
    (&["Africa/Djibouti"], "253"), (&["Africa/Nairobi"], "254"), (&["Africa/Dar_es_Salaam"], "255"),
    (&["Africa/Kampala"], "256"), (&["Africa/Bujumbura"], "257"), (&["Africa/Maputo"], "258"),
    (&["Africa/Lusaka"], "260"), (&["Indian/Antananarivo"], "261"), (&["Indian/Reunion", "Indian/Mayotte"], "262"),
    (&["Africa/Harare"], "263"), (&["Africa/Windhoek"], "264"), (&["Africa/Blantyre"], "265"),
    (&["Africa/Maseru"], "266"), (&["Africa/Gaborone"], "267"), (&["Africa/Mbabane"], "268"),
    (&["Indian/Comoro"], "269"), (&["Africa/Johannesburg"], "27"), (&["Atlantic/St_Helena"], "290"),
    (&["Africa/Asmara"], "291"), (&["America/Aruba"], "297"), (&["Atlantic/Faroe"], "298"),
    (&["Europe/Athens"], "30"), (&["Europe/Amsterdam"], "31"), (&["Europe/Brussels"], "32"),
    (&["Europe/Paris"], "33"),
    // Spain: fixed lines tell the Canaries apart, mobiles do not.
    (&["Europe/Madrid", "Atlantic/Canary"], "34"), (&["Atlantic/Canary"], "34822 34828 34922 34928"),
    (&["Europe/Madrid"], "3481 34820 34821 34823 34824 34825 34826 34827 34829 3483 3484 3485 3486 3487 3488
        3491 34920 34921 34923 34924 34925 34926 34927 34929 3493 3494 3495 3496 3497 3498"),
    (&["Europe/Gibraltar"], "350"),
    // Portugal: likewise the Azores.
    (&["Europe/Lisbon", "Atlantic/Azores"], "351"), (&["Atlantic/Azores"], "351292 351295 351296"),
    (&["Europe/Lisbon"], "35121 35122 35123 35124 35125 35126 35127 35128"),
    (&["Europe/Luxembourg"], "352"), (&["Europe/Dublin"], "353"), (&["Atlantic/Reykjavik"], "354"),
    (&["Europe/Tirane"], "355"), (&["Europe/Malta"], "356"), (&["Asia/Nicosia"], "357"),
    (&["Europe/Helsinki"], "358"), (&["Europe/Sofia"], "359"), (&["Europe/Budapest"], "36"),
    (&["Europe/Vilnius"], "370"), (&["Europe/Riga"], "371"), (&["Europe/Tallinn"], "372"),
    (&["Europe/Chisinau"], "373"), (&["Asia/Yerevan"], "374"), (&["Europe/Minsk"], "375"),
    (&["Europe/Andorra"], "376"), (&["Europe/Monaco"], "377"), (&["Europe/San_Marino"], "378"),
    (&["Europe/Kyiv"], "380"), (&["Europe/Belgrade"], "381 383"), (&["Europe/Podgorica"], "382"),
    (&["Europe/Zagreb"], "385"), (&["Europe/Ljubljana"], "386"), (&["Europe/Sarajevo"], "387"),
    (&["Europe/Skopje"], "389"), (&["Europe/Rome"], "39"), (&["Europe/Bucharest"], "40"), (&["Europe/Zurich"], "41"),
    (&["Europe/Prague"], "420"), (&["Europe/Bratislava"], "421"), (&["Europe/Vaduz"], "423"),
    (&["Europe/Vienna"], "43"), (&["Europe/London"], "44"), (&["Europe/Copenhagen"], "45"),
    (&["Europe/Stockholm"], "46"), (&["Europe/Oslo"], "47"), (&["Europe/Warsaw"], "48"), (&["Europe/Berlin"], "49"),
    (&["Atlantic/Stanley"], "500"), (&["America/Belize"], "501"), (&["America/Guatemala"], "502"),
    (&["America/El_Salvador"], "503"), (&["America/Tegucigalpa"], "504"), (&["America/Managua"], "505"),
    (&["America/Costa_Rica"], "506"), (&["America/Panama"], "507"), (&["America/Miquelon"], "508"),
    (&["America/Port-au-Prince"], "509"), (&["America/Lima"], "51"), (&["America/Havana"], "53"),
    (&["America/Argentina/Buenos_Aires"], "54"), (&["America/Bogota"], "57"), (&["America/Caracas"], "58"),
    (&["America/Guadeloupe"], "590"), (&["America/La_Paz"], "591"), (&["America/Guyana"], "592"),
    (&["America/Guayaquil", "Pacific/Galapagos"], "593"), (&["America/Cayenne"], "594"),
    (&["America/Asuncion"], "595"), (&["America/Martinique"], "596"), (&["America/Paramaribo"], "597"),
    (&["America/Montevideo"], "598"), (&["America/Curacao"], "599"), (&["Asia/Kuala_Lumpur"], "60"),
    (&["Asia/Manila"], "63"), (&["Pacific/Auckland", "Pacific/Chatham"], "64"), (&["Asia/Singapore"], "65"),
    (&["Asia/Bangkok"], "66"), (&["Asia/Dili"], "670"), (&["Asia/Brunei"], "673"), (&["Pacific/Nauru"], "674"),
    (&["Pacific/Tongatapu"], "676"), (&["Pacific/Guadalcanal"], "677"), (&["Pacific/Efate"], "678"),
    (&["Pacific/Fiji"], "679"), (&["Pacific/Palau"], "680"), (&["Pacific/Wallis"], "681"),
    (&["Pacific/Rarotonga"], "682"), (&["Pacific/Niue"], "683"), (&["Pacific/Apia"], "685"),
    (&["Pacific/Noumea"], "687"), (&["Pacific/Funafuti"], "688"), (&["Pacific/Fakaofo"], "690"),
    (&["Pacific/Majuro"], "692"), (&["Asia/Tokyo"], "81"), (&["Asia/Seoul"], "82"), (&["Asia/Ho_Chi_Minh"], "84"),
    (&["Asia/Pyongyang"], "850"), (&["Asia/Hong_Kong"], "852"), (&["Asia/Macau"], "853"),
    (&["Asia/Phnom_Penh"], "855"), (&["Asia/Vientiane"], "856"), (&["Asia/Shanghai"], "86"),
    (&["Asia/Dhaka"], "880"), (&["Asia/Taipei"], "886"), (&["Europe/Istanbul"], "90"), (&["Asia/Kolkata"], "91"),
    (&["Asia/Karachi"], "92"), (&["Asia/Kabul"], "93"), (&["Asia/Colombo"], "94"), (&["Asia/Yangon"], "95"),
    (&["Indian/Maldives"], "960"), (&["Asia/Beirut"], "961"), (&["Asia/Amman"], "962"), (&["Asia/Damascus"], "963"),
    (&["Asia/Baghdad"], "964"), (&["Asia/Kuwait"], "965"), (&["Asia/Riyadh"], "966"), (&["Asia/Aden"], "967"),
    (&["Asia/Muscat"], "968"), (&["Asia/Hebron"], "970"), (&["Asia/Dubai"], "971"), (&["Asia/Jerusalem"], "972"),
    (&["Asia/Bahrain"], "973"), (&["Asia/Qatar"], "974"), (&["Asia/Thimphu"], "975"), (&["Asia/Kathmandu"], "977"),
    (&["Asia/Tehran"], "98"), (&["Asia/Dushanbe"], "992"), (&["Asia/Ashgabat"], "993"), (&["Asia/Baku"], "994"),
    (&["Asia/Tbilisi"], "995"), (&["Asia/Bishkek"], "996"), (&["Asia/Tashkent"], "998"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_number_tells_its_zone_or_says_that_it_does_not() {
        let one = |phone| match zones(phone) {
            [zone] => *zone,
            other => panic!("{phone}: {other:?}"),
        };
        assert_eq!(one("+12125550100"), "America/New_York");
        assert_eq!(one("+13125550100"), "America/Chicago");
        assert_eq!(one("+16025550100"), "America/Phoenix");
        assert_eq!(one("+18085550100"), "Pacific/Honolulu");
        assert_eq!(one("+16045550100"), "America/Vancouver");
        assert_eq!(one("+17875550100"), "America/Puerto_Rico");
        assert_eq!(one("+420777123456"), "Europe/Prague");
        assert_eq!(one("+442071234567"), "Europe/London");
        assert_eq!(one("+34928123456"), "Atlantic/Canary");
        assert_eq!(one("+34911234567"), "Europe/Madrid");
        assert_eq!(one("+351296123456"), "Atlantic/Azores");
        // Borders, mobiles of a country with several zones, toll-free, unknown codes.
        assert_eq!(zones("+18505550100"), ["America/New_York", "America/Chicago"]);
        assert_eq!(zones("+34600123456"), ["Europe/Madrid", "Atlantic/Canary"]);
        for unknown in ["+18005550100", "+79161234567", "+61412345678", "+883123456789", "+1", "+", ""] {
            assert!(zones(unknown).is_empty(), "{unknown}");
        }
    }

    #[test]
    fn every_zone_is_known_and_every_code_stands_once() {
        for (zones, codes) in NANP.iter().chain(COUNTRIES) {
            for zone in *zones {
                assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{zone} ({codes})");
            }
        }
        for table in [NANP, COUNTRIES] {
            let mut seen = BTreeSet::new();
            for code in table.iter().flat_map(|(_, codes)| codes.split_ascii_whitespace()) {
                assert!(seen.insert(code), "{code} stands twice");
                assert!(code.len() <= LONGEST_PREFIX && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
            }
        }
        assert!(NANP.iter().flat_map(|(_, c)| c.split_ascii_whitespace()).all(|c| c.len() == 3));
    }
}
