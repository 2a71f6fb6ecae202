//! `workspace`: several merchants in one service.

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::{note, outln};
use super::table::{self, Align, Rows, moment};
use crate::admin::workspaces as admin;
use crate::config::Config;
use crate::store::workspaces::{self, Workspace};

/// How many are listed.
const MOST: i64 = 10_000;

/// Make and list workspaces: one merchant each, with books, keys and a webhook address of its own.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a workspace
    #[command(
        after_help = "Example:\n  commission-bridge workspace create shop-eu\n  commission-bridge workspace create \
                            shop-us --account acct_1NXWPn"
    )]
    Create(Create),
    /// List the workspaces
    #[command(after_help = "Example:\n  commission-bridge workspace list")]
    List(List),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Its key, which is part of its webhook address: a-z, 0-9, - and _
    key: String,
    /// The Stripe account that it is for, where it is connected to the one of workspace `default`: events that come in
    /// there and name this account are the new workspace's
    #[arg(long, value_name = "ACCT")]
    account: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let which = Which { workspace: DEFAULT_WORKSPACE.to_owned(), mode: None };
    let context = Context::open(config, &which).await?;
    match command {
        Command::Create(arguments) => create(config, &context, &arguments).await,
        Command::List(arguments) => list(config, &context, &arguments).await,
    }
}

async fn create(config: &Config, context: &Context, arguments: &Create) -> Result<(), Failure> {
    let mut session = context.session().await?;
    admin::create_for(&mut session, &arguments.key, arguments.account.as_deref()).await?;
    session.commit().await?;
    let mut tx = context.db.read().await?;
    let made = workspaces::get(&mut tx, &arguments.key).await?;
    if arguments.json {
        return table::print_json(&made.as_ref().map(|made| as_json(config, made)).into());
    }
    let key = &arguments.key;
    if let Some(account) = &arguments.account {
        outln!("Workspace {key} is made. Events of {account} that come in at `{DEFAULT_WORKSPACE}` are its own.");
        return Ok(());
    }
    outln!("Workspace {key} is made. Stripe sends its events to\n\n  {}\n", webhook_url(config, key));
    note!(
        "Enter the endpoint's signing secret with POST /v1/workspaces/{key}/webhook-secrets, after\n  \
         commission-bridge api-key create --workspace {key} --name NAME --role admin"
    );
    Ok(())
}

async fn list(config: &Config, context: &Context, arguments: &List) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let all = workspaces::list(&mut tx, "", MOST).await?;
    if arguments.json {
        let all: Vec<serde_json::Value> = all.iter().map(|one| as_json(config, one)).collect();
        return table::print_json(&serde_json::json!({ "workspaces": all }));
    }
    let mut rows = Rows::new(&[
        ("workspace", Align::Left),
        ("account", Align::Left),
        ("webhooks", Align::Left),
        ("made", Align::Left),
    ]);
    for one in &all {
        let account = one.account.clone().unwrap_or_default();
        rows.row([one.key.clone(), account, webhook_url(config, &one.key), moment(one.created_at())]);
    }
    rows.print();
    Ok(())
}

fn webhook_url(config: &Config, key: &str) -> String {
    format!("{}/webhooks/stripe/{key}", config.public_url)
}

fn as_json(config: &Config, workspace: &Workspace) -> serde_json::Value {
    serde_json::json!({
        "key": workspace.key,
        "account": workspace.account,
        "webhook_url": webhook_url(config, &workspace.key),
        "created_at": workspace.created_at(),
    })
}
