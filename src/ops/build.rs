//! Rebuilds the tool when a migration is added or removed: the list of embedded files is made at compile time.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
