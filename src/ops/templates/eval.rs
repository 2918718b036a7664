//! `bulkhead templates eval`: how well each industry answers its golden questions, and keeps quiet where it must.
//! It leaves nothing behind: every industry becomes a company in a transaction that is rolled back.

use std::fmt;

use anyhow::Context as _;
use bulkhead::conversations::CONVERSATION_BEGIN;
use bulkhead::knowledge::{ANSWER_SCORE, KNOWLEDGE_SEARCH};
use bulkhead::provisioning::{COMPANY_ADD, COPIES};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Transaction};

use crate::gateway::param::Param;
use crate::postgres;

/// Asks every loaded industry its own golden questions, and each question once more of another industry.
pub async fn run(owner_url: &str) -> anyhow::Result<Report> {
    let mut client =
        postgres::connect(owner_url).await.context("cannot reach the database; check its URL")?;
    let goldens = goldens(&client).await?;
    let mut industries: Vec<&str> = goldens.iter().map(|golden| golden.industry.as_str()).collect();
    industries.dedup();
    let mut report = Report::default();
    for (place, industry) in industries.iter().enumerate() {
        let company = Company::make(&mut client, industry).await?;
        let mut line = Line { industry: (*industry).to_owned(), ..Line::default() };
        for golden in goldens.iter().filter(|golden| golden.industry == *industry) {
            let hits = company.search(&golden.question).await?;
            line.note(golden, &hits, &mut report.missed);
            if let (Some(entry), Some(question)) = (&golden.entry, misspelt(&golden.question)) {
                let hits = company.search(&question).await?;
                line.misspelt += 1;
                line.misspelt_found += u32::from(hits.iter().take(3).any(|hit| hit.question == *entry));
            }
        }
        // Questions of the others, a different one for each industry, so that each is asked once elsewhere.
        let others = goldens.iter().filter(|golden| golden.entry.is_some() && golden.industry != *industry);
        for golden in others.skip(place).step_by(industries.len().max(1)) {
            let hits = company.search(&golden.question).await?;
            line.elsewhere += 1;
            if let Some(hit) = hits.first().filter(|hit| hit.score >= ANSWER_SCORE) {
                line.elsewhere_answered += 1;
                report.missed.push(format!(
                    "{industry} answers {}'s {:?} with {:?}",
                    golden.industry, golden.question, hit.question
                ));
            }
        }
        company.forget().await?;
        report.lines.push(line);
    }
    drop(client);
    Ok(report)
}

/// The question as a hasty customer types it: two letters of its longest word change places. None where no word has six.
fn misspelt(question: &str) -> Option<String> {
    let letters = |word: &&str| word.len() >= 6 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let word = question.split(' ').filter(letters).max_by_key(|word| word.len())?;
    let (before, from) = word.split_at_checked(word.len() / 2 - 1)?;
    let mut rest = from.chars();
    let (first, second) = (rest.next()?, rest.next()?);
    (first != second)
        .then(|| question.replacen(word, &format!("{before}{second}{first}{}", rest.as_str()), 1))
}

/// A golden question; without an entry it must not be answered.
struct Golden {
    industry: String,
    question: String,
    /// The question of the entry that answers it.
    entry: Option<String>,
}

async fn goldens(client: &Client) -> anyhow::Result<Vec<Golden>> {
    let rows = client
        .query(
            "select g.template, g.question, replace(e.question, '{{company}}', $1)
             from template_goldens g
             left join template_entries e on e.template = g.template and e.slug = g.entry
             order by g.template, g.position",
            &[&NAME],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Golden { industry: row.try_get(0)?, question: row.try_get(1)?, entry: row.try_get(2)? })
        })
        .collect()
}

/// What every company here is called.
const NAME: &str = "Golden Company";

/// A company in a transaction that never ends well, with a conversation to search from.
struct Company<'client> {
    transaction: Transaction<'client>,
    id: String,
    conversation: String,
    visitor: String,
}

struct Hit {
    question: String,
    score: f64,
}

impl<'client> Company<'client> {
    async fn make(client: &'client mut Client, industry: &str) -> anyhow::Result<Self> {
        let transaction = client.transaction().await?;
        let company = Self { transaction, id: id(), conversation: id(), visitor: id() };
        company.run("select set_config('app.current_company_id', $1, true)", &[]).await?;
        let [slug, name, industry_slug] = ["golden", NAME, industry].map(Param::from);
        company.run(COMPANY_ADD.text(), &[slug, name, industry_slug, Param::null()]).await?;
        for copy in COPIES {
            company.run(copy.text(), &[industry, NAME].map(Param::from)).await?;
        }
        let begin = [company.conversation.as_str(), &company.visitor].map(Param::from);
        let [conversation, visitor] = begin;
        let begin = [conversation, visitor, Param::null(), Param::from("false")];
        company.run(CONVERSATION_BEGIN.text(), &begin).await?;
        Ok(company)
    }

    async fn search(&self, question: &str) -> anyhow::Result<Vec<Hit>> {
        let [question, conversation, visitor] =
            [question, &self.conversation, &self.visitor].map(Param::from);
        let params = [question, conversation, visitor, Param::null()];
        let rows = self.run(KNOWLEDGE_SEARCH.text(), &params).await?;
        rows.iter()
            .map(|row| Ok(Hit { question: row.try_get("question")?, score: row.try_get("score")? }))
            .collect()
    }

    async fn forget(self) -> anyhow::Result<()> {
        Ok(self.transaction.rollback().await?)
    }

    /// Runs a statement of the core's, which has the company as its first parameter.
    async fn run(&self, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Vec<tokio_postgres::Row>> {
        let id = Param::from(self.id.as_str());
        let params: Vec<&(dyn ToSql + Sync)> =
            std::iter::once(&id).chain(params).map(|param| param as &(dyn ToSql + Sync)).collect();
        let statement = self.transaction.prepare(sql).await?;
        self.transaction.query(&statement, &params).await.with_context(|| sql.to_owned())
    }
}

/// A new id, of nothing in particular.
#[expect(clippy::disallowed_methods, reason = "a native program has no platform to ask")]
pub fn id() -> String {
    let mut bytes = [0; 16];
    // An id that is all zeros would do here as well.
    let _ = getrandom::fill(&mut bytes);
    uuid::Uuid::from_bytes(bytes).to_string()
}

/// How the industries did.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
    /// What did not come out as it should, in words.
    pub missed: Vec<String>,
}

#[derive(Default)]
struct Line {
    industry: String,
    asked: u32,
    first: u32,
    among_three: u32,
    reciprocal_ranks: f64,
    answered_rightly: u32,
    answered_wrongly: u32,
    refusals: u32,
    refused: u32,
    elsewhere: u32,
    elsewhere_answered: u32,
    misspelt: u32,
    misspelt_found: u32,
}

impl Line {
    fn note(&mut self, golden: &Golden, hits: &[Hit], missed: &mut Vec<String>) {
        let answers = hits.first().filter(|hit| hit.score >= ANSWER_SCORE);
        let Some(entry) = &golden.entry else {
            self.refusals += 1;
            match answers {
                None => self.refused += 1,
                Some(hit) => missed.push(format!(
                    "{} answers {:?}, which it must not, with {:?}",
                    self.industry, golden.question, hit.question
                )),
            }
            return;
        };
        self.asked += 1;
        let place = hits.iter().position(|hit| hit.question == *entry);
        if let Some(place) = place {
            self.first += u32::from(place == 0);
            self.among_three += u32::from(place < 3);
            self.reciprocal_ranks += 1.0 / (place as f64 + 1.0);
        }
        if place.is_none_or(|place| place >= 3) {
            missed.push(format!("{} does not find {entry:?} for {:?}", self.industry, golden.question));
        }
        if answers.is_some() {
            if place == Some(0) { self.answered_rightly += 1 } else { self.answered_wrongly += 1 }
        }
    }

    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.first += other.first;
        self.among_three += other.among_three;
        self.reciprocal_ranks += other.reciprocal_ranks;
        self.answered_rightly += other.answered_rightly;
        self.answered_wrongly += other.answered_wrongly;
        self.refusals += other.refusals;
        self.refused += other.refused;
        self.elsewhere += other.elsewhere;
        self.elsewhere_answered += other.elsewhere_answered;
        self.misspelt += other.misspelt;
        self.misspelt_found += other.misspelt_found;
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: f64, whole: u32| if whole == 0 { 0.0 } else { part / f64::from(whole) };
        writeln!(
            f,
            "| {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {}/{} | {}/{} |",
            self.industry,
            self.asked,
            share(self.first.into(), self.asked),
            share(self.among_three.into(), self.asked),
            share(self.reciprocal_ranks, self.asked),
            share(self.misspelt_found.into(), self.misspelt),
            share(self.answered_rightly.into(), self.asked),
            share(self.answered_wrongly.into(), self.asked),
            self.refused,
            self.refusals,
            self.elsewhere - self.elsewhere_answered,
            self.elsewhere,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| industry | questions | recall@1 | recall@3 | MRR | misspelt, recall@3 | answered alone, rightly | wrongly | refused | kept quiet on other trades |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        let mut all = Line { industry: "**all**".to_owned(), ..Line::default() };
        for line in &self.lines {
            all.add(line);
            write!(f, "{line}")?;
        }
        write!(f, "{all}")
    }
}

#[cfg(test)]
mod tests {
    use super::misspelt;

    #[test]
    fn two_letters_change_places() {
        assert_eq!(misspelt("my faucet drips").as_deref(), Some("my facuet drips"));
        assert_eq!(misspelt("what now?"), None);
        assert_eq!(misspelt("a shopping list").as_deref(), None);
    }
}
