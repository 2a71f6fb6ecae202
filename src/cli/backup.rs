//! `backup`: a copy of the database, beside whoever uses it.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::out::outln;
use super::table::print_json;
use crate::config::Config;
use crate::store::{BackupError, Db};

/// Copy a `SQLite` database into a file while it is in use: nobody waits, and everything that was acknowledged before is
/// in it. The copy is read through and on disk before it has its name. To restore it, stop the service, put it in the
/// database's place and remove the files beside that end in -wal and -shm; then `verify`. A `PostgreSQL` database is
/// copied by `pg_dump`: the command is printed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge backup /backups/ledger-2026-11-21.db")]
pub struct Arguments {
    /// The file to make; it must not be there
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let shown = arguments.file.display();
    if !config.database_url.starts_with("sqlite:") {
        return Err(Failure::Usage(format!(
            "a PostgreSQL database is copied by its own tools, which read one moment and keep nobody waiting:\n\n  \
             pg_dump --format=custom --file={shown} \"$DATABASE_URL\"\n\n\
             and put back into a new, empty database:\n\n  \
             pg_restore --no-owner --exit-on-error --dbname=\"$NEW_DATABASE_URL\" {shown}\n  \
             DATABASE_URL=\"$NEW_DATABASE_URL\" commission-bridge verify"
        )));
    }
    let db = Db::open(&config.database_url).await?;
    let backup = db.backup(&arguments.file).await;
    db.close().await;
    let backup = backup.map_err(|error| match error {
        BackupError::Exists(_) => Failure::Usage(error.to_string()),
        other => Failure::Said(other.to_string()),
    })?;
    if arguments.json {
        return print_json(&serde_json::json!({
            "file": arguments.file,
            "bytes": backup.bytes,
            "schema": backup.schema,
            "events": backup.events,
            "entries": backup.entries,
        }));
    }
    outln!(
        "{shown}: {} bytes, {} events, {} lines of the ledger; read through and on disk.",
        backup.bytes,
        backup.events,
        backup.entries
    );
    Ok(())
}
