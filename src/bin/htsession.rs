//! `htsession`: lists, shows and ends the sessions of a store, cleans it and looks for damage. It links neither httpd nor the
//! module, works beside a running server, and never makes a store where there is none.
#![forbid(unsafe_code)]

#[path = "htsession/changing.rs"]
mod changing;
#[path = "htsession/failure.rs"]
mod failure;
#[path = "htsession/listing.rs"]
mod listing;
#[path = "htsession/locks.rs"]
mod locks;
#[path = "htsession/output.rs"]
mod output;
#[path = "htsession/place.rs"]
mod place;
#[path = "htsession/show.rs"]
mod show;
#[path = "htsession/sql.rs"]
mod sql;
#[path = "htsession/times.rs"]
mod times;
#[path = "htsession/verify.rs"]
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;
use mod_session_rs::session::Ref;
use mod_session_rs::store::dbd::sql::Table;
use output::{Format, Output};
use place::{Access, Place, Word};

const AFTER_HELP: &str = "\
A session goes by its REF: the 12 hex digits that the server's log and 'list' show. Session ids are not in the store.
Run as root, htsession first takes the uid and gid of the directory's owner. It may run while the server does.

Exit status: 0 done; 1 failed, unknown REF, or 'verify' found damage; 2 wrong usage.

Examples:
  htsession --dir /var/lib/apache2/sessions list
  htsession --dir /var/lib/apache2/sessions kill-user alice
  htsession --dir /var/lib/apache2/sessions -f json show 8bd13a429f8a | jq .values";

/// Look after the sessions of mod_session_rs: list, show and end them, clean and verify their store.
#[derive(Debug, Parser)]
#[command(name = "htsession", version, after_help = AFTER_HELP)]
struct Arguments {
    /// The directory of the sessions: the server's SessionDir (required)
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The server's SessionStore: file, dbm, memory (default: what the directory says it is), the URL of a Redis with the words
    /// behind it, as one argument, or dbd
    #[arg(long, global = true, value_name = "STORE", value_parser = Word::parse)]
    store: Option<Word>,
    /// text for people, json for programs: one document, times in UTC, spans in seconds
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all sessions, the last used first, expired ones that are not yet cleaned away included
    List,
    /// Show one session with all its values
    ///
    /// Each value has its type: null, bool, int, float, text, bytes, list or map. Bytes are shown as {"base64": "..."}, a float
    /// that is no number as "NaN", "inf" or "-inf".
    Show {
        /// 12 hex digits, as logs and 'list' show them
        #[arg(value_parser = reference)]
        r#ref: Ref,
    },
    /// End one session
    Kill {
        /// 12 hex digits, as logs and 'list' show them
        #[arg(value_parser = reference)]
        r#ref: Ref,
    },
    /// End all sessions of a user (none is not an error)
    KillUser { name: String },
    /// Delete what expired more than 240 seconds ago; put damaged records aside
    Gc,
    /// Read every record and change nothing; name damaged ones and files that are not of the store
    Verify,
    /// Shift the times of every session (created, accessed, expires), as after a wrong clock was set right
    AdjustTime {
        /// How far; negative: into the past
        #[arg(allow_negative_numbers = true)]
        seconds: i64,
    },
    /// Show which requests hold a session now (SessionLock request), the longest first, and how many wait for it
    Locks {
        /// Of this server only, by the pid of its parent process
        #[arg(long)]
        server: Option<u32>,
    },
    /// Print the SQL that makes the table of SessionStore dbd, for one DBDriver
    InitSql {
        driver: sql::Driver,
        /// The name behind `dbd:` in SessionStore
        #[arg(value_parser = sql::table, default_value = "sessions")]
        table: Table,
    },
}

impl Command {
    fn access(&self) -> Access {
        match self {
            Command::List | Command::Show { .. } | Command::Verify | Command::Locks { .. } | Command::InitSql { .. } => Access::Read,
            Command::Kill { .. } | Command::KillUser { .. } | Command::Gc | Command::AdjustTime { .. } => Access::Change,
        }
    }
}

fn reference(text: &str) -> Result<Ref, String> {
    Ref::parse(text).ok_or_else(|| "a REF is 12 hex digits".to_owned())
}

fn main() -> ExitCode {
    match done(Arguments::parse()) {
        Ok(code) => code,
        // Whoever reads us has seen enough: `htsession list | head`.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "htsession: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn done(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut output = Output::new(arguments.format);
    let word = arguments.store.unwrap_or(Word::Directory(None));
    let code = match (arguments.command, word) {
        (Command::InitSql { driver, table }, _) => sql::init_sql(driver, &table, &mut output)?,
        (Command::Locks { server }, Word::Dbd(_)) => locks::locks(None, server, &mut output)?,
        (_, Word::Dbd(table)) => return Err(sql::elsewhere(&table)),
        (_, Word::Directory(_)) if arguments.dir.is_none() => {
            let message = "--dir DIR is missing: name the server's SessionDir";
            Arguments::command().error(ErrorKind::MissingRequiredArgument, message).exit();
        }
        (command, word) => {
            let place = Place::open(&word, arguments.dir.as_deref(), command.access())?;
            run(&place, command, &mut output).map_err(|failure| failure.at(&place.name))?
        }
    };
    output.finish()?;
    Ok(code)
}

fn run(place: &Place, command: Command, output: &mut Output) -> Result<ExitCode, Failure> {
    match command {
        Command::List => listing::list(place, output),
        Command::Show { r#ref } => show::show(place, &r#ref, output),
        Command::Kill { r#ref } => changing::kill(place, &r#ref, output),
        Command::KillUser { name } => changing::kill_user(place, &name, output),
        Command::Locks { server } => locks::locks(Some(place), server, output),
        Command::Gc => changing::collect(place, output),
        Command::Verify => verify::verify(place, output),
        Command::AdjustTime { seconds } => changing::adjust_time(place, seconds, output),
        Command::InitSql { driver, table } => sql::init_sql(driver, &table, output),
    }
}
