//! How a payload is read, by its content type (mapping.md §4).

/// The content type of Ditto Protocol JSON.
pub const DITTO_PROTOCOL: &str = "application/vnd.eclipse.ditto+json";

/// Notifications of Eclipse Hono, which most mappers of the reference leave out.
pub(crate) const HONO_NOTIFICATIONS: &[&str] = &[
    "application/vnd.eclipse-hono-empty-notification",
    "application/vnd.eclipse-hono-device-provisioning-notification",
    "application/vnd.eclipse-hono-dc-notification+json",
    "application/vnd.eclipse-hono-delivery-failure-notification+json",
];

/// A content type in lower case, as the reference keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentType(String);

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Text,
    Json,
    /// Anything else, merge patches too.
    Binary,
}

impl ContentType {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without parameters. Blanks are not trimmed.
    fn media_type(&self) -> &str {
        self.0.split(';').next().unwrap_or_default()
    }

    pub(crate) fn is_ditto_protocol(&self) -> bool {
        self.media_type() == DITTO_PROTOCOL
    }

    pub(crate) fn media(&self) -> Media {
        let media_type = self.media_type();
        if media_type.starts_with("text/") {
            return Media::Text;
        }
        let Some(kind) = media_type.strip_prefix("application/") else { return Media::Binary };
        // `application/[vnd.x+]kind`, of which a merge patch is not one.
        let kind = match kind.rsplit_once('+') {
            Some((tree, suffix)) if !tree.is_empty() && kind != "merge-patch+json" => suffix,
            Some(_) => return Media::Binary,
            None => kind,
        };
        match kind {
            "javascript" | "ecmascript" => Media::Text,
            "json" => Media::Json,
            _ => Media::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_media() {
        for (text, media) in [
            ("text/plain; charset=utf-8", Media::Text),
            ("TEXT/x ", Media::Text),
            ("application/javascript", Media::Text),
            ("application/vnd.x+ecmascript", Media::Text),
            ("application/JSON;charset=x", Media::Json),
            ("application/vnd.x+y+json", Media::Json),
            ("application/json ;x=y", Media::Binary),
            ("application/+json", Media::Binary),
            ("application/merge-patch+json", Media::Binary),
            ("image/svg+json", Media::Binary),
            ("", Media::Binary),
        ] {
            assert_eq!(ContentType::new(text).media(), media, "{text}");
        }
        assert!(ContentType::new("Application/Vnd.Eclipse.Ditto+JSON; charset=utf-8").is_ditto_protocol());
        assert!(!ContentType::new("application/vnd.eclipse.ditto+json ").is_ditto_protocol());
    }
}
