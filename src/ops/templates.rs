//! `bulkhead templates`: checks the industry and company templates, loads them into the template tables, and brings what
//! companies have not edited up to date. Loading touches no company: provisioning and `update` copy from the template tables.

mod alike;
mod check;
mod eval;
pub use eval::id;
mod findings;
mod format;
mod office;
mod office_check;
mod price;
mod reading;
mod rows;
mod spelling;
#[cfg(test)]
mod tests;
mod update;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use include_dir::{Dir, include_dir};

pub use rows::Summary;

/// Checks the templates that this binary carries and loads them, replacing each template's rows, in one transaction.
///
/// `owner_url` is the URL of the role that owns the schema, after all migrations have run. Loading again changes nothing but
/// `templates.loaded_at`. Fails without any change when a template does not pass the check or the database refuses.
pub async fn load(owner_url: &str) -> anyhow::Result<Summary> {
    rows::load(owner_url, &checked(&embedded()?)?).await
}

/// Options of `bulkhead templates`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say everything that is wrong with the templates, by file and line.
    Check {
        /// Check this directory (with industries/ and company/ in it) instead of the templates in the binary.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Ask each loaded industry its golden questions, through the search that the worker uses, and print how well it answers.
    Eval {
        /// URL of the role that owns the schema.
        #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
        database_url: String,
        /// Also print each question that did not come out as it should.
        #[arg(long)]
        verbose: bool,
    },
    /// Check the templates, then load them in one transaction.
    Load {
        /// Load this directory (with industries/ and company/ in it) instead of the templates in the binary.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// URL of the role that owns the schema.
        #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
        database_url: String,
    },
    /// Bring what companies have not edited up to date with the loaded templates.
    Update {
        /// Only say how much would change.
        #[arg(long)]
        dry_run: bool,
        /// URL of the role that owns the schema; it only lists the companies.
        #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
        owner_url: String,
        /// URL of the worker's role, under which each company is changed.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match args.command {
        Command::Check { dir } => {
            for template in &checked(&dir.as_deref().map_or_else(embedded, from_dir)?)? {
                writeln!(out, "{}", rows::counts(template))?;
            }
        }
        Command::Eval { database_url, verbose } => {
            let report = eval::run(&database_url).await?;
            write!(out, "{report}")?;
            if verbose {
                report.missed.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            }
        }
        Command::Load { dir, database_url } => {
            let summary = match dir {
                None => load(&database_url).await?,
                Some(dir) => rows::load(&database_url, &checked(&from_dir(&dir)?)?).await?,
            };
            writeln!(out, "{summary}")?;
        }
        Command::Update { dry_run, owner_url, database_url } => {
            writeln!(out, "{}", update::run(&owner_url, &database_url, dry_run).await?)?;
        }
    }
    Ok(())
}

/// A template file as it was read.
pub struct Source {
    /// The file's path as errors name it.
    path: String,
    /// Which folder it lies in.
    kind: Kind,
    /// The whole file.
    text: String,
}

/// Which folder a template lies in, and so what it is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A company chooses one.
    Industry,
    /// Every company gets it as well.
    Company,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Company, Self::Industry];

    /// The folder's name.
    fn folder(self) -> &'static str {
        match self {
            Self::Industry => "industries",
            Self::Company => "company",
        }
    }

    /// The value of `templates.kind`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Industry => "industry",
            Self::Company => "company",
        }
    }
}

/// The parsed templates, or one error that lists everything that is wrong with them.
fn checked(sources: &[Source]) -> anyhow::Result<Vec<format::File>> {
    let (files, problems) = check::check(sources);
    if problems.is_empty() {
        return Ok(files);
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::bail!("the templates do not pass the check ({} found):\n{}", lines.len(), lines.join("\n"))
}

/// The files that were compiled into this binary.
fn embedded() -> anyhow::Result<Vec<Source>> {
    static COMPANY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../templates/company");
    static INDUSTRIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../templates/industries");
    let mut sources = Vec::new();
    for kind in Kind::ALL {
        let dir = match kind {
            Kind::Company => &COMPANY,
            Kind::Industry => &INDUSTRIES,
        };
        for file in dir.files().filter(|file| is_toml(file.path())) {
            let path = format!("templates/{}/{}", kind.folder(), file.path().display());
            let text =
                file.contents_utf8().with_context(|| format!("{path} is not UTF-8; save it as UTF-8"))?;
            sources.push(Source { path, kind, text: text.to_owned() });
        }
    }
    Ok(sources)
}

fn from_dir(dir: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for kind in Kind::ALL {
        let folder = dir.join(kind.folder());
        let listed = std::fs::read_dir(&folder).with_context(|| {
            format!("{} cannot be read; give --dir a directory that has it", folder.display())
        })?;
        let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.retain(|path| is_toml(path));
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            sources.push(Source { path: path.display().to_string(), kind, text });
        }
    }
    Ok(sources)
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}
