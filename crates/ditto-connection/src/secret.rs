//! What stands for a secret in answers.

use secrecy::{ExposeSecret, SecretString};

/// What answers have in place of a secret. A definition that brings it back keeps the secret that is stored.
pub const MASK: &str = "*****";

/// Whether the mask stands for the secret.
pub(crate) fn is_mask(secret: &SecretString) -> bool {
    secret.expose_secret() == MASK
}

/// Whether secrets are written as they are, or masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// As they are.
    Clear,
    /// As [`MASK`].
    Masked,
}

impl Secrets {
    pub(crate) fn show(self, secret: &SecretString) -> String {
        match self {
            Self::Clear => secret.expose_secret().to_owned(),
            Self::Masked => MASK.to_owned(),
        }
    }
}
