//! Inputs that were dangerous once, each against every law.

mod laws;

#[test]
fn no_known_input_breaks_a_law() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crashes");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        laws::scripts(&std::fs::read(file).unwrap());
    }
}
