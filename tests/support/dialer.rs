//! A dialer of its own: configuration, store and users in a directory that goes away.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Client, Process, free_block, free_port, kraliki_reads};

/// Everybody's, in tests.
pub(crate) const PASSWORD: &str = "correct horse";
/// A start in the slowest build on a busy machine.
const START: Duration = Duration::from_secs(30);

/// Where a dialer lives, also between two runs.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) sip_port: u16,
    /// The ports of calls' audio, and that of browsers.
    pub(crate) media: RangeInclusive<u16>,
    pub(crate) browser_port: u16,
    config: PathBuf,
}

/// A dialer that runs.
pub(crate) struct Dialer {
    pub(crate) process: Process,
    pub(crate) base: String,
}

impl Site {
    /// With trunks as TOML, and so many UDP ports for audio. Each call takes two, for 5 s longer than it lasts.
    pub(crate) fn new(trunks: &str, media_ports: u16) -> Site {
        Site::with_media(trunks, media_ports, "")
    }

    /// As `new`, with more in `[media]`; `listen` there is instead of the loopback.
    pub(crate) fn with_media(trunks: &str, media_ports: u16, media: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("kraliki.toml");
        let sip_port = free_port();
        let first = free_block(media_ports + 2);
        let (browser, last) = (first + media_ports, first + media_ports - 1);
        let listen = if media.contains("listen = ") { "" } else { "listen = \"127.0.0.1\"\n" };
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = \"127.0.0.1:{sip_port}\"\n\
             [media]\n{listen}ports = \"{first}-{last}\"\nbrowser_port = {browser}\nplain_agents = true\n{media}\
             [store]\npath = \"{}\"\n[log]\nlevel = \"warn\"\n{trunks}",
            dir.path().join("kraliki.db").display()
        );
        std::fs::write(&config, text).unwrap();
        Site { dir, sip_port, media: first..=last, browser_port: browser, config }
    }

    pub(crate) fn config(&self) -> &str {
        self.config.to_str().unwrap()
    }

    /// Adds users as a person does at the command line.
    pub(crate) fn users(&self, users: &[(&str, &str)]) {
        for (name, role) in users {
            let args = ["user", "add", name, "--role", role, "--config", self.config()];
            let run = kraliki_reads(&args, &format!("{PASSWORD}\n"));
            assert_eq!(run.code, Some(0), "{run:?}");
        }
    }

    pub(crate) fn serve(&self) -> Dialer {
        let mut process = Process::kraliki(&["serve", "--config", self.config()], self.dir.path());
        let base = process
            .wait_line(START, |line| line.strip_prefix("console and API: ").map(|url| url.trim().to_owned()));
        Dialer { process, base }
    }

    /// Rows of the store, as SQLite's own program reads them.
    pub(crate) fn sql(&self, query: &str) -> Vec<Vec<String>> {
        let store = self.dir.path().join("kraliki.db");
        let output =
            Command::new("sqlite3").args(["-separator", "\t"]).arg(store).arg(query).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

impl Dialer {
    pub(crate) fn login(&self, username: &str) -> Client {
        Client::login(&self.base, username, PASSWORD)
    }

    /// SIGTERM; gives the exit code.
    pub(crate) fn terminate(self, most: Duration) -> Option<i32> {
        self.process.signal("TERM");
        self.process.finish(most).0
    }
}

/// Settings of a campaign that dials at any hour; `more` adds to them.
pub(crate) fn campaign(name: &str, more: Value) -> Value {
    let mut settings = json!({
        "name": name,
        "mode": "progressive",
        "ring_timeout_s": 15,
        "compliance": "none",
        "calling_hours": [{"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "24:00"}],
    });
    let Value::Object(more) = more else { panic!("{more} is not an object") };
    settings.as_object_mut().unwrap().extend(more);
    settings
}

/// The simulated carrier on a port, with so many ports for audio and a floor on which everything is quick.
pub(crate) fn carrier(site: &Site, port: u16, media_ports: u16, shares: &str) -> Process {
    carrier_with(site, port, media_ports, shares, "")
}

/// As `carrier`, with more in its profile.
pub(crate) fn carrier_with(site: &Site, port: u16, media_ports: u16, shares: &str, more: &str) -> Process {
    let floor = site.dir.path().join("floor.toml");
    let quick = "post_dial_delay_s = 0.05\nbusy_after_s = 0.1\nmachine_verdict_s = 0.5\nring_timeout_s = 15\n\
        grace_ms = 2000\nperson_ring = { mean_s = 0.4, sd_s = 0.2 }\nmachine_ring = { mean_s = 0.4, sd_s = 0.2 }\n\
        talk = { mean_s = 1.0, sd_s = 0.0 }\nwrap_up = { mean_s = 1.0, sd_s = 0.0 }\nname = \"quick\"\n";
    std::fs::write(&floor, format!("{quick}{shares}\n")).unwrap();
    let profile = site.dir.path().join("carrier.toml");
    std::fs::write(&profile, format!("floor = \"{}\"\naudio = \"tone\"\n{more}\n", floor.display())).unwrap();
    let first = free_block(media_ports);
    let ports = format!("{first}-{}", first + media_ports - 1);
    let listen = format!("127.0.0.1:{port}");
    let args = ["carrier", "--listen", &listen, "--ports", &ports, "--profile", profile.to_str().unwrap()];
    let mut process = Process::kraliki(&args, site.dir.path());
    process.wait_line(START, |line| line.contains("takes calls on").then_some(()));
    process
}
