//! Commands that change the store: of the running dialer by its control socket, else directly.

use std::future::Future;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use kraliki_control_api::{Role, hash_password};
use kraliki_engine::runtime::EngineHandle;
use kraliki_engine::store::{self, Importer, Store};
use kraliki_engine::{Campaign, Command, Dedupe, ImportOptions};
use serde::{Deserialize, Serialize};

use crate::Failed;
use crate::config::Config;
use crate::control::{Request, ask};

/// Lines with errors that are printed; all are counted.
const ERRORS_SHOWN: usize = 20;

#[derive(Args)]
pub(crate) struct UserAdd {
    /// The name to sign in with
    username: String,
    /// admin, manager, supervisor, analyst or agent
    #[arg(long)]
    role: Role,
    /// The name that others see; the user name when not given
    #[arg(long)]
    name: Option<String>,
    /// The configuration file
    #[arg(long, env = "KRALIKI_CONFIG")]
    pub(crate) config: PathBuf,
}

#[derive(Args)]
pub(crate) struct ListImport {
    /// The CSV file; its first line names the columns, `phone` among them
    file: PathBuf,
    /// The campaign, by number or name
    #[arg(long)]
    campaign: String,
    /// The list's name; the file's name when not given
    #[arg(long)]
    list: Option<String>,
    /// What a column holds, as COLUMN=FIELD, e.g. Kontakt=phone; docs/leads.md names the fields
    #[arg(long, value_parser = column)]
    map: Vec<(String, String)>,
    /// Which numbers count as there already: those of the list, of the campaign, or of the system (all campaigns)
    #[arg(long, value_parser = dedupe, default_value = "campaign")]
    dedupe: Dedupe,
    /// Write nothing, and say what would come of it
    #[arg(long)]
    dry_run: bool,
    /// The configuration file
    #[arg(long, env = "KRALIKI_CONFIG")]
    pub(crate) config: PathBuf,
}

/// A user to be added.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewUser {
    pub(crate) username: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) password: String,
}

pub(crate) fn add_user(options: &UserAdd, config: &Config) -> Result<(), Failed> {
    let user = NewUser {
        username: options.username.clone(),
        name: options.name.clone().unwrap_or_else(|| options.username.clone()),
        role: options.role,
        password: read_password()?,
    };
    let answer = block_on(async {
        let request = Request::AddUser(user);
        if let Some(answer) = ask(&config.store.path, &request, None).await? {
            return Ok(answer);
        }
        let Request::AddUser(user) = request else { bail!("not reached") };
        let store = Store::open(&config.store.path).await?;
        let answer = add_user_to(&store, user).await;
        store.close().await;
        answer
    })?;
    print(&answer);
    Ok(())
}

/// Adds a user; gives a sentence for the person.
pub(crate) async fn add_user_to(store: &Store, user: NewUser) -> anyhow::Result<String> {
    let password = user.password;
    let password_hash = tokio::task::spawn_blocking(move || hash_password(&password)).await??;
    let new = store::NewUser {
        username: user.username.clone(),
        name: user.name,
        role: user.role.as_str().to_owned(),
        password_hash: password_hash.into(),
    };
    let added = store.create_user(new).await?;
    Ok(format!("{} {:?} was added as user {}", user.role.as_str(), user.username, added.id))
}

fn read_password() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("password (at least 8 characters; it is shown as you type): ");
        std::io::stderr().flush()?;
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("the password cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// `COLUMN=FIELD`.
fn column(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').map(|(name, field)| (name.to_owned(), field.to_owned()));
    parts.ok_or_else(|| "write it as COLUMN=FIELD, e.g. Kontakt=phone".to_owned())
}

fn dedupe(text: &str) -> Result<Dedupe, String> {
    match text {
        "list" => Ok(Dedupe::List),
        "campaign" => Ok(Dedupe::Campaign),
        "system" => Ok(Dedupe::System),
        _ => Err("must be list, campaign or system".to_owned()),
    }
}

pub(crate) fn import_list(options: &ListImport, config: &Config) -> Result<(), Failed> {
    let path = options.file.display();
    let list = options.list.clone().unwrap_or_else(|| {
        options.file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
    });
    let answer = block_on(async {
        let mut file =
            tokio::fs::File::open(&options.file).await.with_context(|| format!("{path}: cannot be read"))?;
        let read = ImportOptions {
            map: options.map.iter().cloned().collect(),
            dedupe: options.dedupe,
            dry_run: options.dry_run,
        };
        let (campaign, list) = (options.campaign.clone(), list.clone());
        let request = Request::ImportList { campaign, list: list.clone(), options: read.clone() };
        if let Some(answer) = ask(&config.store.path, &request, Some(&mut file)).await? {
            return Ok(answer);
        }
        let store = Store::open(&config.store.path).await?;
        let mut import = Import::start(&store, &options.campaign, &list, read).await?;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let got = tokio::io::AsyncReadExt::read(&mut file, &mut chunk).await?;
            if got == 0 {
                break;
            }
            import.feed(chunk.get(..got).unwrap_or_default()).await?;
        }
        let answer = import.finish(None).await;
        store.close().await;
        answer
    })?;
    print(&answer);
    Ok(())
}

/// A list on its way into a campaign.
pub(crate) struct Import {
    importer: Importer,
    campaign: Campaign,
    dry_run: bool,
}

impl Import {
    pub(crate) async fn start(
        store: &Store,
        campaign: &str,
        list: &str,
        options: ImportOptions,
    ) -> anyhow::Result<Import> {
        let campaigns = store.campaigns().await?;
        let found = campaigns
            .into_iter()
            .find(|c| c.settings.name == campaign || c.id.to_string() == campaign)
            .ok_or_else(|| anyhow!("there is no campaign {campaign:?}; give its number or its exact name"))?;
        let dry_run = options.dry_run;
        let importer = store.importer_with(found.id, list, &found.settings.country, options).await?;
        Ok(Import { importer, campaign: found, dry_run })
    }

    pub(crate) async fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.importer.feed(bytes).await?)
    }

    /// Ends the list, tells the engine, and gives a report for the person.
    pub(crate) async fn finish(self, handle: Option<&EngineHandle>) -> anyhow::Result<String> {
        let report = self.importer.finish().await?;
        if let Some(handle) = handle {
            handle.command(Command::LeadsChanged(self.campaign.id)).await?;
        }
        let mut text = format!(
            "{} rows: {} {} into {:?}, {} already there, {} rejected",
            report.rows,
            report.imported,
            if self.dry_run { "would be imported" } else { "imported" },
            self.campaign.settings.name,
            report.duplicates,
            report.rejected
        );
        for error in report.errors.iter().take(ERRORS_SHOWN) {
            text.push_str(&format!("\nline {}, {}: {}", error.line, error.column, error.message));
        }
        if report.errors.len() > ERRORS_SHOWN || report.errors_truncated {
            text.push_str("\nand more");
        }
        Ok(text)
    }
}

pub(crate) fn print_openapi() -> Result<(), Failed> {
    print(&serde_json::to_string_pretty(&kraliki_control_api::openapi())?);
    Ok(())
}

pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// To standard output; a reader that went away is no error.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
