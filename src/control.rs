//! The control socket: commands of this machine's command line for a running dialer. A Unix socket beside the store,
//! open to its owner only. A request is one JSON line, then bytes if it has any; the answer is one JSON line.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use kraliki_engine::runtime::EngineHandle;
use kraliki_engine::{AttemptId, ImportOptions};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::Failed;
use crate::config::Config;
use crate::manage;
use crate::node::beside;
use crate::suppression;

/// The longest request line.
const LINE_BYTES: u64 = 64 * 1024;
/// Bytes of a list that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Args)]
pub(crate) struct Trace {
    /// The call's number, as in the console
    call: AttemptId,
    /// Leaves out who calls whom, to show the messages to others
    #[arg(long)]
    hide_numbers: bool,
    /// The configuration file of the running dialer
    #[arg(long, env = "KRALIKI_CONFIG")]
    pub(crate) config: PathBuf,
}

/// What is asked of the running dialer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    SipTrace {
        call: AttemptId,
        hide_numbers: bool,
    },
    AddUser(manage::NewUser),
    /// The file's bytes follow the line.
    ImportList {
        campaign: String,
        list: String,
        options: ImportOptions,
    },
    /// The file's bytes follow the line.
    ImportNumbers(suppression::Wanted),
}

pub(crate) fn socket_path(store: &Path) -> PathBuf {
    beside(store, ".ctl")
}

/// Takes requests until the process ends.
pub(crate) fn listen(path: &Path, handle: EngineHandle) -> anyhow::Result<()> {
    // The store is ours alone by its lock, so a socket that is left there is a dead one.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot open the control socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    tokio::spawn(async move {
        // One at a time: a person at a terminal.
        while let Ok((stream, _)) = listener.accept().await {
            if let Err(error) = serve_one(stream, &handle).await {
                tracing::warn!(%error, "a request on the control socket failed");
            }
        }
    });
    Ok(())
}

async fn serve_one(stream: UnixStream, handle: &EngineHandle) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(LINE_BYTES).read_line(&mut line).await?;
    let request = serde_json::from_str(&line)?;
    let answer = answer(request, &mut stream, handle).await.map_err(|e| format!("{e:#}"));
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    Ok(())
}

async fn answer(
    request: Request,
    stream: &mut BufReader<UnixStream>,
    handle: &EngineHandle,
) -> anyhow::Result<String> {
    match request {
        Request::SipTrace { call, hide_numbers } => {
            handle.sip_trace(call, hide_numbers).await.ok_or_else(|| {
                anyhow!("no messages are kept of call {call}; only recent calls of this run have them")
            })
        }
        Request::AddUser(user) => manage::add_user_to(handle.store(), user).await,
        Request::ImportNumbers(wanted) => {
            suppression::read(handle.store(), wanted, stream, handle.wall_unix_ms(), Some(handle)).await
        }
        Request::ImportList { campaign, list, options } => {
            let mut import = manage::Import::start(handle.store(), &campaign, &list, options).await?;
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let got = stream.read(&mut chunk).await?;
                if got == 0 {
                    break;
                }
                import.feed(chunk.get(..got).unwrap_or_default()).await?;
            }
            import.finish(Some(handle)).await
        }
    }
}

/// Asks the running dialer; none when there is none.
pub(crate) async fn ask(
    store: &Path,
    request: &Request,
    body: Option<&mut tokio::fs::File>,
) -> anyhow::Result<Option<String>> {
    let path = socket_path(store);
    let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    if let Some(file) = body {
        tokio::io::copy(file, &mut stream).await?;
    }
    stream.shutdown().await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let answer: Result<String, String> =
        serde_json::from_str(&text).context("the running dialer gave no answer; see its log")?;
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(why) => bail!(why),
    }
}

pub(crate) fn trace(options: &Trace, config: &Config) -> Result<(), Failed> {
    let request = Request::SipTrace { call: options.call, hide_numbers: options.hide_numbers };
    let answer = manage::block_on(ask(&config.store.path, &request, None))?;
    let text = answer.ok_or_else(|| anyhow!("no dialer runs on {}", config.store.path.display()))?;
    manage::print(&text);
    Ok(())
}
