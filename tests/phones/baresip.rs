//! baresip as a phone: it speaks a tone, picks up by itself, and writes what it hears into files.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::browser::far_end::Heard;
use crate::browser::write_wav;
use crate::support::{Process, free_block, free_port, wait_for};

const MODULES: &str = "/usr/lib/baresip/modules";
const RATE: u32 = 8_000;
/// The longest test: a file that ends leaves the phone without a voice.
const TONE_S: u32 = 300;
const STEP: Duration = Duration::from_secs(30);
/// A WAV header as libsndfile writes it.
const WAV_HEADER: usize = 44;
/// A start and a registration on a busy machine.
const START: Duration = Duration::from_secs(20);

/// A phone that runs. It is killed when it is dropped.
pub(crate) struct Baresip {
    process: Process,
    control: u16,
    dumps: PathBuf,
}

impl Baresip {
    /// Starts it as the phone of "ada"; it registers by itself.
    pub(crate) fn start(dir: &Path, server: u16, password: &str, hz: f64) -> Baresip {
        let home = dir.join(format!("baresip-{password}"));
        let dumps = home.join("dumps");
        std::fs::create_dir_all(&dumps).unwrap();
        let tone = home.join("tone.wav");
        write_tone(&tone, hz);
        let control = free_port();
        let ports = free_block(20);
        // The source's rate is the codec's: baresip would not resample it without another module.
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\nrtp_ports {ports}-{}\n\
             audio_source aufile,{}\naudio_player aubridge,nowhere\naudio_alert aubridge,nowhere\n\
             ausrc_srate {RATE}\nauplay_srate {RATE}\njitter_buffer_type fixed\njitter_buffer_delay 1-5\n\
             module_path {MODULES}\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
             module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             snd_path {}\nctrl_tcp_listen 127.0.0.1:{control}\n",
            ports + 19,
            tone.display(),
            dumps.display(),
        );
        let account = format!(
            "<sip:ada@127.0.0.1:{server};transport=udp>;auth_user=ada;auth_pass={password};answermode=auto;\
             regint=60;audio_codecs=PCMU\n"
        );
        for (name, text) in [("config", config.as_str()), ("accounts", &account), ("contacts", "")] {
            std::fs::write(home.join(name), text).unwrap();
        }
        let mut process = Process::start("baresip", &["-f", home.to_str().unwrap(), "-v"], dir);
        process.wait_line(START, |line| line.contains("baresip is ready").then_some(()));
        Baresip { process, control, dumps }
    }

    /// Presses a key of it: `hangup`, or `dial` with an address.
    pub(crate) fn command(&mut self, command: &str, params: &str) {
        let text = serde_json::json!({"command": command, "params": params, "token": "test"}).to_string();
        let mut control = TcpStream::connect(("127.0.0.1", self.control)).unwrap();
        control.write_all(format!("{}:{text},", text.len()).as_bytes()).unwrap();
        self.wait_line(&format!("cmd='{command}'"));
    }

    /// Waits until it says so.
    pub(crate) fn wait_line(&mut self, what: &str) {
        self.process.wait_line(STEP, |line| line.contains(what).then_some(()));
    }

    /// Ends it; gives how many windows of 100 ms of what it heard are that tone.
    pub(crate) fn finish(self, hz: f64) -> usize {
        // Its calls are over and their files closed; a gentle end would wait for an answer to its last REGISTER.
        self.process.kill();
        let mut windows = 0;
        wait_for("the dumps", STEP, || {
            let entries = std::fs::read_dir(&self.dumps).unwrap().flatten().map(|entry| entry.path());
            let heard: Vec<_> = entries.filter(|p| p.to_string_lossy().ends_with("-dec.wav")).collect();
            (!heard.is_empty()).then_some(heard)
        })
        .into_iter()
        .for_each(|path| {
            let bytes = std::fs::read(path).unwrap();
            let samples = bytes.get(WAV_HEADER..).unwrap_or_default().chunks_exact(2);
            let heard = Heard::of(samples.map(|s| f64::from(i16::from_le_bytes([s[0], s[1]]))).collect());
            windows += super::tones(&heard, hz);
        });
        windows
    }
}

/// A file with a steady tone.
fn write_tone(path: &Path, hz: f64) {
    let sample = |i: u32| {
        (12_000.0 * (std::f64::consts::TAU * hz * f64::from(i % RATE) / f64::from(RATE)).sin()) as i16
    };
    let data: Vec<u8> = (0..RATE * TONE_S).flat_map(|i| sample(i).to_le_bytes()).collect();
    write_wav(path, RATE, &data);
}
