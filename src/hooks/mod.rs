//! What happens when: the start of the server and its children, and the life of a session within a request tree
//! (docs/life-of-a-request.md tells it in order).
//!
//! [`tree`] holds what a request tree knows, with a [`slot`] for each session; [`open`] finds a session, [`look`] does for those who only
//! look, [`lease`] keeps others off it, [`commit`] writes it, and [`response`] says when. [`locks`] is what leases are made of, [`start`] sets all up, [`clean`] removes what expired. Faces to other
//! code (`bridge`) build on these and are not known here, but for the collectors they leave in a tree.

mod caching;
mod clean;
pub mod commit;
mod dbd;
mod dbd_start;
mod elsewhere;
pub mod events;
pub mod lease;
mod locks;
pub mod look;
mod memory;
pub mod open;
mod presented;
mod redis;
mod report;
mod response;
pub mod slot;
mod start;
pub mod stores;
pub mod tree;

use crate::httpd::{filter, hook};

pub fn register() {
    hook::on_pre_config::<start::Register>();
    hook::on_check_config::<start::Check>();
    hook::on_post_config::<start::Prepare>();
    hook::on_post_config::<clean::Schedule>();
    hook::around_child_init::<dbd_start::BeforeThreads, dbd_start::AfterThreads>();
    hook::on_child_init::<start::Child>();
    filter::register::<response::CommitPoints>();
    hook::on_insert_filters::<response::InsertFilter>();
    hook::on_suspend::<response::Suspended>();
}
