//! What a state is, from records to what is stored and shown of it.

mod every_call;
mod exposure;
mod full_bucket;
mod laws;
mod lives;
mod parse;
mod policy;
mod projection;
mod public_policies;
mod published_policies;
mod quirks;
mod record;
mod size;
mod stored;
mod support;
mod ties;
mod unreadable;

#[test]
fn every_file_of_tests_is_run() {
    let listed = include_str!("main.rs");
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(listed.contains(&format!("\nmod {module};\n")), "{name} is not in main.rs");
        }
    }
}
