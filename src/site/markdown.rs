//! Markdown: the small part of it that a company's page needs, as blocks for a template.
//!
//! It never makes HTML: the template does, and escapes every text. Links, images and tags come out as the text they are.

/// A block of a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading below the page's own.
    Heading(Vec<Span>),
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A list with bullets.
    Bullets(Vec<Vec<Span>>),
    /// A numbered list.
    Numbers(Vec<Vec<Span>>),
    /// A table: its head, and its rows, each with as many cells as the head.
    Table(Vec<Vec<Span>>, Vec<Vec<Vec<Span>>>),
}

/// A stretch of text.
#[derive(Debug, PartialEq, Eq)]
pub struct Span {
    /// The text, as it was written.
    pub text: String,
    /// Whether it stands out.
    pub strong: bool,
}

/// The blocks of a text: headings (`#`), lists (`-`, `*`, `1.`), tables (`| a | b |` over a line of dashes), paragraphs,
/// and `**bold**` within them.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Open> = None;
    for line in text.lines().map(str::trim) {
        let (kind, rest) = kind(line);
        let goes_on = open.as_ref().is_some_and(|open| open.takes(kind, rest));
        if !goes_on && let Some(done) = open.take() {
            blocks.extend(done.close());
        }
        if rest.is_empty() {
            continue;
        }
        match &mut open {
            // A line that begins nothing belongs to the item or paragraph above it.
            Some(open) if kind == Kind::Paragraph => open.append(rest),
            Some(open) => open.items.push(rest.to_owned()),
            None => open = Some(Open { kind, items: vec![rest.to_owned()] }),
        }
    }
    blocks.extend(open.and_then(Open::close));
    blocks
}

/// What a line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heading,
    Paragraph,
    Bullet,
    Number,
    Row,
}

/// A block that may go on with the next line.
struct Open {
    kind: Kind,
    items: Vec<String>,
}

impl Open {
    fn takes(&self, kind: Kind, rest: &str) -> bool {
        let list = matches!(self.kind, Kind::Bullet | Kind::Number | Kind::Row);
        !rest.is_empty()
            && ((list && kind == self.kind)
                || (kind == Kind::Paragraph && !matches!(self.kind, Kind::Heading | Kind::Row)))
    }

    fn append(&mut self, line: &str) {
        if let Some(last) = self.items.last_mut() {
            last.push(' ');
            last.push_str(line);
        }
    }

    fn close(self) -> Option<Block> {
        if self.kind == Kind::Row {
            return Some(table(&self.items));
        }
        let mut items = self.items.iter().map(|item| spans(item));
        match self.kind {
            Kind::Heading => items.next().map(Block::Heading),
            Kind::Paragraph => items.next().map(Block::Paragraph),
            Kind::Bullet => Some(Block::Bullets(items.collect())),
            Kind::Number => Some(Block::Numbers(items.collect())),
            Kind::Row => None,
        }
    }
}

/// What a line begins, and its text without the mark.
fn kind(line: &str) -> (Kind, &str) {
    let heading = line.trim_start_matches('#');
    if heading.len() < line.len() && heading.starts_with(' ') {
        return (Kind::Heading, heading.trim());
    }
    if let Some(rest) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return (Kind::Bullet, rest.trim());
    }
    if let Some((number, rest)) = line.split_once(". ")
        && (1..=3).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        return (Kind::Number, rest.trim());
    }
    if line.len() > 1 && line.starts_with('|') && line.ends_with('|') {
        return (Kind::Row, line);
    }
    (Kind::Paragraph, line)
}

/// Lines with bars: a table if dashes follow the first, else the text that they are.
fn table(lines: &[String]) -> Block {
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| spans(cell.trim())).collect::<Vec<_>>();
    let dashes =
        |line: &String| line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    match lines {
        [head, under, rows @ ..] if dashes(under) => {
            let head = cells(head);
            let fitted = |line: &String| {
                let mut row = cells(line);
                row.resize_with(head.len(), Vec::new);
                row
            };
            let rows = rows.iter().map(fitted).collect();
            Block::Table(head, rows)
        }
        _ => Block::Paragraph(spans(&lines.join(" "))),
    }
}

/// Text cut at `**`; a mark that is never closed is text.
fn spans(text: &str) -> Vec<Span> {
    let parts: Vec<&str> = text.split("**").collect();
    if parts.len().is_multiple_of(2) {
        return vec![Span { text: text.to_owned(), strong: false }];
    }
    let span = |(at, part): (usize, &&str)| Span { text: (*part).to_owned(), strong: at % 2 == 1 };
    parts.iter().enumerate().map(span).filter(|span| !span.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let line = |spans: &[Span]| {
            spans
                .iter()
                .map(|s| if s.strong { format!("[{}]", s.text) } else { s.text.clone() })
                .collect::<String>()
        };
        let lines = |items: &[Vec<Span>]| items.iter().map(|item| line(item)).collect::<Vec<_>>().join(" / ");
        let shown = blocks(text).into_iter().map(|block| match block {
            Block::Heading(spans) => format!("h: {}", line(&spans)),
            Block::Paragraph(spans) => format!("p: {}", line(&spans)),
            Block::Bullets(items) => format!("ul: {}", lines(&items)),
            Block::Numbers(items) => format!("ol: {}", lines(&items)),
            Block::Table(head, rows) => {
                let rows: Vec<String> = rows.iter().map(|row| lines(row)).collect();
                format!("table: {}: {}", lines(&head), rows.join("; "))
            }
        });
        assert_eq!(shown.collect::<Vec<_>>().join("\n"), expected, "{text}");
    }

    #[test]
    fn the_subset() {
        check("", "");
        check("one\ntwo\n\nthree", "p: one two\np: three");
        check("## Repairs\nPipes", "h: Repairs\np: Pipes");
        check("- a\n- b\n  more\n\nend", "ul: a / b more\np: end");
        check("text\n- a\n* b\n1. c\n2. d", "p: text\nul: a / b\nol: c / d");
        check("**Now?** Shut **it**.", "p: [Now?] Shut [it].");
        check(
            "Prices\n| Size | Price |\n|---|:-:|\n| **Small** | $45 |\n| Large |\n| a | b | c |\nend",
            "p: Prices\ntable: Size / Price: [Small] / $45; Large / ; a / b\np: end",
        );
        check("| a | b |\n| c | d |", "p: | a | b | | c | d |");
        check("#no heading, 3.5 ** and 2024. Fine", "p: #no heading, 3.5 ** and 2024. Fine");
    }

    #[test]
    fn everything_else_is_text() {
        for text in [
            "![](https://evil.example/x.png)",
            "[go](javascript:alert(1))",
            "<img src=x onerror=alert(1)>",
            "| a | b |",
        ] {
            check(text, &format!("p: {text}"));
        }
    }
}
