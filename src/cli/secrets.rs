//! `secrets`: how the secrets in the database are kept.

use clap::{Args, Subcommand};

use super::Failure;
use super::context::open;
use super::out::{note, outln};
use super::table::{many, print_json};
use crate::config::Config;
use crate::store::vault::Vault;
use crate::store::webhook_secrets;

/// Encrypt the secrets in the database (signing secrets of webhooks), make keys for that.
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a new key for SECRETS_KEY
    ///
    /// Keep it where the database is not, and where it is not lost: without it the secrets have to be entered anew.
    /// To take a new key in the place of an old one, set SECRETS_KEY to NEW,OLD and restart: the first encrypts, all
    /// decrypt. Where several processes serve, set OLD,NEW on all of them first.
    #[command(after_help = "Example:\n  commission-bridge secrets new-key > /etc/commission-bridge/secrets.key")]
    NewKey,
    /// Say under which keys the secrets are encrypted
    #[command(after_help = "Example:\n  commission-bridge secrets status --json")]
    Status(Status),
    /// Encrypt all secrets under the first key of SECRETS_KEY, as `serve` does when it starts
    #[command(
        after_help = "Example:\n  SECRETS_KEY_FILE=/etc/commission-bridge/secrets.key commission-bridge secrets encrypt"
    )]
    Encrypt,
    /// Keep all secrets unencrypted again, before SECRETS_KEY is taken away
    #[command(after_help = "Example:\n  commission-bridge secrets decrypt --yes")]
    Decrypt(Decrypt),
}

#[derive(Debug, Args)]
pub struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Decrypt {
    /// Really do it: whoever has a copy of the database has the secrets afterwards
    #[arg(long, required = true)]
    yes: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::NewKey => {
            let key = Vault::new_key().map_err(|error| Failure::Said(error.to_string()))?;
            outln!("{key}");
        }
        Command::Status(status) => return say(config, status.json).await,
        Command::Encrypt => {
            let db = open(config).await?;
            if db.vault().is_empty() {
                return Err(Failure::Said(
                    "SECRETS_KEY is not set: `commission-bridge secrets new-key` makes a key for it".to_owned(),
                ));
            }
            let changed = webhook_secrets::keep_as(&db, db.vault()).await?;
            note!("{} encrypted now", many(changed, "secret"));
        }
        Command::Decrypt(_) => {
            let db = open(config).await?;
            let changed = webhook_secrets::keep_as(&db, &Vault::default()).await?;
            note!("{} decrypted; `serve` encrypts them again as long as SECRETS_KEY is set", many(changed, "secret"));
        }
    }
    Ok(())
}

async fn say(config: &Config, json: bool) -> Result<(), Failure> {
    let db = open(config).await?;
    let mut tx = db.read().await?;
    let stored = webhook_secrets::of_everybody(&mut tx).await?;
    tx.rollback().await?;
    let keys: Vec<&str> = db.vault().key_ids().collect();
    let under = |key: Option<&str>| stored.iter().filter(|(_, secret)| secret.key_id() == key).count();
    let mut known: Vec<&str> = keys.clone();
    known.extend(stored.iter().filter_map(|(_, secret)| secret.key_id()).filter(|id| !keys.contains(id)));
    known.sort_unstable();
    known.dedup();
    if json {
        let by_key: serde_json::Map<String, serde_json::Value> =
            known.iter().map(|key| ((*key).to_owned(), under(Some(key)).into())).collect();
        return print_json(&serde_json::json!({
            "keys": keys, "secrets": stored.len(), "plain": under(None), "by_key": by_key,
        }));
    }
    outln!("{}, {} of them not encrypted", many(stored.len(), "secret"), under(None));
    for key in known {
        let place = match keys.iter().position(|one| *one == key) {
            Some(0) => "the first of SECRETS_KEY: it encrypts",
            Some(_) => "in SECRETS_KEY: it decrypts",
            None => "not in SECRETS_KEY: what it encrypted cannot be read",
        };
        outln!("key {key}: {}, {place}", many(under(Some(key)), "secret"));
    }
    Ok(())
}
