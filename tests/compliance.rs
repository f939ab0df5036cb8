//! Some days under every compliance profile, looked at by a program that shares nothing with the dialer; and violations that
//! are planted into what was stored, each of which it must find.

use std::path::Path;
use std::process::Command;

use crate::support::{Run, kraliki};

fn python(args: &[&str]) -> Run {
    let output = Command::new("python3").args(args).output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn check(database: &Path) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-compliance");
    python(&[script.to_str().unwrap(), database.to_str().unwrap()])
}

/// Attempts of a campaign, by its name.
const OF: &str = "campaign = (SELECT id FROM campaigns WHERE json_extract(settings, '$.name') = ";

#[test]
fn days_under_every_profile_keep_to_the_law_and_planted_violations_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("days.db");
    let run = kraliki(&["simulate", "--year", database.to_str().unwrap(), "--days", "5"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let clean = check(&database);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(clean.stdout.contains("violations: none"), "{clean:?}");
    let sent: u64 = clean.stdout.split_whitespace().next().unwrap().parse().unwrap();
    assert!(sent > 100, "{clean:?}");

    let one = |campaign: &str| format!("id = (SELECT max(id) FROM attempts WHERE {OF}'{campaign}'))");
    let plants: [(&str, String); 11] = [
        // 03:00 in New York, wherever the lead lives.
        ("hours", format!("UPDATE attempts SET started_unix_ms = 1798963200000 WHERE {}", one("us"))),
        // A Sunday in Madrid.
        ("hours", format!("UPDATE attempts SET started_unix_ms = 1798974000000 WHERE {}", one("es"))),
        ("attempts", format!("CREATE TEMP TABLE one AS SELECT * FROM attempts \
            WHERE id = (SELECT max(id) FROM attempts WHERE phone LIKE '+1305%'); {}",
            "UPDATE one SET id = id + 1000000, started_unix_ms = started_unix_ms + 1; \
            INSERT INTO attempts SELECT * FROM one; ".repeat(3))),
        ("suppressed", "INSERT INTO suppressions (phone, reason, at_unix_ms) SELECT phone, 'x', 0 FROM attempts LIMIT 1".into()),
        ("redial", format!("UPDATE attempts SET outcome = 'abandoned', answered_unix_ms = started_unix_ms, \
            ended_unix_ms = started_unix_ms WHERE {OF}'uk')")),
        ("consent", "UPDATE leads SET consent = 'none' WHERE phone LIKE '+34%'".into()),
        ("place", format!("UPDATE attempts SET phone = '+14165550100' WHERE {}", one("us"))),
        ("caller_id", format!("UPDATE attempts SET caller_id = '+34600123456' WHERE {}", one("es"))),
        ("evidence", format!("UPDATE attempts SET evidence = '' WHERE {}", one("cz"))),
        ("national", "INSERT OR IGNORE INTO national_numbers SELECT CAST(substr(phone, 2) AS INTEGER), 'US', 9 FROM leads \
            WHERE phone LIKE '+1%'; UPDATE leads SET consent = 'none' WHERE phone LIKE '+1%'".into()),
        ("abandonment", format!("UPDATE attempts SET outcome = 'abandoned' WHERE answered_unix_ms IS NOT NULL AND {OF}'us')")),
    ];
    for (kind, sql) in plants {
        let planted = dir.path().join("planted.db");
        std::fs::copy(&database, &planted).unwrap();
        let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit()";
        let run = python(&["-c", script, planted.to_str().unwrap(), &sql]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let found = check(&planted);
        assert_eq!(found.code, Some(1), "{kind}: {found:?}");
        assert!(found.stdout.contains(&format!("{kind}: ")), "{kind}: {found:?}");
    }
}
