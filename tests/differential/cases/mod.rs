//! The scripts.

mod aging;
mod broken;
mod crypto;
mod dbd;
mod form;
mod others;
mod outside;
mod tree;
mod values;

use crate::pair::Case;

pub fn all() -> impl Iterator<Item = &'static Case> {
    let files =
        [values::CASES, aging::CASES, outside::CASES, broken::CASES, tree::CASES, dbd::CASES, crypto::CASES, form::CASES, others::CASES];
    files.into_iter().flatten()
}
