//! Rebuilds the tool when a template file is added or removed: the list of embedded files is made at compile time.

fn main() {
    println!("cargo::rerun-if-changed=../../templates/industries");
    println!("cargo::rerun-if-changed=../../templates/company");
}
