//! What a check found: problems with file and line, and the rules for words, slugs and questions. It knows no template's shape.

use std::collections::BTreeSet;
use std::fmt;

use toml::Spanned;

use super::format::File;
use super::reading::grade;

/// No answer is harder to read than this school grade; half of what ships is below 6.
const HARDEST_GRADE: f64 = 14.0;

/// Problems as they are found in one file, and the rules that many kinds of rows share.
pub struct Findings<'a> {
    /// The file being checked.
    pub file: &'a File,
    /// Those of all files so far.
    pub problems: &'a mut Vec<Problem>,
}

impl Findings<'_> {
    /// Something is wrong that has no line.
    pub fn whole(&mut self, text: String) {
        self.problems.push(Problem { path: self.file.path.clone(), line: None, text });
    }

    /// Something is wrong at `place`.
    pub fn at<T>(&mut self, place: &Spanned<T>, text: String) {
        let line = Some(self.file.line(place));
        self.problems.push(Problem { path: self.file.path.clone(), line, text });
    }

    /// Counts rows; `what` is their plural.
    pub fn at_least(&mut self, what: &str, count: usize, wanted: usize) {
        if count < wanted {
            self.whole(format!("has {count} {what}; add {} more", wanted - count));
        }
    }

    /// `what` names the text; the bounds are in words.
    pub fn words<T>(&mut self, place: &Spanned<T>, what: &str, text: &str, least: usize, most: usize) {
        let count = words(text);
        if count < least || count > most {
            self.at(place, format!("{what} has {count} words; write {least} to {most}"));
        }
    }

    /// An answer that a customer can be given as it stands: not too short, not too long, not hard to read.
    pub fn answer<T>(&mut self, place: &Spanned<T>, what: &str, text: &str) {
        self.words(place, &format!("{what}: answer"), text, 30, 120);
        let grade = grade(text);
        if grade > HARDEST_GRADE {
            self.at(
                place,
                format!(
                    "{what}: answer reads like grade {grade:.0}; write shorter sentences and plainer words"
                ),
            );
        }
    }

    /// Each slug is well formed and there once.
    pub fn slugs<'s, T: 's>(&mut self, what: &str, rows: &'s [Spanned<T>], slug: fn(&'s T) -> &'s str) {
        let mut seen = BTreeSet::new();
        for row in rows {
            let slug = slug(row.as_ref());
            if !is_slug(slug) {
                self.at(row, format!("{what} `{slug}`: write a slug of 2 to 60 lower-case letters, digits and single dashes"));
            }
            if !seen.insert(slug) {
                self.at(row, format!("{what} `{slug}` is there twice; rename one"));
            }
        }
    }

    /// Reads like a question.
    pub fn question<T>(&mut self, place: &Spanned<T>, what: &str, question: &str) {
        if !question.ends_with('?') || !(10..=160).contains(&question.chars().count()) {
            self.at(
                place,
                format!("{what}: `{question}` should be a question of 10 to 160 characters that ends in ?"),
            );
        }
    }

    /// Has at least `least` phrases between commas.
    pub fn synonyms<T>(&mut self, place: &Spanned<T>, what: &str, text: &str, least: usize) {
        let phrases: Vec<&str> = text.split(',').map(str::trim).collect();
        if phrases.len() < least || phrases.iter().any(|phrase| phrase.is_empty()) {
            self.at(
                place,
                format!(
                    "{what}: give at least {least} words or phrases that customers use, separated by commas"
                ),
            );
        }
    }
}

/// A broken rule.
#[derive(Debug)]
pub struct Problem {
    /// The file as errors name it.
    pub path: String,
    /// From 1; none when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// How many words a text has; signs standing alone are none.
pub fn words(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

/// Lower-case words and numbers joined by single dashes.
pub fn is_slug(text: &str) -> bool {
    (2..=60).contains(&text.len())
        && text.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}
