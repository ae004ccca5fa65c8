//! Sealing with a key that the store does not have: that of an id, which only its client knows (AES-256-GCM, key by HKDF-SHA-256).

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use hkdf::Hkdf;
use sha2::Sha256;

use super::id::Id;

/// Random bytes that each seal needs: a key seals a few thousand times at most, so chance never repeats them.
pub const NONCE: usize = 12;
const TAG: usize = 16;

/// The key of an id for one purpose. To derive it takes longer than to use it.
#[derive(Clone)]
pub struct Sealer(Box<Aes256Gcm>);

impl Sealer {
    /// Each purpose has a key of its own.
    #[must_use]
    pub fn of(id: &Id, purpose: &[u8]) -> Sealer {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, id.expose().as_bytes()).expand(purpose, &mut key).expect("one block of SHA-256");
        Sealer(Box::new(Aes256Gcm::new(&key.into())))
    }

    /// The nonce, then `plain` encrypted, then 16 bytes by which any change of it, of `bound` or of the key is noticed.
    #[must_use]
    pub fn close(&self, bound: &[u8], nonce: [u8; NONCE], plain: &[u8]) -> Vec<u8> {
        self.close_written(bound, nonce, plain.len(), |to| to.extend_from_slice(plain))
    }

    /// The same for what `write` appends, of this length or less.
    #[must_use]
    pub fn close_written(&self, bound: &[u8], nonce: [u8; NONCE], length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(NONCE + length + TAG);
        sealed.extend_from_slice(&nonce);
        write(&mut sealed);
        let tag = self.0.encrypt_inout_detached(&nonce.into(), bound, (&mut sealed[NONCE..]).into());
        sealed.extend_from_slice(&tag.expect("less than 64 GiB"));
        sealed
    }

    /// `None`: not what was sealed with this id, for this purpose, for `bound`.
    #[must_use]
    pub fn open(&self, bound: &[u8], mut sealed: Vec<u8>) -> Option<Bytes> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>()?;
        let (text, tag) = rest.split_last_chunk_mut::<TAG>()?;
        self.0.decrypt_inout_detached(&(*nonce).into(), bound, text.into(), &(*tag).into()).ok()?;
        let end = sealed.len() - TAG;
        Some(Bytes::from(sealed).slice(NONCE..end))
    }
}

/// Keys are shown to nobody.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}
