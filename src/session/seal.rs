//! Sealing with a key that the store does not have: that of an id, which only its client knows (AES-256-GCM, key by HKDF-SHA-256).

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

use super::id::Id;

/// Random bytes that each seal needs: a key seals a few thousand times at most, so chance never repeats them.
pub const NONCE: usize = 12;

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
        let sealed = self.0.encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: bound });
        [&nonce[..], &sealed.expect("less than 64 GiB")].concat()
    }

    /// `None`: not what was sealed with this id, for this purpose, for `bound`.
    #[must_use]
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        self.0.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: bound }).ok()
    }
}

/// Keys are shown to nobody.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}
