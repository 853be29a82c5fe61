//! A certificate authority of our own and two certificates that it signed: one for this broker, one for another host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, anyhow};

use super::java;
use crate::workspace;

/// Password of the key stores: they guard nothing but tests.
pub(crate) const STORE_PASSWORD: &str = "changeit";
/// The name in the certificate that clients must refuse.
pub(crate) const WRONG_NAME: &str = "elsewhere.example";
const AUTHORITY: &str = "authority";

/// Files of the TLS listeners.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority's certificate, PEM.
    pub(crate) ca: PathBuf,
    /// Key store (PKCS 12) for `localhost` and `127.0.0.1`.
    pub(crate) broker: PathBuf,
    /// Key store (PKCS 12) for `WRONG_NAME`.
    pub(crate) wrong_name: PathBuf,
    /// Certificate of the authority whose clients are let in where one is asked for, PEM: one of the project.
    pub(crate) clients: PathBuf,
}

impl Certificates {
    /// Those in `folder`; made if it has none yet.
    ///
    /// # Errors
    /// If keytool is missing or older than 17, which cannot sign with another key.
    pub(crate) fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let certificates = Self {
            ca: folder.join("ca.pem"),
            broker: folder.join("broker.p12"),
            wrong_name: folder.join("wrong-name.p12"),
            clients: clients(),
        };
        // ca.pem is moved into place last.
        if !certificates.ca.exists() {
            certificates.make(folder).context("cannot make certificates")?;
        }
        Ok(certificates)
    }

    fn make(&self, folder: &Path) -> anyhow::Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).context("cannot remove the old ones")?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let authority = folder.join("authority.p12");
        pair(
            &authority,
            AUTHORITY,
            "CN=ditto-connectivity test authority",
            &["bc:critical=ca:true", "ku:critical=keyCertSign,cRLSign"],
        )?;
        let exported = folder.join("ca.pem.tmp");
        thread::scope(|scope| {
            let right =
                scope.spawn(|| signed(&authority, &self.broker, "localhost", "dns:localhost,ip:127.0.0.1"));
            let wrong = scope
                .spawn(|| signed(&authority, &self.wrong_name, WRONG_NAME, &format!("dns:{WRONG_NAME}")));
            let mut export = keytool(&authority);
            java::run(export.args(["-exportcert", "-rfc", "-alias", AUTHORITY, "-file"]).arg(&exported))?;
            let broken = |_| anyhow!("keytool could not be watched");
            right.join().map_err(broken)?.and(wrong.join().map_err(broken)?)
        })?;
        fs::remove_file(&authority).context("cannot remove the authority's key")?;
        fs::rename(&exported, &self.ca).context("cannot move ca.pem into place")
    }
}

/// The certificate that tests show has to be known to them, so it is not made anew for each broker.
pub(crate) fn clients() -> PathBuf {
    workspace::root().join("tests/tls/authority.pem")
}

/// A key store with one key and its certificate (with the authority's behind it) for the names in `san`.
fn signed(authority: &Path, store: &Path, common_name: &str, san: &str) -> anyhow::Result<()> {
    fs::copy(authority, store).context("cannot copy the authority's key store")?;
    let san = format!("san={san}");
    pair_signed(store, "broker", &format!("CN={common_name}"), &[&san, "eku=serverAuth"])?;
    java::run(keytool(store).args(["-delete", "-alias", AUTHORITY]))
}

fn pair(store: &Path, alias: &str, name: &str, extensions: &[&str]) -> anyhow::Result<()> {
    java::run(&mut new_pair(store, alias, name, extensions))
}

fn pair_signed(store: &Path, alias: &str, name: &str, extensions: &[&str]) -> anyhow::Result<()> {
    java::run(new_pair(store, alias, name, extensions).args(["-signer", AUTHORITY]))
}

fn new_pair(store: &Path, alias: &str, name: &str, extensions: &[&str]) -> Command {
    let mut command = keytool(store);
    command.args(["-genkeypair", "-alias", alias, "-dname", name, "-validity", "3650"]);
    command.args(["-keyalg", "EC", "-groupname", "secp256r1"]);
    for extension in extensions {
        command.args(["-ext", extension]);
    }
    command
}

fn keytool(store: &Path) -> Command {
    let mut command = Command::new(java::program("keytool"));
    // Compiled code does not pay in a process that lives for half a second.
    command.arg("-J-XX:TieredStopAtLevel=1");
    command.args(["-storetype", "PKCS12", "-storepass", STORE_PASSWORD, "-keystore"]).arg(store);
    command
}
