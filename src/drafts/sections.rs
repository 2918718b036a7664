//! Sections: a text cut at its headings into pieces of a size that answers one question.
//!
//! It never writes a word of its own but the two in front of a heading that is no question.

use super::html::squeezed;

/// Fewest and most words of a section: fewer say too little by themselves, more answer several questions at once.
const LEAST: usize = 30;
const MOST: usize = 200;
/// Fewest words of an answer to what is a question already.
const LEAST_ANSWER: usize = 3;
/// Most sections of one text.
const SECTIONS: usize = 300;

/// A piece of a text as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// What the texts after it are about.
    Heading(String),
    /// A paragraph.
    Text(String),
}

/// A piece of a text, as a question and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) question: String,
    pub(crate) answer: String,
}

/// What a text was cut into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) sections: Vec<Section>,
    /// Pieces that were too short to be one, and had no neighbour to go with.
    pub(crate) short: usize,
}

/// Cuts a text at its headings. What is too short goes with what follows it; what is too long is cut at the end of a
/// paragraph or a sentence.
pub(crate) fn cut(title: &str, blocks: Vec<Block>) -> Cut {
    let mut cut = Cut::default();
    let mut waiting: Option<Part> = None;
    for part in parts(title, blocks) {
        if part.is_question() {
            cut.end(waiting.take(), title);
            if part.words() >= LEAST_ANSWER {
                cut.push(part, title)
            } else {
                cut.short += 1
            }
            continue;
        }
        let part = match waiting.take() {
            Some(before) => before.with(part),
            None => part,
        };
        if part.words() >= LEAST { cut.push(part, title) } else { waiting = Some(part) }
    }
    cut.end(waiting, title);
    cut
}

/// The blocks of a plain or a Markdown text.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in text.lines().chain([""]) {
        let bare = line.trim();
        if bare.starts_with("```") || bare.starts_with("~~~") {
            fenced = !fenced;
            continue;
        }
        let under = |sign: char| bare.len() >= 3 && bare.chars().all(|c| c == sign);
        let heading = bare.trim_start_matches('#');
        let level = bare.len() - heading.len();
        if !fenced && (1..=6).contains(&level) && (heading.starts_with(' ') || heading.is_empty()) {
            paragraph(&mut lines, &mut blocks);
            blocks.push(Block::Heading(plain(heading.trim_end_matches('#'))));
        } else if !fenced && (under('=') || under('-')) && lines.len() == 1 {
            blocks.push(Block::Heading(lines.concat()));
            lines.clear();
        } else if bare.is_empty() || under('-') || under('*') || under('_') {
            paragraph(&mut lines, &mut blocks);
        } else {
            let item = ["- ", "* ", "+ "].iter().find_map(|sign| bare.strip_prefix(sign));
            match item {
                Some(item) => {
                    paragraph(&mut lines, &mut blocks);
                    lines.push(format!("- {}", plain(item)));
                }
                None => lines.push(plain(bare.trim_start_matches("> "))),
            }
        }
    }
    blocks.retain(|block| {
        let (Block::Heading(text) | Block::Text(text)) = block;
        !text.is_empty()
    });
    blocks
}

/// Ends a paragraph. A single line with a question mark, or a short one without a sentence's end that follows no heading, is
/// a heading; an item of a list is none.
fn paragraph(lines: &mut Vec<String>, blocks: &mut Vec<Block>) {
    let text = squeezed(&lines.join(" "));
    let length = text.chars().count();
    let follows = matches!(blocks.last(), Some(Block::Heading(_)));
    let named = !follows
        && length <= 60
        && !text.ends_with(['.', ',', ';', ':', '!', '…', ')'])
        && text.split(' ').count() <= 8;
    let single =
        lines.len() == 1 && !text.starts_with("- ") && ((text.ends_with('?') && length <= 200) || named);
    lines.clear();
    if !text.is_empty() {
        blocks.push(if single { Block::Heading(text) } else { Block::Text(text) });
    }
}

/// A line of Markdown without its signs: pictures go, links leave their words.
fn plain(line: &str) -> String {
    let mut all = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        let picture = before.ends_with('!');
        let link = from.get(1..).and_then(|inside| inside.split_once("](")).and_then(|(words, to)| {
            let (_, after) = to.split_once(')')?;
            (!words.contains('[')).then_some((words, after))
        });
        all.push_str(if picture && link.is_some() { before.trim_end_matches('!') } else { before });
        match link {
            Some((words, after)) => {
                if !picture {
                    all.push_str(words);
                }
                rest = after;
            }
            None => {
                all.push('[');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    all.push_str(rest);
    for sign in ["**", "__", "`"] {
        all = all.replace(sign, "");
    }
    squeezed(&all)
}

/// A heading and its paragraphs.
#[derive(Debug)]
struct Part {
    heading: String,
    texts: Vec<String>,
}

impl Part {
    fn words(&self) -> usize {
        self.texts.iter().map(|text| text.split(' ').count()).sum()
    }

    fn is_question(&self) -> bool {
        self.heading.ends_with('?')
    }

    /// This one, and the next one after it, under this one's heading.
    fn with(mut self, next: Self) -> Self {
        if self.heading.is_empty() {
            self.heading = next.heading;
            self.texts.extend(next.texts);
            return self;
        }
        let mut texts = next.texts.into_iter();
        if let Some(first) = texts.next() {
            let same = next.heading.is_empty() || next.heading == self.heading;
            self.texts.push(if same { first } else { format!("{}: {first}", next.heading) });
        }
        self.texts.extend(texts);
        self
    }

    fn question(&self, title: &str) -> String {
        let heading = if self.heading.is_empty() { title } else { &self.heading };
        let heading: String = heading.chars().take(300).collect();
        match () {
            () if heading.is_empty() => "What should customers know?".to_owned(),
            () if heading.ends_with('?') => heading,
            // A single word says little: `Overview` of what?
            () if !heading.contains(' ') && !title.is_empty() && title != heading => {
                let title: String = title.chars().take(150).collect();
                format!("What about {heading}, {title}?")
            }
            () => format!("What about {heading}?"),
        }
    }
}

fn parts(title: &str, blocks: Vec<Block>) -> Vec<Part> {
    let mut parts = vec![Part { heading: title.to_owned(), texts: Vec::new() }];
    for block in blocks {
        match (block, parts.last_mut()) {
            (Block::Text(text), Some(part)) => part.texts.push(text),
            (Block::Heading(heading), _) => parts.push(Part { heading, texts: Vec::new() }),
            (Block::Text(_), None) => {}
        }
    }
    parts.retain(|part| !part.texts.is_empty());
    parts
}

impl Cut {
    /// What waited for more, and there is none: it goes with the section before it, if there is room.
    fn end(&mut self, waiting: Option<Part>, title: &str) {
        let Some(part) = waiting else { return };
        let words = part.words();
        match self.sections.last_mut() {
            Some(last) if words + count(&last.answer) <= MOST && part.heading != title => {
                let texts = part.texts.join("\n");
                last.answer.push_str(&format!("\n{}: {texts}", part.heading));
            }
            _ => self.short += 1,
        }
    }

    fn push(&mut self, part: Part, title: &str) {
        let question = part.question(title);
        let mut answers = vec![String::new()];
        for text in part.texts.iter().flat_map(|text| pieces(text)) {
            let full = answers.last().is_some_and(|answer| count(answer) + count(&text) > MOST);
            match answers.last_mut() {
                Some(answer) if !full || answer.is_empty() => {
                    if !answer.is_empty() {
                        answer.push('\n');
                    }
                    answer.push_str(&text);
                }
                _ => answers.push(text),
            }
        }
        let several = answers.len() > 1;
        for (number, answer) in (1..).zip(answers) {
            if self.sections.len() < SECTIONS {
                let question = if several { format!("{question} ({number})") } else { question.clone() };
                self.sections.push(Section { question, answer: answer.chars().take(8_000).collect() });
            }
        }
    }
}

fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A paragraph, or its sentences where it is too long for one section, or so many words where a sentence is.
fn pieces(text: &str) -> Vec<String> {
    if count(text) <= MOST {
        return vec![text.to_owned()];
    }
    let mut pieces = vec![String::new()];
    for sentence in text.split_inclusive(['.', '!', '?']) {
        let words: Vec<&str> = sentence.split_whitespace().collect();
        for some in words.chunks(MOST) {
            let some = some.join(" ");
            let full = pieces.last().is_some_and(|piece| count(piece) + count(&some) > MOST);
            match pieces.last_mut() {
                Some(piece) if !full => {
                    if !piece.is_empty() {
                        piece.push(' ');
                    }
                    piece.push_str(&some);
                }
                _ => pieces.push(some),
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(many: usize) -> String {
        (0..many).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ")
    }

    fn questions(text: &str) -> Vec<String> {
        cut("", blocks(text)).sections.into_iter().map(|section| section.question).collect()
    }

    #[test]
    fn a_text_is_cut_at_its_headings() {
        let text = format!(
            "# Acme\n\n{}\n\n## Repairs\n{}\n\nWhen are you open?\n\nFrom nine to five.\n",
            words(40),
            words(50)
        );
        let cut = cut("", blocks(&text));
        assert_eq!(cut.short, 0);
        let said: Vec<_> =
            cut.sections.iter().map(|one| (one.question.as_str(), count(&one.answer))).collect();
        assert_eq!(said, [("What about Acme?", 40), ("What about Repairs?", 50), ("When are you open?", 4)]);
    }

    #[test]
    fn headings_of_every_spelling() {
        assert_eq!(questions(&format!("Prices\n======\n{}", words(30))), ["What about Prices?"]);
        assert_eq!(questions(&format!("Our prices\n\n{}", words(30))), ["What about Our prices?"]);
        assert_eq!(
            questions(&format!("### Do you come **today**? ###\n{}", words(5))),
            ["Do you come today?"]
        );
        let none = questions(&format!("{}.", words(30)));
        assert_eq!(none, ["What should customers know?"]);
        // What stands alone under a heading is its text, and so is an item of a list.
        let hours = cut(
            "",
            blocks(
                "## Opening hours?\n\nMon to Fri 8-5\n\n## What do you mend?\n\n* Taps\n* Pipes and drains\n",
            ),
        );
        let said: Vec<_> = hours.sections.iter().map(|one| one.answer.as_str()).collect();
        assert_eq!(said, ["Mon to Fri 8-5", "- Taps\n- Pipes and drains"]);
        // In a fence nothing is a heading.
        assert_eq!(questions(&format!("```\n# no\n{}\n```", words(40))), ["What should customers know?"]);
    }

    #[test]
    fn what_is_short_goes_with_its_neighbour() {
        let text = format!("# One\n{}.\n# Two\n{}.\n# Three\n{}.\n", words(10), words(25), words(5));
        let cut = super::cut("", blocks(&text));
        assert_eq!(cut.sections.len(), 1, "{cut:?}");
        let only = &cut.sections[0];
        assert_eq!(only.question, "What about One?");
        assert!(only.answer.contains("\nTwo: word0") && only.answer.contains("\nThree: word0"), "{only:?}");
        let alone = super::cut("", blocks("# One\nOnly this."));
        assert_eq!((alone.sections.len(), alone.short), (0, 1));
    }

    #[test]
    fn what_is_long_is_cut_where_something_ends() {
        let sentences: Vec<String> = (0..30).map(|_| format!("{}.", words(15))).collect();
        let cut = super::cut("", blocks(&format!("# Long\n{}\n", sentences.join(" "))));
        assert_eq!(cut.sections.len(), 3);
        assert!(cut.sections.iter().all(|one| count(&one.answer) <= MOST && one.answer.ends_with('.')));
        assert_eq!(cut.sections[1].question, "What about Long? (2)");
        let endless = super::cut("", blocks(&format!("# Long\n{}", words(1_000))));
        assert_eq!(endless.sections.len(), 5);
    }

    #[test]
    fn markdown_leaves_its_words() {
        for (line, expected) in [
            ("**Bold** and `code`", "Bold and code"),
            ("See [our prices](https://a.example/p) now", "See our prices now"),
            ("![picture](https://evil.example/x.png) text", "text"),
            ("[a [b](c) d", "[a b d"),
            ("[unfinished](", "[unfinished]("),
            ("a [1] b", "a [1] b"),
        ] {
            assert_eq!(plain(line), expected, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn sections_are_never_too_long(text in "([a-z?.# \n-]{0,20}|\n\n|# |word ){0,300}") {
            for section in cut("Title", blocks(&text)).sections {
                proptest::prop_assert!(!section.answer.is_empty() && !section.question.is_empty());
                proptest::prop_assert!(section.question.chars().count() <= 500 && section.answer.chars().count() <= 8_000);
                // A paragraph's heading may be put in front of it.
                proptest::prop_assert!(count(&section.answer) <= MOST + 100, "{section:?}");
            }
        }
    }
}
