//! The rules that every template must keep, each broken one told with file, line and what to do. It changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use super::alike::{TOO_ALIKE, alike, words_in_common};
use super::findings::{Findings, Problem, is_slug, words};
use super::format::File;
use super::price::{Price, hours};
use super::spelling::spelling;
use super::{Kind, Source, office_check};

/// Parses and checks templates as one set: what agents see and what is alike goes across files.
pub fn check(sources: &[Source]) -> (Vec<File>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for source in sources {
        problems.extend(leftovers(source));
        match File::parse(source) {
            Ok(file) => {
                problems.extend(spelling(source, &file.template));
                files.push(file);
            }
            Err((line, text)) => problems.push(Problem { path: source.path.clone(), line, text }),
        }
    }
    let shared = Shared::of(&files);
    for file in &files {
        let mut findings = Findings { file, problems: &mut problems };
        file_rules(&mut findings);
        match file.kind {
            Kind::Industry => industry_counts(&mut findings),
            Kind::Company => {}
        }
        contexts(&mut findings);
        services(&mut findings);
        entries(&mut findings);
        small_things(&mut findings);
        goldens(&mut findings);
        references(&mut findings, &shared);
        office_check::office(&mut findings);
    }
    office_check::counts(&files, &mut problems);
    copies(&files, &mut problems);
    (files, problems)
}

/// What the company templates give to every industry.
struct Shared<'a> {
    categories: BTreeSet<&'a str>,
    agents: BTreeSet<&'a str>,
    pages: BTreeSet<&'a str>,
}

impl<'a> Shared<'a> {
    fn of(files: &'a [File]) -> Self {
        let company = || files.iter().filter(|file| file.kind == Kind::Company).map(|file| &file.template);
        Self {
            categories: company()
                .flat_map(|it| &it.categories)
                .map(|row| row.as_ref().slug.as_str())
                .collect(),
            agents: company().flat_map(|it| &it.agents).map(|row| row.as_ref().slug.as_str()).collect(),
            pages: company().flat_map(|it| &it.pages).map(|row| row.as_ref().slug.as_str()).collect(),
        }
    }
}

/// What an author forgot, in the raw text, so that the line is exact.
fn leftovers(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, text) in (1..).zip(source.text.lines()) {
        let mut tell =
            |text: String| problems.push(Problem { path: source.path.clone(), line: Some(line), text });
        let without_company = text.replace("{{company}}", "");
        if without_company.contains("{{") || without_company.contains("}}") {
            tell("`{{company}}` is the only placeholder; word around any other".to_owned());
        }
        for left in ["TODO", "FIXME", "TBD", "XXX", "Lorem", "lorem ipsum"] {
            if text.contains(left) {
                tell(format!("`{left}` is left over; write what belongs here"));
            }
        }
    }
    problems
}

fn file_rules(findings: &mut Findings<'_>) {
    let file = findings.file;
    let it = &file.template;
    let slug = it.slug.as_ref();
    if !is_slug(slug) || slug.len() > 40 {
        findings
            .at(&it.slug, format!("slug `{slug}`: use 2 to 40 lower-case letters, digits and single dashes"));
    }
    if Path::new(&file.path).file_stem().is_none_or(|stem| stem != slug.as_str()) {
        findings.at(&it.slug, format!("slug `{slug}` differs from the file's name; make them equal"));
    }
    if it.version < 1 {
        findings.at(&it.slug, format!("version is {}; count from 1", it.version));
    }
    if !(3..=60).contains(&it.name.chars().count()) {
        findings.at(&it.slug, "name: write 3 to 60 characters".to_owned());
    }
    findings.words(&it.slug, "summary", &it.summary, 5, 50);
}

fn industry_counts(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    for (kind, body) in it.contexts.each() {
        if body.is_none() {
            findings.whole(format!("contexts.{kind} is missing; write it"));
        }
    }
    let used: BTreeSet<&str> = it.entries.iter().map(|entry| entry.as_ref().category.as_str()).collect();
    findings.at_least("categories with entries", used.len(), 6);
    findings.at_least("services", it.services.len(), 12);
    findings.at_least("entries", it.entries.len(), 50);
    findings.at_least("terms", it.terms.len(), 20);
    findings.at_least("pages", it.pages.len(), 8);
    findings.at_least("lead questions", it.lead_questions.len(), 4);
    findings.at_least("quick replies", it.quick_replies.len(), 4);
    findings.at_least("master entries", it.master.len(), 8);
    findings.at_least("days with opening hours", it.hours.each().count(), 4);
    let refusals = it.goldens.iter().filter(|golden| golden.as_ref().expect.is_some()).count();
    findings.at_least("goldens with an entry", it.goldens.len() - refusals, 10);
    findings.at_least("goldens with expect = \"refuse\" or \"handover\"", refusals, 3);
    for page in ["home", "services", "contact"] {
        if !it.pages.iter().any(|row| row.as_ref().slug == page) {
            findings.whole(format!("page `{page}` is missing; write it"));
        }
    }
}

fn contexts(findings: &mut Findings<'_>) {
    for (kind, body) in findings.file.template.contexts.each() {
        if let Some(body) = body {
            findings.words(body, &format!("contexts.{kind}"), body.as_ref(), 40, 350);
        }
    }
}

fn services(findings: &mut Findings<'_>) {
    let rows = &findings.file.template.services;
    findings.slugs("service", rows, |row| &row.slug);
    for row in rows {
        let it = row.as_ref();
        let what = format!("service `{}`", it.slug);
        if Price::parse(&it.price).is_none() {
            let price = &it.price;
            findings.at(row, format!("{what}: price `{price}`: write $89, $150-$400, from $90 or free"));
        }
        if !(5..=43_200).contains(&it.duration_minutes) {
            findings.at(row, format!("{what}: duration_minutes is {}; give 5 to 43200", it.duration_minutes));
        }
        if it.unit.is_empty() || it.unit.chars().count() > 40 {
            findings.at(row, format!("{what}: unit says what the price is for, in 1 to 40 characters"));
        }
        findings.words(row, &format!("{what}: description"), &it.description, 6, 60);
        findings.words(row, &format!("{what}: includes"), &it.includes, 4, 60);
    }
}

fn entries(findings: &mut Findings<'_>) {
    let rows = &findings.file.template.entries;
    findings.slugs("entry", rows, |row| &row.slug);
    for row in rows {
        let it = row.as_ref();
        let what = format!("entry `{}`", it.slug);
        findings.question(row, &what, &it.question);
        findings.answer(row, &what, &it.answer);
        findings.synonyms(row, &format!("{what}: keywords"), &it.keywords, 3);
        if it.answer.contains('$') && !it.confirm {
            findings
                .at(row, format!("{what} names a price, which its owner must confirm; add confirm = true"));
        }
    }
    let mut questions = BTreeSet::new();
    for row in rows {
        if !questions.insert(row.as_ref().question.to_lowercase()) {
            findings
                .at(row, format!("entry `{}` asks what another entry asks; merge them", row.as_ref().slug));
        }
    }
    let rows = &findings.file.template.master;
    findings.slugs("master entry", rows, |row| &row.slug);
    for row in rows {
        let it = row.as_ref();
        let what = format!("master entry `{}`", it.slug);
        findings.question(row, &what, &it.question);
        findings.answer(row, &what, &it.answer);
        findings.synonyms(row, &format!("{what}: keywords"), &it.keywords, 3);
        if it.answer.contains('$') || it.answer.contains("{{company}}") {
            findings.at(row, format!("{what} is read by every company: name no price and no company"));
        }
    }
}

fn small_things(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    findings.slugs("category", &it.categories, |row| &row.slug);
    findings.slugs("agent", &it.agents, |row| &row.slug);
    findings.slugs("page", &it.pages, |row| &row.slug);
    let mut terms = BTreeSet::new();
    for row in &it.terms {
        let (term, what) = (&row.as_ref().term, format!("term `{}`", row.as_ref().term));
        if !terms.insert(term.to_lowercase()) {
            findings.at(row, format!("{what} is there twice; merge them"));
        }
        findings.words(row, &format!("{what}: meaning"), &row.as_ref().meaning, 5, 60);
        findings.synonyms(row, &format!("{what}: synonyms"), &row.as_ref().synonyms, 1);
    }
    for row in &it.agents {
        let what = format!("agent `{}`", row.as_ref().slug);
        findings.words(row, &format!("{what}: role"), &row.as_ref().role, 4, 30);
        findings.words(row, &format!("{what}: greeting"), &row.as_ref().greeting, 4, 50);
        findings.words(row, &format!("{what}: instructions"), &row.as_ref().instructions, 40, 300);
    }
    for row in &it.pages {
        let what = format!("page `{}`", row.as_ref().slug);
        findings.words(row, &format!("{what}: body"), &row.as_ref().body, 40, 600);
        if row.as_ref().title.is_empty() {
            findings.at(row, format!("{what}: give it a title"));
        }
    }
    for row in &it.lead_questions {
        findings.question(row, "lead question", row.as_ref());
    }
    for row in &it.quick_replies {
        if !(3..=60).contains(&row.as_ref().chars().count()) {
            findings.at(row, "quick reply: write 3 to 60 characters, so that it fits a button".to_owned());
        }
    }
    for (_, row) in it.hours.each() {
        if hours(row.as_ref()).is_none() {
            let text = row.as_ref();
            findings.at(
                row,
                format!("hours `{text}`: write 08:00-17:00, or 08:00-12:00, 13:00-17:00 with a break"),
            );
        }
    }
}

fn goldens(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    let mut seen = BTreeSet::new();
    for row in &it.goldens {
        let golden = row.as_ref();
        let what = format!("golden `{}`", golden.question);
        if !seen.insert(golden.question.to_lowercase()) {
            findings.at(row, format!("{what} is there twice; remove one"));
        }
        if words(&golden.question) < 3 {
            findings.at(row, format!("{what}: write it as a customer would, in at least three words"));
        }
        match (&golden.entry, golden.expect) {
            (Some(slug), None) => match it.entries.iter().find(|entry| entry.as_ref().slug == *slug) {
                None => {
                    findings.at(row, format!("{what}: there is no entry `{slug}`; name one of this file's"))
                }
                Some(entry) if words_in_common(&golden.question, &entry.as_ref().question) > 0.5 => {
                    findings.at(
                        row,
                        format!("{what} copies the question of `{slug}`; word it as another customer would"),
                    );
                }
                Some(_) => {}
            },
            (None, Some(_)) => {}
            _ => findings
                .at(row, format!("{what}: give it either entry or expect = \"refuse\" or \"handover\"")),
        }
    }
}

fn references(findings: &mut Findings<'_>, shared: &Shared<'_>) {
    let file = findings.file;
    let it = &file.template;
    let industry = file.kind == Kind::Industry;
    let categories: BTreeSet<&str> = it.categories.iter().map(|row| row.as_ref().slug.as_str()).collect();
    let agents: BTreeSet<&str> = it.agents.iter().map(|row| row.as_ref().slug.as_str()).collect();
    let is_agent = |slug: &str| agents.contains(slug) || shared.agents.contains(slug);
    for row in &it.entries {
        let (slug, category) = (&row.as_ref().slug, &row.as_ref().category);
        if !categories.contains(category.as_str()) {
            findings.at(
                row,
                format!("entry `{slug}`: there is no category `{category}`; declare it with [[categories]]"),
            );
        }
    }
    for row in &it.categories {
        let Some(missing) = row.as_ref().agents.iter().find(|agent| !is_agent(agent)) else {
            if industry
                && row.as_ref().agents.is_empty()
                && !shared.categories.contains(row.as_ref().slug.as_str())
            {
                let slug = &row.as_ref().slug;
                findings.at(
                    row,
                    format!("category `{slug}` is seen by no agent; use a shared one or list its agents"),
                );
            }
            continue;
        };
        findings.at(row, format!("category `{}`: there is no agent `{missing}`", row.as_ref().slug));
    }
    for row in &it.agents {
        let slug = &row.as_ref().slug;
        let mut scopes = BTreeSet::new();
        for category in &row.as_ref().scopes {
            if !categories.contains(category.as_str()) {
                findings.at(
                    row,
                    format!(
                        "agent `{slug}`: there is no category `{category}`; declare it with [[categories]]"
                    ),
                );
            }
            if !scopes.insert(category) {
                findings.at(row, format!("agent `{slug}` has the scope `{category}` twice; remove one"));
            }
        }
        if industry && shared.agents.contains(slug.as_str()) {
            findings.at(row, format!("agent `{slug}` is a shared one; use [[specialisations]] to change it"));
        }
    }
    let mut specialised = BTreeSet::new();
    for row in &it.specialisations {
        let it = row.as_ref();
        if !shared.agents.contains(it.agent.as_str()) {
            findings.at(row, format!("specialisation: there is no shared agent `{}`", it.agent));
        }
        if !specialised.insert(&it.agent) {
            findings.at(row, format!("specialisation of `{}` is there twice; merge them", it.agent));
        }
        if it.greeting.is_none() && it.instructions.is_none() {
            findings.at(
                row,
                format!("specialisation of `{}` changes nothing; give greeting or instructions", it.agent),
            );
        }
    }
    for row in it.pages.iter().filter(|row| industry && shared.pages.contains(row.as_ref().slug.as_str())) {
        findings
            .at(row, format!("page `{}` is in the company template already; rename it", row.as_ref().slug));
    }
}

/// Answers that were copied from another, in the same industry or across.
fn copies(files: &[File], problems: &mut Vec<Problem>) {
    let mut answers: Vec<(&File, usize, &str, &str)> = Vec::new();
    for file in files {
        let entries = file.template.entries.iter();
        answers.extend(
            entries
                .map(|row| (file, file.line(row), row.as_ref().slug.as_str(), row.as_ref().answer.as_str())),
        );
        let master = file.template.master.iter();
        answers.extend(
            master
                .map(|row| (file, file.line(row), row.as_ref().slug.as_str(), row.as_ref().answer.as_str())),
        );
    }
    let texts: Vec<&str> = answers.iter().map(|(_, _, _, text)| *text).collect();
    for (first, second, share) in alike(&texts, TOO_ALIKE) {
        let (Some(first), Some(second)) = (answers.get(first), answers.get(second)) else { continue };
        problems.push(Problem {
            path: second.0.path.clone(),
            line: Some(second.1),
            text: format!(
                "entry `{}` is {:.0} % alike to `{}` at {}:{}; write it anew or merge them",
                second.2,
                share * 100.0,
                first.2,
                first.0.path,
                first.1
            ),
        });
    }
}
