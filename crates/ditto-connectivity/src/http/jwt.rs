//! Tokens of an issuer whose keys are published (JWT, JWKS).

use std::fmt;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::sync::RwLock;
use tracing::warn;

use super::realm::{Caller, Role};
use crate::config::JwtConfig;
use crate::error::chain;

/// Takes tokens of one issuer.
pub(super) struct Tokens {
    config: JwtConfig,
    client: Client,
    keys: RwLock<Keys>,
}

/// The issuer's keys as they were read last.
#[derive(Default)]
struct Keys {
    set: Option<JwkSet>,
    asked: Option<Instant>,
}

/// No key that both sides know, and none that a token can bring along.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Keys are read again after this time, so that those that the issuer has withdrawn end.
const MAX_AGE: Duration = Duration::from_secs(600);
/// And at most so often, whatever tokens name.
const MIN_AGE: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 << 10;

impl Tokens {
    pub(super) fn new(config: &JwtConfig) -> Result<Self, String> {
        let client = Client::builder()
            // Keys from elsewhere would be somebody else's.
            .redirect(Redirects::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { config: config.clone(), client, keys: RwLock::default() })
    }

    /// Whose token it is; none if it is not one to take.
    pub(super) async fn caller(&self, token: &str) -> Option<Caller> {
        let header = decode_header(token).ok().filter(|header| ALGORITHMS.contains(&header.alg))?;
        let key = self.key(header.kid.as_deref()?).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_nbf = true;
        match &self.config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            None => validation.validate_aud = false,
        }
        let claims = decode::<Value>(token, &key, &validation).ok()?.claims;
        let subject = claims.get("sub").and_then(Value::as_str)?;
        let is_in = |subjects: &[String]| subjects.iter().any(|known| known == subject);
        let role = match () {
            () if is_in(&self.config.devops_subjects) => Role::Devops,
            () if is_in(&self.config.status_subjects) => Role::Status,
            () => return None,
        };
        Some(Caller { name: subject.into(), role })
    }

    async fn key(&self, id: &str) -> Option<DecodingKey> {
        {
            let keys = self.keys.read().await;
            if let Some(key) = keys.find(id).filter(|_| keys.age() < MAX_AGE) {
                return DecodingKey::from_jwk(key).ok();
            }
        }
        let mut keys = self.keys.write().await;
        // Whoever waited for the lock may find what the one before has read.
        if keys.age() >= MAX_AGE || keys.find(id).is_none() && keys.age() >= MIN_AGE {
            keys.asked = Some(Instant::now());
            match self.read().await {
                Ok(set) => keys.set = Some(set),
                // Those that were read before still count.
                Err(why) => warn!(url = %self.config.jwks_url, %why, "keys of the issuer of tokens not read"),
            }
        }
        keys.find(id).and_then(|key| DecodingKey::from_jwk(key).ok())
    }

    async fn read(&self) -> Result<JwkSet, String> {
        let url: Url = self.config.jwks_url.clone();
        let mut response = self.client.get(url).send().await.map_err(|error| chain(&error))?;
        if !response.status().is_success() {
            return Err(format!("answered with status {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("more than {MAX_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| format!("no JWKS: {error}"))
    }
}

impl Keys {
    fn find(&self, id: &str) -> Option<&jsonwebtoken::jwk::Jwk> {
        self.set.as_ref().and_then(|set| set.find(id))
    }

    fn age(&self) -> Duration {
        self.asked.map_or(Duration::MAX, |asked| asked.elapsed())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A key that nothing but this test knows.
    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgu/nNklNJcOq86hf8O8pQI0Rs4yBEkEe35/sxbZVIlhGhRANCAASWJr8uDnOT1WN8S16DCv6FVjxJFRrjtTp2cXWpHXASVRxMxFFrJqb8KVXk8CY2usGyB3hLHc/sCIbp0+ee1Es2";
    const X: &str = "lia_Lg5zk9VjfEtegwr-hVY8SRUa47U6dnF1qR1wElU";
    const Y: &str = "HEzEUWsmpvwpVeTwJja6wbIHeEsdz-wIhunT557USzY";

    /// Says which keys there are, to whoever asks.
    async fn issuer() -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
        let key =
            json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig", "x": X, "y": Y });
        let body = json!({ "keys": [key] }).to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4_096];
                let _read = stream.read(&mut head).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _sent = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    fn token(kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &EncodingKey::from_ec_der(&STANDARD.decode(KEY).unwrap())).unwrap()
    }

    #[tokio::test]
    async fn tokens_of_the_issuer_and_no_others() {
        let tokens = Tokens::new(&JwtConfig {
            issuer: "https://issuer".to_owned(),
            jwks_url: issuer().await,
            audience: Some("us".to_owned()),
            devops_subjects: vec!["ann".to_owned()],
            status_subjects: vec!["bob".to_owned()],
        })
        .unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = |changes: Value| {
            let mut claims = json!({ "iss": "https://issuer", "aud": "us", "sub": "ann", "exp": now + 600 });
            claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            claims
        };
        let role = async |token: String| tokens.caller(&token).await.map(|caller| caller.role);
        assert_eq!(role(token("k1", &claims(json!({})))).await, Some(Role::Devops));
        assert_eq!(role(token("k1", &claims(json!({ "sub": "bob" })))).await, Some(Role::Status));
        for wrong in [
            json!({ "sub": "eve" }),
            json!({ "sub": null }),
            json!({ "iss": "https://other" }),
            json!({ "aud": "them" }),
            json!({ "aud": null }),
            json!({ "exp": now - 600 }),
            json!({ "exp": null }),
            json!({ "nbf": now + 600 }),
        ] {
            assert_eq!(role(token("k1", &claims(wrong.clone()))).await, None, "{wrong}");
        }
        assert_eq!(role(token("k2", &claims(json!({})))).await, None, "a key that nobody has published");
        let right = token("k1", &claims(json!({})));
        let (signed, _) = right.rsplit_once('.').unwrap();
        let (_, body) = signed.split_once('.').unwrap();
        let with_header = |header: Value| format!("{}.{body}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let unsigned = with_header(json!({ "alg": "none", "kid": "k1" }));
        assert_eq!(role(format!("{unsigned}.")).await, None);
        // The published key as the secret of both sides.
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(X).unwrap());
        assert_eq!(role(encode(&header, &claims(json!({})), &secret).unwrap()).await, None);
        for text in ["", "a.b.c", signed, "ey.ey.ey"] {
            assert_eq!(role(text.to_owned()).await, None, "{text}");
        }
    }
}
