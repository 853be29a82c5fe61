use std::collections::BTreeSet;

use expect_test::expect;
use serde_json::Value;
use xshell::cmd;

use super::{Part, write};
use crate::dist::parts::Origin;
use crate::dist::parts_of;
use crate::workspace;

fn part(name: &str, needs: &[&str]) -> Part {
    Part {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        licence: "MIT OR Apache-2.0".to_owned(),
        purl: format!("pkg:cargo/{name}@1.0.0"),
        cpe: None,
        checksum: None,
        linked: true,
        needs: needs.iter().map(|it| format!("pkg:cargo/{it}@1.0.0")).collect(),
        origin: Origin::Workspace,
    }
}

#[test]
fn a_bill_names_parts_and_edges() {
    let zlib = Part { cpe: Some("cpe:2.3:a:zlib:zlib:1.0.0".to_owned()), ..part("zlib", &[]) };
    let derive = Part { linked: false, checksum: Some("ab12".to_owned()), ..part("derive", &[]) };
    let bill = write(
        &[part("app", &["zlib", "derive"]), derive, zlib],
        "x86_64-unknown-linux-gnu",
        "2026-11-25T04:55:00Z",
    );
    expect![[r#"
        {
          "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
          "bomFormat": "CycloneDX",
          "specVersion": "1.5",
          "version": 1,
          "metadata": {
            "timestamp": "2026-11-25T04:55:00Z",
            "tools": {
              "components": [
                {
                  "type": "application",
                  "name": "cargo xtask dist",
                  "version": "VERSION"
                }
              ]
            },
            "component": {
              "type": "application",
              "bom-ref": "pkg:cargo/app@1.0.0",
              "name": "app",
              "version": "1.0.0",
              "scope": "required",
              "licenses": [
                {
                  "expression": "MIT OR Apache-2.0"
                }
              ],
              "purl": "pkg:cargo/app@1.0.0",
              "properties": [
                {
                  "name": "target",
                  "value": "x86_64-unknown-linux-gnu"
                }
              ]
            }
          },
          "components": [
            {
              "type": "library",
              "bom-ref": "pkg:cargo/derive@1.0.0",
              "name": "derive",
              "version": "1.0.0",
              "scope": "excluded",
              "hashes": [
                {
                  "alg": "SHA-256",
                  "content": "ab12"
                }
              ],
              "licenses": [
                {
                  "expression": "MIT OR Apache-2.0"
                }
              ],
              "purl": "pkg:cargo/derive@1.0.0"
            },
            {
              "type": "library",
              "bom-ref": "pkg:cargo/zlib@1.0.0",
              "name": "zlib",
              "version": "1.0.0",
              "scope": "required",
              "licenses": [
                {
                  "expression": "MIT OR Apache-2.0"
                }
              ],
              "cpe": "cpe:2.3:a:zlib:zlib:1.0.0",
              "purl": "pkg:cargo/zlib@1.0.0"
            }
          ],
          "dependencies": [
            {
              "ref": "pkg:cargo/app@1.0.0",
              "dependsOn": [
                "pkg:cargo/derive@1.0.0",
                "pkg:cargo/zlib@1.0.0"
              ]
            },
            {
              "ref": "pkg:cargo/derive@1.0.0",
              "dependsOn": []
            },
            {
              "ref": "pkg:cargo/zlib@1.0.0",
              "dependsOn": []
            }
          ]
        }
    "#]]
    .assert_eq(&bill.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

/// Every edge ends at a part, no part is there twice, and what is said of the tree is so.
#[test]
fn the_bill_of_the_binary_is_whole() {
    let shell = workspace::shell().unwrap();
    let host = cmd!(shell, "rustc --print host-tuple").quiet().read().unwrap();
    let parts = parts_of(&shell, &workspace::root(), &host).unwrap();
    let bill: Value = serde_json::from_str(&write(&parts, &host, "2026-11-25T04:55:00Z")).unwrap();
    assert_eq!(bill["metadata"]["component"]["name"], "ditto-connectivity");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = bill["components"].as_array().unwrap();
    let mut references: BTreeSet<_> = components.iter().map(|it| text(&it["bom-ref"])).collect();
    assert_eq!(references.len(), components.len());
    references.insert(text(&bill["metadata"]["component"]["bom-ref"]));
    for edge in bill["dependencies"].as_array().unwrap() {
        assert!(references.contains(&text(&edge["ref"])));
        assert!(edge["dependsOn"].as_array().unwrap().iter().all(|it| references.contains(&text(it))));
    }
    let names: BTreeSet<_> = components.iter().map(|it| text(&it["name"])).collect();
    for name in ["librdkafka", "openssl", "zlib", "zstd", "rdkafka-sys", "ditto-json", "tokio"] {
        assert!(names.contains(name), "{name}");
    }
    // Of tests, of builds, of another workspace member.
    for name in ["proptest", "expect-test", "cc", "xshell"] {
        assert!(!names.contains(name), "{name}");
    }
    let macros: Vec<_> = components.iter().filter(|it| it["name"] == "serde_derive").collect();
    assert_eq!(macros.len(), 1);
    assert_eq!(macros[0]["scope"], "excluded");
}
