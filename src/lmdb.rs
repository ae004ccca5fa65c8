//! LMDB through heed, where that is unsafe: opening an environment, and saying whether a commit waits for the disk. All else that
//! the dbm store does with LMDB is heed's safe interface.
#![allow(unsafe_code)]

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, FlagSetMode, RwTxn, WithoutTls};

/// Readers have a slot for each transaction, not for each thread: threads come and go in httpd.
pub type Environment = Env<WithoutTls>;

/// The size of the map. It is address space and nothing else: the file grows with what is in it, and no memory is set aside. So it
/// never has to grow, which all processes would have to agree on.
pub const MAP: usize = 64 << 30;

pub struct Options {
    /// Transactions that read at once, in all processes together. Who opens the environment while nobody else has it decides.
    pub readers: u32,
    pub databases: u32,
    pub read_only: bool,
}

/// Opens the environment in a directory that is ours (`store::directory`), its files made for the owner alone where they are missing.
///
/// # Errors
/// LMDB refuses it, or this process has it open already.
pub fn open(dir: &Path, options: &Options) -> heed::Result<Environment> {
    let mut flags = EnvFlags::NO_SYNC | EnvFlags::NO_READ_AHEAD;
    flags.set(EnvFlags::READ_ONLY, options.read_only);
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(MAP).max_readers(options.readers).max_dbs(options.databases);
    // SAFETY: what is mapped changes as LMDB changes it, and in no other way: the directory is the server's own and nobody else can write
    // to it (`directory::examine`, `Environment::open`), it is no network file system, the map is not writable, and heed opens no
    // environment twice in a process. NO_SYNC leaves out no write that another process sees; what a crash of the machine does with it
    // stands in docs/choosing-a-store.md. No process is forked with it open that uses it: children open it for themselves.
    unsafe { open.flags(flags).open(dir) }
}

/// Says whether the commit of this transaction waits for the disk: first for its pages, then for the page that makes them count.
///
/// # Errors
/// LMDB knows none.
pub fn wait_for_disk(environment: &Environment, _of: &RwTxn<'_>, wait: bool) -> heed::Result<()> {
    let mode = if wait { FlagSetMode::Disable } else { FlagSetMode::Enable };
    // SAFETY: the flag is written and looked at by who has the one writing transaction of the environment, and that is the caller.
    unsafe { environment.set_flags(EnvFlags::NO_SYNC, mode) }
}
