//! `stripe`: connects a workspace to its Stripe account.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::context::{Context, Which};
use super::out::{note, outln};
use super::table::{self, Align, Rows};
use crate::config::Config;
use crate::connect::endpoint::{self, Carrier, Intended, Standing};
use crate::connect::permissions::{Has, Permission, lacks_needed};
use crate::connect::{self, Asked, Way};
use crate::store::stripe_endpoints::Endpoint;

/// Connect a workspace to its Stripe account: the key's permissions, the webhook endpoint, and its signing secret.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the key and make the webhook endpoint: what is there already is kept, or brought up to date
    #[command(
        after_help = "Example:\n  STRIPE_API_KEY=rk_live_… PUBLIC_URL=https://bridge.example.com commission-bridge stripe \
                      connect\n  commission-bridge stripe connect --mode test --url https://bridge.example.com --connected"
    )]
    Connect(Connect),
    /// Show whose key it is, what it may do, and how the webhook endpoint stands
    #[command(after_help = "Example:\n  commission-bridge stripe status --json")]
    Status(Only),
    /// Give the webhook endpoint a new signing secret; the old one counts for another 24 hours
    #[command(after_help = "Example:\n  commission-bridge stripe rotate-secret --mode live")]
    RotateSecret(Only),
    /// Remove the webhook endpoint that `connect` made
    #[command(after_help = "Example:\n  commission-bridge stripe disconnect --mode test")]
    Disconnect(Only),
}

#[derive(Debug, Args)]
pub struct Connect {
    #[command(flatten)]
    which: Which,
    /// Where this service is reached from outside [default: `PUBLIC_URL`]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Also make the endpoint for events of connected accounts: partners who are paid by Stripe, and workspaces that are
    /// reached in their account's name
    #[arg(long)]
    connected: bool,
    /// Replace an endpoint whose signing secret is not known here
    #[arg(long)]
    replace: bool,
    /// Take a key of another account than the one that this book was connected to
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Only {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Connect(arguments) => connect(config, &arguments).await,
        Command::Status(arguments) => status(config, &arguments).await,
        Command::RotateSecret(arguments) => rotate(config, &arguments).await,
        Command::Disconnect(arguments) => disconnect(config, &arguments).await,
    }
}

/// The database, and the way to Stripe of the book that is meant: the only one that has a key where nobody chose.
async fn open(config: &Config, which: &Which) -> Result<(Context, Way), Failure> {
    let keys = config.stripe()?;
    let mut context = Context::open(config, which).await?;
    let ways = connect::ways(&context.db, &keys).await?;
    let mut of_workspace = ways.into_iter().filter(|way| way.workspace == context.workspace);
    if which.mode.is_none()
        && let Some(only) = of_workspace.next().filter(|_| of_workspace.next().is_none())
    {
        context.mode = only.mode;
    }
    context.say_book(which);
    let (workspace, mode) = (context.workspace, context.mode);
    let api = connect::way(&context.db, &keys, (workspace, mode)).await?.map_err(connect::ConnectError::from)?;
    let way = Way { workspace, key: context.key.clone(), mode, api };
    Ok((context, way))
}

fn carrier<'a>(context: &'a Context, way: &'a Way) -> Carrier<'a> {
    let Context { db, clock, ids, workspace, .. } = context;
    Carrier { db, clock, ids, workspace: *workspace, api: &way.api }
}

async fn connect(config: &Config, arguments: &Connect) -> Result<(), Failure> {
    let (context, way) = open(config, &arguments.which).await?;
    let seen = connect::look(&way.api).await?;
    if !arguments.json {
        show_key(&context, &way, seen.account.as_deref());
        show_permissions(&seen.permissions);
    }
    let public_url = arguments.url.as_deref().unwrap_or(&config.public_url);
    let asked = Asked {
        workspace: &context.key,
        public_url,
        connected: arguments.connected,
        replace: arguments.replace,
        force: arguments.force,
    };
    let mut session = context.session().await?;
    let intended = connect::begin(&mut session, &seen, asked).await?;
    session.commit().await?;
    if let Some(intended) = &intended {
        connect::finish(carrier(&context, &way), intended).await?;
    }
    let standing = standing(&context, &way).await?;
    if arguments.json {
        return table::print_json(&as_json(&context, seen.account.as_deref(), &seen.permissions, &standing));
    }
    let Some(intended) = intended else {
        outln!("{}", no_endpoint(&way));
        return Ok(());
    };
    let url = endpoint::address(public_url, &context.key);
    for (connected, what) in &intended {
        let of = if *connected { "events of connected accounts" } else { "the account's own events" };
        match what {
            Intended::Nothing => outln!("The endpoint for {of} is complete: {url}"),
            Intended::Begun(_) => outln!("The endpoint for {of} is made, and its secret is kept: {url}"),
            Intended::Update(_) => outln!("The endpoint for {of} sends exactly what it should now: {url}"),
        }
    }
    outln!(
        "\nEvents come in once `commission-bridge serve` runs there; what was missed is fetched by `commission-bridge sync`."
    );
    Ok(())
}

/// Why no endpoint was made, and that this is fine.
fn no_endpoint(way: &Way) -> String {
    if way.api.account_name().is_some() {
        return connect::ConnectError::InTheNameOf.to_string();
    }
    "The key may not make webhook endpoints, so none was made: a key that may read is enough to fetch events (`serve` does so \
     once an hour). For webhooks, switch on Webhook Endpoints: Write, or add the endpoint by hand."
        .to_owned()
}

async fn standing(context: &Context, way: &Way) -> Result<Vec<(Endpoint, Standing)>, Failure> {
    let at_stripe = match way.api.account_name() {
        Some(_) => Vec::new(),
        None => way.api.webhook_endpoints().await.done().unwrap_or_default(),
    };
    let book = (context.workspace, context.key.as_str(), context.mode);
    Ok(connect::standing(&context.db, book, &at_stripe, context.clock.now()).await?)
}

async fn status(config: &Config, arguments: &Only) -> Result<(), Failure> {
    let (context, way) = open(config, &arguments.which).await?;
    let seen = connect::look(&way.api).await?;
    let standing = standing(&context, &way).await?;
    let is_well = !lacks_needed(&seen.permissions) && standing.iter().all(|(_, how)| *how == Standing::Complete);
    if arguments.json {
        table::print_json(&as_json(&context, seen.account.as_deref(), &seen.permissions, &standing))?;
    } else {
        show_key(&context, &way, seen.account.as_deref());
        show_permissions(&seen.permissions);
        if standing.is_empty() {
            outln!("No webhook endpoint was made by the bridge: run `commission-bridge stripe connect`.");
        }
        for (endpoint, how) in &standing {
            outln!("{}\n  {}", endpoint.url, words(how));
        }
    }
    if is_well { Ok(()) } else { Err(Failure::Answered) }
}

async fn rotate(config: &Config, arguments: &Only) -> Result<(), Failure> {
    let (context, way) = open(config, &arguments.which).await?;
    let at_stripe = endpoint::settled(way.api.webhook_endpoints().await)?;
    let mut session = context.session().await?;
    let intended = connect::begin_rotation(&mut session, &at_stripe, &context.key).await?;
    session.commit().await?;
    connect::finish(carrier(&context, &way), &intended).await?;
    let standing = standing(&context, &way).await?;
    if arguments.json {
        return table::print_json(&json!({ "endpoints": endpoints_json(&standing) }));
    }
    outln!("The webhook endpoint has a new signing secret, which is kept; the old one counts for another 24 hours.");
    Ok(())
}

async fn disconnect(config: &Config, arguments: &Only) -> Result<(), Failure> {
    let (context, way) = open(config, &arguments.which).await?;
    let mut session = context.session().await?;
    let rows = connect::endpoint::intend_removal(&mut session).await?;
    session.commit().await?;
    for row in rows {
        carrier(&context, &way).carry_out(row).await?;
    }
    if arguments.json {
        return table::print_json(&json!({ "endpoints": [] }));
    }
    outln!("The webhook endpoint is removed. Events can still be fetched: `commission-bridge sync`.");
    Ok(())
}

fn show_key(context: &Context, way: &Way, account: Option<&str>) {
    let whose = match (way.api.account_name(), account) {
        (Some(account), _) => format!("the key of `default`, in the name of {account}"),
        (None, Some(account)) => format!("a key of account {account}"),
        (None, None) => "a key that may not say whose it is".to_owned(),
    };
    outln!("Workspace {}, {} book: {whose}\n", context.key, context.mode);
}

/// Whether a permission is there, as one word.
fn word(has: &Has) -> &'static str {
    match has {
        Has::Yes => "yes",
        Has::No(_) => "no",
        Has::Unclear(_) => "unclear",
    }
}

fn show_permissions(permissions: &[Permission]) {
    let mut rows = Rows::new(&[
        ("permission", Align::Left),
        ("has it", Align::Left),
        ("for", Align::Left),
        ("if missing, switch on in Stripe", Align::Left),
    ]);
    for Permission { name, purpose, switch_on, has, .. } in permissions {
        let advice = if *has == Has::Yes { "" } else { switch_on };
        rows.row([(*name).to_owned(), word(has).to_owned(), (*purpose).to_owned(), advice.to_owned()]);
    }
    rows.print();
    outln!("\nWhat may be written (transfers, accounts, webhook endpoints) is known once it is done.");
    let unclear = permissions.iter().find_map(|permission| match &permission.has {
        Has::Unclear(said) => Some((permission.name, said)),
        _ => None,
    });
    if let Some((name, said)) = unclear {
        note!("{name}: {said}");
    }
    outln!();
}

/// How an endpoint stands, and what to do.
pub fn words(standing: &Standing) -> String {
    let connect = "run `commission-bridge stripe connect`";
    match standing {
        Standing::Complete => "complete".to_owned(),
        Standing::Differs(_, _, true) => format!("disabled at Stripe: {connect} to switch it on again"),
        Standing::Differs(missing, superfluous, false) => {
            let missing = if missing.is_empty() { "nothing".to_owned() } else { missing.join(", ") };
            let superfluous = if superfluous.is_empty() { "nothing".to_owned() } else { superfluous.join(", ") };
            format!("events missing: {missing}; superfluous: {superfluous}; {connect} to correct it")
        }
        Standing::UnderWay(state) => format!("{}: `serve` goes on with it, or {connect}", state.as_str()),
        Standing::Gone => format!("was removed at Stripe: {connect} to make it again"),
        Standing::SecretLost => format!("its signing secret was removed here: {connect} --replace"),
        Standing::Foreign(id) => format!("{id} was not made by the bridge: {connect} --replace to take its place"),
        Standing::None => format!("there is none: {connect}"),
    }
}

fn endpoints_json(standing: &[(Endpoint, Standing)]) -> Value {
    let lines = standing.iter().map(|(endpoint, how)| {
        json!({
            "url": endpoint.url,
            "connected": endpoint.connect(),
            "stripe_id": endpoint.stripe_id,
            "state": endpoint.state().as_str(),
            "complete": *how == Standing::Complete,
            "detail": words(how),
        })
    });
    lines.collect()
}

fn as_json(
    context: &Context,
    account: Option<&str>,
    permissions: &[Permission],
    standing: &[(Endpoint, Standing)],
) -> Value {
    let permissions: Vec<Value> = permissions
        .iter()
        .map(|one| {
            let Permission { name, purpose, switch_on, needed, has } = one;
            json!({ "name": name, "for": purpose, "switch_on": switch_on, "needed": needed, "has": word(has) })
        })
        .collect();
    json!({
        "workspace": context.key,
        "mode": context.mode.as_str(),
        "account": account,
        "permissions": permissions,
        "endpoints": endpoints_json(standing),
    })
}
