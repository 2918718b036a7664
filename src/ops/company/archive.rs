//! The archive of a company: a gzipped tar file (POSIX ustar) with one JSON Lines file a table, and a manifest at its end.
//! It never says that an archive is good unless every byte of every table is what the manifest says.
//!
//! The manifest comes last because it holds the hashes of what stands before it, and all is written as it is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::new_file;
use super::tables::{Sum, Summing};

/// The one format there is.
pub const FORMAT: u32 = 1;

/// What an archive holds.
#[derive(Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Number of the newest migration where it was written; the archive fits that schema alone.
    pub schema: i32,
    /// The company.
    pub company_id: String,
    /// Its slug then.
    pub slug: String,
    /// When it was read, ISO 8601: all tables as of one moment.
    pub exported_at: String,
    /// `sealed`: under the master keys of the deployment it comes from; `left out`.
    pub secrets: String,
    /// What somebody who unpacks it should know.
    pub notes: Vec<String>,
    /// The tables, each after those that it refers to.
    pub tables: Vec<Part>,
    /// Tables that are not in it, with the reasons.
    pub left_out: BTreeMap<String, String>,
}

/// One table of an archive.
#[derive(Serialize, Deserialize)]
pub struct Part {
    /// The table.
    pub table: String,
    /// Its file in the archive.
    pub file: String,
    /// The columns of each row.
    pub columns: Vec<String>,
    /// Rows, bytes and hash of the file.
    #[serde(flatten)]
    pub sum: Sum,
}

/// The name of a table's file.
pub fn file_of(table: &str) -> String {
    format!("tables/{table}.jsonl")
}

const MANIFEST: &str = "manifest.json";

/// An archive that is being written. A tar file gives each size before the content, so a table waits in a file beside it.
pub struct Writer {
    tar: tar::Builder<GzEncoder<File>>,
    waiting: File,
}

impl Writer {
    /// A new archive; nothing may be at the path yet.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let waiting = new_file(Path::new(&name))?;
        // It has no name any more, so whatever happens nothing of it stays.
        std::fs::remove_file(&name).context("cannot remove a file that was just made")?;
        let tar = tar::Builder::new(GzEncoder::new(new_file(path)?, Compression::default()));
        Ok(Self { tar, waiting })
    }

    /// One more row of the table that comes next.
    pub fn row(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.waiting.write_all(line).context("the disk takes no more")
    }

    /// All rows of this table are there.
    pub fn table(&mut self, table: &str, bytes: u64) -> anyhow::Result<()> {
        self.waiting.rewind()?;
        let mut header = header(bytes);
        self.tar.append_data(&mut header, file_of(table), BufReader::new(&self.waiting).take(bytes))?;
        self.waiting.set_len(0)?;
        self.waiting.rewind()?;
        Ok(())
    }

    /// All tables are there.
    pub fn finish(mut self, manifest: &Manifest) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(manifest)?;
        self.tar.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
        let file = self.tar.into_inner()?.finish()?;
        file.sync_all().context("the archive could not be written to the disk")
    }
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o600);
    header
}

/// Reads all of it once; gives its manifest if every table is as that says.
pub fn check(path: &Path) -> anyhow::Result<Manifest> {
    let mut found: BTreeMap<String, Sum> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    each(path, |name, content| {
        ensure!(manifest.is_none(), "something stands behind the manifest");
        if name == MANIFEST {
            let read = serde_json::from_reader(content.take(MANIFEST_LIMIT));
            manifest = Some(read.context("the manifest is none that this version can read")?);
            return Ok(());
        }
        let mut summing = Summing::default();
        lines(content, |line| {
            summing.line(line);
            Ok(())
        })?;
        ensure!(found.insert(name.to_owned(), summing.sum()).is_none(), "{name} is in it twice");
        Ok(())
    })?;
    let manifest =
        manifest.context("it has no manifest: it is no archive of a company, or it was cut off")?;
    ensure!(
        manifest.format == FORMAT,
        "its format is {}, and this version reads {FORMAT} alone",
        manifest.format
    );
    for part in &manifest.tables {
        ensure!(part.file == file_of(&part.table), "the manifest has another file for table {}", part.table);
        match found.remove(&part.file) {
            None => bail!("table {} is missing from it", part.table),
            Some(sum) => ensure!(
                sum == part.sum,
                "table {} was changed: its rows or their hash are not what the manifest says",
                part.table
            ),
        }
    }
    if let Some((name, _)) = found.first_key_value() {
        bail!("it holds {name}, of which its manifest knows nothing");
    }
    Ok(manifest)
}

/// Calls for each file in the archive, in their order.
fn each(path: &Path, mut call: impl FnMut(&str, &mut dyn Read) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut archive = open(path)?;
    for entry in archive.entries().context("it is no gzipped tar file")? {
        let mut entry = entry.context("it is no gzipped tar file, or it was cut off")?;
        let name = entry.path().context("it holds a file without a sensible name")?;
        let name = name.to_str().context("it holds a file without a sensible name")?.to_owned();
        call(&name, &mut entry)?;
    }
    Ok(())
}

/// The archive, to be read table by table.
pub fn open(path: &Path) -> anyhow::Result<tar::Archive<GzDecoder<BufReader<File>>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(tar::Archive::new(GzDecoder::new(BufReader::new(file))))
}

/// Calls for each line, its end included.
pub fn lines(content: impl Read, mut call: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut reader = BufReader::new(content);
    let mut line = Vec::new();
    while next(&mut reader, &mut line)? {
        call(&line)?;
    }
    Ok(())
}

/// The next line, its end included; `false` when there is none.
pub fn next(reader: &mut BufReader<impl Read>, line: &mut Vec<u8>) -> anyhow::Result<bool> {
    line.clear();
    reader.take(LINE_LIMIT).read_until(b'\n', line).context("it was cut off")?;
    ensure!(line.is_empty() || line.ends_with(b"\n"), "a row has no end, or is over {LINE_LIMIT} bytes");
    Ok(!line.is_empty())
}

/// Bytes of one row; the longest that the schema allows are far below.
const LINE_LIMIT: u64 = 16 << 20;

/// Bytes of a manifest.
const MANIFEST_LIMIT: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the test's own, gone with it.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = crate::keys::id().unwrap();
            let folder = std::env::temp_dir().join(format!("bulkhead-archive-{name}"));
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// An archive of two tables, the second of them empty, whose manifest is changed before it is written.
    fn write(path: &Path, change: impl FnOnce(&mut Manifest)) {
        let mut writer = Writer::new(path).unwrap();
        let mut manifest = Manifest {
            format: FORMAT,
            schema: 16,
            company_id: "c".into(),
            slug: "acme".into(),
            exported_at: "2026-01-01T00:00:00Z".into(),
            secrets: "sealed".into(),
            notes: vec![],
            tables: vec![],
            left_out: BTreeMap::new(),
        };
        for (table, rows) in [("companies", &["{\"a\":1}\n", "{\"a\":\"ü\"}\n"][..]), ("users", &[])] {
            let mut summing = Summing::default();
            for row in rows {
                summing.line(row.as_bytes());
                writer.row(row.as_bytes()).unwrap();
            }
            let sum = summing.sum();
            writer.table(table, sum.bytes).unwrap();
            manifest.tables.push(Part { table: table.into(), file: file_of(table), columns: vec![], sum });
        }
        change(&mut manifest);
        writer.finish(&manifest).unwrap();
    }

    /// What is said of an archive whose manifest was changed so; empty when it is good.
    fn said(change: impl FnOnce(&mut Manifest)) -> String {
        let folder = Folder::new();
        let path = folder.0.join("archive.tar.gz");
        write(&path, change);
        check(&path).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = Folder::new();
        let path = folder.0.join("archive.tar.gz");
        write(&path, |_| ());
        let manifest = check(&path).unwrap();
        let rows: Vec<u64> = manifest.tables.iter().map(|part| part.sum.rows).collect();
        assert_eq!((manifest.slug.as_str(), rows), ("acme", vec![2, 0]));
        // Nothing is written over, and nothing of the waiting rows stays.
        assert!(Writer::new(&path).is_err());
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_as_its_manifest_says_is_refused() {
        assert_eq!(said(|_| ()), "");
        for (expected, change) in [
            ("its format is 2", (|manifest| manifest.format = 2) as fn(&mut Manifest)),
            ("table companies was changed", |manifest| manifest.tables.first_mut().unwrap().sum.rows = 3),
            ("table companies was changed", |manifest| {
                manifest.tables.first_mut().unwrap().sum.sha256 = "0".repeat(64)
            }),
            ("knows nothing", |manifest| drop(manifest.tables.pop())),
            ("table users is missing", |manifest| {
                let sum = Sum { rows: 0, bytes: 0, sha256: String::new() };
                let (table, file) = ("users".to_owned(), file_of("users"));
                manifest.tables.push(Part { table, file, columns: vec![], sum });
            }),
            ("another file", |manifest| manifest.tables.first_mut().unwrap().file = "/etc/passwd".into()),
        ] {
            let said = said(change);
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn half_an_archive_is_none() {
        let folder = Folder::new();
        let path = folder.0.join("archive.tar.gz");
        write(&path, |_| ());
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 1, whole.len() / 2] {
            std::fs::write(&path, whole.get(..length).unwrap()).unwrap();
            assert!(check(&path).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
