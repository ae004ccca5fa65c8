//! Sealing with a key that the store does not have: that of an id, which only its client knows (AES-256-GCM, key by HKDF-SHA-256).

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

use super::id::Id;

/// Random bytes that each seal needs: a key seals a few thousand times at most, so chance never repeats them.
pub const NONCE: usize = 12;

/// Each purpose has a key of its own.
fn cipher(id: &Id, purpose: &[u8]) -> Aes256Gcm {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, id.expose().as_bytes()).expand(purpose, &mut key).expect("one block of SHA-256");
    Aes256Gcm::new(&key.into())
}

/// The nonce, then `plain` encrypted, then 16 bytes by which any change of it, of `bound` or of the key is noticed.
#[must_use]
pub fn close(id: &Id, purpose: &[u8], bound: &[u8], nonce: [u8; NONCE], plain: &[u8]) -> Vec<u8> {
    let sealed = cipher(id, purpose).encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: bound });
    [&nonce[..], &sealed.expect("less than 64 GiB")].concat()
}

/// `None`: not what was sealed with this id, for this purpose, for `bound`.
#[must_use]
pub fn open(id: &Id, purpose: &[u8], bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    cipher(id, purpose).decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: bound }).ok()
}
