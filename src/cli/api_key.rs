//! `api-key`: keys for the JSON API.

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::{note, outln};
use super::table::{self, Align, Rows, moment};
use crate::admin::{Refused, keys};
use crate::config::Config;
use crate::store::api_keys::{self, ApiKey, Role};

/// Make, list and revoke keys for the JSON API.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key and print it, this once: only a hash of it is kept. It opens one book, live or test
    #[command(
        after_help = "Example:\n  commission-bridge api-key create --name bookkeeping --role finance --mode live"
    )]
    Create(Create),
    /// List the keys of both books
    #[command(after_help = "Example:\n  commission-bridge api-key list")]
    List(List),
    /// Revoke a key: from now on it opens nothing
    #[command(after_help = "Example:\n  commission-bridge api-key revoke key_0199…")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Create {
    /// What you call it
    #[arg(long)]
    name: String,
    /// What it may do: read (look), finance (look and pay) or admin (everything)
    #[arg(long, default_value = "read")]
    role: Role,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// The key's id, as `api-key list` shows it
    id: String,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create(config, &arguments).await,
        Command::List(arguments) => list(config, &arguments).await,
        Command::Revoke(arguments) => revoke(config, &arguments).await,
    }
}

async fn create(config: &Config, arguments: &Create) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let mut session = context.session().await?;
    let (key, secret) = keys::create(&mut session, &arguments.name, arguments.role, context.mode).await?;
    session.commit().await?;
    context.say_book(&arguments.which);
    if arguments.json {
        let mut value = key.json();
        value["key"] = secret.into();
        return table::print_json(&value);
    }
    outln!("{secret}");
    note!(
        "This is the only time that the key is shown. It opens the {} book (role {}). Try it:\n  \
         curl -H \"Authorization: Bearer $KEY\" {}/v1/balances",
        key.mode,
        key.role.as_str(),
        config.public_url
    );
    Ok(())
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = open(config, &arguments.workspace).await?;
    let mut tx = context.db.read().await?;
    let keys = api_keys::all(&mut tx, context.workspace).await?;
    if arguments.json {
        let list: Vec<serde_json::Value> = keys.iter().map(ApiKey::json).collect();
        return table::print_json(&serde_json::json!({ "keys": list }));
    }
    if keys.is_empty() {
        outln!("No keys yet: commission-bridge api-key create --name NAME");
        return Ok(());
    }
    let mut table = Rows::new(&[
        ("key", Align::Left),
        ("name", Align::Left),
        ("role", Align::Left),
        ("mode", Align::Left),
        ("begins", Align::Left),
        ("last used", Align::Left),
        ("state", Align::Left),
    ]);
    for key in &keys {
        table.row([
            key.id.clone(),
            key.name.clone(),
            key.role.as_str().to_owned(),
            key.mode.to_string(),
            format!("{}…", key.prefix),
            key.last_used_at.map_or_else(|| "never".to_owned(), moment),
            if key.revoked_at.is_some() { "revoked" } else { "valid" }.to_owned(),
        ]);
    }
    table.print();
    Ok(())
}

async fn revoke(config: &Config, arguments: &Revoke) -> Result<(), Failure> {
    let context = open(config, &arguments.workspace).await?;
    let mut session = context.session().await?;
    let (key, revoked_now) = match keys::revoke(&mut session, &arguments.id).await {
        Err(Refused::Missing(_)) => {
            return Err(Failure::Said(format!(
                "there is no key {:?} in workspace {}: `commission-bridge api-key list` shows them",
                arguments.id, context.key
            )));
        }
        other => other?,
    };
    session.commit().await?;
    if revoked_now {
        outln!("Key {} ({}) is revoked.", key.id, key.name);
    } else {
        outln!("Key {} ({}) was revoked before; nothing was changed.", key.id, key.name);
    }
    Ok(())
}

async fn open(config: &Config, workspace: &str) -> Result<Context, Failure> {
    Context::open(config, &Which { workspace: workspace.to_owned(), mode: None }).await
}
