//! How it is set up: configuration, mail server, database.

use super::super::Failure;
use super::super::context::Context;
use super::{Checks, Finding};
use crate::config::Config;
use crate::mail::smtp::Server;
use crate::store::webhook_secrets;

/// A database file with less room than this will soon take nothing more.
const LITTLE_ROOM: u64 = 1024 * 1024 * 1024;

pub(super) fn configuration(config: &Config, checks: &mut Checks) {
    let file = config
        .file
        .as_ref()
        .map_or("no file; flags, environment and defaults".to_owned(), |file| format!("read from {}", file.display()));
    checks.add("configuration", Finding::Fine, file);
    match &config.stripe_webhook_secret {
        None => {}
        Some(secret) if !secret.reveal().split(',').all(|part| part.trim().starts_with("whsec_")) => checks.add(
            "webhook secret",
            Finding::Note,
            "does not begin with whsec_: it must be the endpoint's signing secret, not an API key",
        ),
        Some(secret) => {
            checks.add("webhook secret", Finding::Fine, format!("{} set", secret.reveal().split(',').count()));
        }
    }
    if config.public_url.starts_with("http://") && !config.public_url.contains("127.0.0.1") {
        checks.add("public URL", Finding::Note, "is not https: Stripe sends live events to https addresses only");
    }
}

/// Whether webhooks can be verified: by secrets that `stripe connect` keeps, or that somebody entered.
pub(super) async fn secrets(config: &Config, context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let stored = webhook_secrets::all(&mut tx, context.workspace, context.clock.now()).await?;
    tx.rollback().await?;
    let is_first = context.key == super::super::context::DEFAULT_WORKSPACE;
    let is_configured = config.stripe_webhook_secret.is_some() && is_first;
    match (stored.len(), is_configured) {
        (0, false) => {
            let detail = "none: webhooks are answered with 503. `commission-bridge stripe connect` makes the endpoint and \
                          keeps its secret; or set STRIPE_WEBHOOK_SECRET to the endpoint's whsec_…";
            let finding = if config.stripe_api_key.is_some() { Finding::Note } else { Finding::Wrong };
            checks.add("webhook secret", finding, detail);
        }
        (0, true) => {}
        (stored, _) => checks.add("webhook secret", Finding::Fine, format!("{stored} kept in the database")),
    }
    Ok(())
}

/// Whether secrets in the database are encrypted, and can be decrypted.
pub(super) async fn encryption(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let signing = webhook_secrets::signing(&mut tx, context.workspace, context.clock.now()).await;
    let stored = webhook_secrets::of_everybody(&mut tx).await?;
    tx.rollback().await?;
    let vault = context.db.vault();
    if vault.is_empty() && stored.is_empty() && signing.is_ok() {
        return Ok(());
    }
    let behind = stored.iter().filter(|(_, secret)| secret.key_id() != vault.key_ids().next()).count();
    let (finding, detail) = match (signing, vault.key_ids().next()) {
        (Err(error), _) => (Finding::Wrong, error.to_string()),
        (Ok(_), None) => (
            Finding::Note,
            "not encrypted in the database: `commission-bridge secrets new-key` makes a key, SECRETS_KEY takes it"
                .to_owned(),
        ),
        (Ok(_), Some(key)) if behind > 0 => (
            Finding::Note,
            format!(
                "{behind} of {} are not encrypted under key {key}, the first of SECRETS_KEY: `serve` does that when it \
                 starts, or `commission-bridge secrets encrypt`",
                stored.len()
            ),
        ),
        (Ok(_), Some(key)) => (Finding::Fine, format!("encrypted in the database under key {key}")),
    };
    checks.add("secrets", finding, detail);
    Ok(())
}

/// Whether the mail server can be reached and lets us in. Nothing is sent.
pub(super) async fn mail_server(config: &Config, checks: &mut Checks) {
    let server = match Server::configured(config) {
        Ok(Some(server)) => server,
        Ok(None) => {
            let detail = "SMTP_URL is not set: no statement or notice is sent. Set it to smtps://user:password@host";
            return checks.add("mail server", Finding::Note, detail);
        }
        Err(error) => return checks.add("mail server", Finding::Wrong, error.to_string()),
    };
    match server.connect().await {
        Ok(connection) => {
            let is_encrypted = connection.is_encrypted();
            connection.quit().await;
            let how = if is_encrypted { "encrypted" } else { "not encrypted" };
            checks.add("mail server", Finding::Fine, format!("{} lets us in, {how}", server.name()));
        }
        Err(trouble) => checks.add("mail server", Finding::Wrong, trouble.words().to_owned()),
    }
}

/// Which database it is, whether what it acknowledges is on disk, and how much room is left.
pub(super) async fn database(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    checks.add("database", Finding::Fine, format!("{}, schema up to date", context.db.version().await?));
    for finding in context.db.durability().await? {
        checks.add("durability", if finding.is_safe { Finding::Fine } else { Finding::Wrong }, finding.sentence);
    }
    if let Some(free) = context.db.free_space() {
        #[allow(clippy::integer_division, reason = "a tenth of a gigabyte more or less is all the same")]
        let tenths = free / (LITTLE_ROOM / 10);
        let detail = format!("{}.{} GiB free beside the database file", tenths / 10, tenths % 10);
        if free < LITTLE_ROOM {
            let detail = format!("{detail}: make room, or webhooks will be answered with 503");
            checks.add("disk", Finding::Wrong, detail);
        } else {
            checks.add("disk", Finding::Fine, detail);
        }
    }
    Ok(())
}
