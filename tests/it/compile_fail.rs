//! The compiler is the first wall: programs that must not compile, each refused for the reason in its first line.
//!
//! The compiler's words differ between releases in everything but the message, so only the message is compared.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn programs_that_break_a_rule_do_not_compile() {
    let library = Library::build();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail");
    let mut programs: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    programs.sort();
    assert!(programs.len() > 15, "only {} programs found", programs.len());
    let wrong: Vec<String> = programs.iter().filter_map(|program| library.check(program).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The compiled core, as rustc takes it.
struct Library {
    externs: Vec<String>,
    dependencies: PathBuf,
}

impl Library {
    /// Has cargo build the core, which it already has, and say where it is.
    fn build() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = Command::new(env!("CARGO"))
            .current_dir(root)
            .args([
                "build",
                "-p",
                "bulkhead",
                "-p",
                "serde_json",
                "--lib",
                "--message-format=json",
                "--quiet",
            ])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let mut externs = Vec::new();
        let mut dependencies = PathBuf::new();
        for line in String::from_utf8(built.stdout).unwrap().lines() {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let file = message["filenames"].as_array().into_iter().flatten().filter_map(|file| file.as_str());
            if let Some(file) = file.into_iter().find(|file| file.ends_with(".rlib"))
                && matches!(name, "bulkhead" | "serde_json")
            {
                externs.push(format!("{name}={file}"));
                dependencies = Path::new(file).parent().unwrap().to_owned();
            }
        }
        assert_eq!(externs.len(), 2, "{externs:?}");
        if !dependencies.ends_with("deps") {
            dependencies.push("deps");
        }
        Self { externs, dependencies }
    }

    fn check(&self, program: &Path) -> Result<(), String> {
        let name = program.file_name().unwrap().display();
        let text = std::fs::read_to_string(program).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "-o"]).arg(
            std::env::temp_dir().join(format!("bulkhead-compile-fail-{}-{name}.rmeta", std::process::id())),
        );
        rustc.arg("-L").arg(format!("dependency={}", self.dependencies.display()));
        for library in &self.externs {
            rustc.args(["--extern", library]);
        }
        let compiled = rustc.arg(program).output().unwrap();
        let said = String::from_utf8_lossy(&compiled.stderr);
        match first.strip_prefix("//@ ").and_then(|rule| rule.split_once(": ").or(Some((rule, "")))) {
            Some(("compiles", _)) if compiled.status.success() => Ok(()),
            Some(("compiles", _)) => Err(format!("{name} must compile:\n{said}")),
            Some(("error", _)) if compiled.status.success() => Err(format!("{name} compiles")),
            Some(("error", message)) if said.contains(message) => Ok(()),
            Some(("error", message)) => Err(format!("{name} is refused, but not with {message:?}:\n{said}")),
            _ => Err(format!("{name} begins with neither `//@ error: …` nor `//@ compiles`")),
        }
    }
}
