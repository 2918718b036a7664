//! Rebuilds the tool when a migration or template is added or removed: the lists of embedded files are made at compile time.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
    println!("cargo::rerun-if-changed=../../templates/industries");
    println!("cargo::rerun-if-changed=../../templates/company");
}
