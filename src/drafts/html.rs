//! HTML as text: headings, paragraphs and links of a page, in one pass over its bytes.
//!
//! It never runs, fetches or keeps any markup: what comes out is text. It reads what a page shows, not what a browser's tree
//! would be: a page that is broken loses texts, and gains none.

use super::sections::Block;

/// Most blocks and most links that are taken of one page.
const BLOCKS: usize = 4_000;
const LINKS: usize = 400;

/// What a page says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its title.
    pub(crate) title: String,
    /// Its texts, in their order.
    pub(crate) blocks: Vec<Block>,
    /// Where its links lead, as they are written.
    pub(crate) links: Vec<String>,
}

/// Reads a page.
pub(crate) fn read(html: &str) -> Page {
    let mut reader = Reader::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        reader.text(text);
        rest = match tag.as_bytes().get(1) {
            Some(b'!') if tag.starts_with("<!--") => after(tag, "-->"),
            Some(b'!' | b'?') => after(tag, ">"),
            Some(b'/') => {
                reader.close(&name_of(tag.get(2..).unwrap_or_default()));
                after(tag, ">")
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                let (tag, rest) = tag.split_at(end_of(tag));
                let name = name_of(tag.get(1..).unwrap_or_default());
                // What stands in these is no markup until their own end.
                if RAW.contains(&name.as_str()) {
                    let end = end_tag(rest, &name);
                    let (inside, rest) = rest.split_at(end);
                    if name == "title" && reader.page.title.is_empty() {
                        reader.page.title = squeezed(&decoded(inside)).chars().take(200).collect();
                    }
                    rest
                } else {
                    reader.open(&name, tag);
                    rest
                }
            }
            _ => {
                reader.text("<");
                tag.get(1..).unwrap_or_default()
            }
        };
        if reader.page.blocks.len() >= BLOCKS {
            break;
        }
    }
    if !rest.contains('<') {
        reader.text(rest);
    }
    reader.flush();
    reader.page
}

/// Whether a text is HTML: it begins like a page, or like a part of one.
pub(crate) fn is_html(text: &str) -> bool {
    let text = text.trim_start();
    let start: String = text.chars().take(20).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype") || (start.starts_with('<') && text.contains("</"))
}

/// Whose inside is no markup.
const RAW: &[&str] = &["script", "style", "title", "textarea", "xmp", "noembed", "noframes", "iframe"];
/// Whose inside is nothing that a page says: where else to go, what to fill in, what is drawn, what is not shown.
const SKIPPED: &[&str] = &[
    "nav", "footer", "form", "aside", "svg", "math", "template", "noscript", "button", "select", "dialog",
    "object", "menu",
];
/// Which begin a new paragraph.
const PARTS: &[&str] = &[
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "dl",
    "dd",
    "br",
    "hr",
    "tr",
    "table",
    "section",
    "article",
    "main",
    "header",
    "address",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "details",
    "body",
];
/// Which hold what the text after them is about; in lists of questions the question.
const HEADINGS: &[&str] = &["h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary", "legend", "caption"];

#[derive(Default)]
struct Reader {
    page: Page,
    text: String,
    /// What is being read is a heading.
    heading: bool,
    /// The element whose inside is left out, and how many of its kind are open.
    skipping: Option<(String, u32)>,
}

impl Reader {
    fn text(&mut self, text: &str) {
        if self.skipping.is_none() {
            self.text.push_str(text);
        }
    }

    fn open(&mut self, name: &str, tag: &str) {
        match &mut self.skipping {
            Some((skipped, depth)) if skipped == name => *depth += 1,
            Some(_) => {}
            None if SKIPPED.contains(&name) => {
                self.flush();
                self.skipping = (!tag.ends_with("/>")).then(|| (name.to_owned(), 1));
            }
            None if HEADINGS.contains(&name) => {
                self.flush();
                self.heading = true;
            }
            None if PARTS.contains(&name) => self.flush(),
            None if name == "td" || name == "th" => self.text.push(' '),
            None => {}
        }
        // Where else to go is worth knowing also where it is no text of the page's.
        if name == "a"
            && self.page.links.len() < LINKS
            && let Some(link) = attribute(tag, "href")
        {
            self.page.links.push(link);
        }
    }

    fn close(&mut self, name: &str) {
        match &mut self.skipping {
            Some((skipped, depth)) if skipped == name => {
                *depth -= 1;
                if *depth == 0 {
                    self.skipping = None;
                }
            }
            Some(_) => {}
            None if HEADINGS.contains(&name) => {
                self.flush();
                self.heading = false;
            }
            None if PARTS.contains(&name) => self.flush(),
            None => {}
        }
    }

    /// Ends a block.
    fn flush(&mut self) {
        let text = squeezed(&decoded(&std::mem::take(&mut self.text)));
        if text.is_empty() {
            return;
        }
        let heading = std::mem::take(&mut self.heading);
        self.page.blocks.push(if heading { Block::Heading(text) } else { Block::Text(text) });
    }
}

/// What comes after a sign; nothing where it does not come.
fn after<'text>(text: &'text str, sign: &str) -> &'text str {
    text.find(sign).and_then(|at| text.get(at + sign.len()..)).unwrap_or_default()
}

/// The name that a tag begins with, in lower case.
fn name_of(tag: &str) -> String {
    let name = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').take(20);
    name.map(|c| c.to_ascii_lowercase()).collect()
}

/// Where a tag ends: after the first `>` outside of quotes.
fn end_of(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            // A quote begins a value only; one in a name is no quote, but browsers are as forgiving.
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}

/// Where the end tag of a raw element begins; the text's end where there is none.
fn end_tag(text: &str, name: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("</")) {
        let at = from + at;
        if text.get(at + 2..at + 2 + name.len()).is_some_and(|end| end.eq_ignore_ascii_case(name)) {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

/// The value of a tag's attribute.
fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag.get(1..)?.trim_end_matches(['>', '/']);
    // Past the tag's name.
    rest = rest.get(rest.find(|c: char| c.is_ascii_whitespace() || c == '/')?..)?;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, more) = rest.split_at(end);
        if name.is_empty() && more.is_empty() {
            return None;
        }
        let more = more.trim_start();
        let (value, more) = match more.strip_prefix('=').map(str::trim_start) {
            None => ("", more),
            Some(quoted) if quoted.starts_with(['"', '\'']) => {
                let (quote, inside) = quoted.split_at(1);
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            Some(plain) => {
                plain.split_at(plain.find(|c: char| c.is_ascii_whitespace()).unwrap_or(plain.len()))
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(decoded(value).chars().take(2_000).collect());
        }
        if more.len() >= rest.len() {
            return None;
        }
        rest = more;
    }
}

/// One space where there are several, of any kind, and none around; no control signs.
pub(super) fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for word in
        text.split(|c: char| c.is_whitespace() || c.is_control() || c == '\u{200b}' || c == '\u{feff}')
    {
        if !word.is_empty() {
            if !squeezed.is_empty() {
                squeezed.push(' ');
            }
            squeezed.push_str(word);
        }
    }
    squeezed
}

/// With character references as what they stand for.
fn decoded(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        all.push_str(before);
        let end = from.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((character(from.get(1..end)?)?, end))) {
            Some((character, end)) => {
                all.push(character);
                rest = from.get(end + 1..).unwrap_or_default();
            }
            None => {
                all.push('&');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    all.push_str(rest);
    all
}

/// What a character reference stands for: a number, or one of the names that pages of companies have.
fn character(reference: &str) -> Option<char> {
    if let Some(number) = reference.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || *c == '\n');
    }
    NAMES.iter().find(|(name, _)| *name == reference).map(|(_, character)| *character)
}

const NAMES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("cent", '¢'),
    ("deg", '°'),
    ("middot", '·'),
    ("bull", '•'),
    ("times", '×'),
    ("frac12", '½'),
    ("frac14", '¼'),
    ("frac34", '¾'),
    ("sup2", '²'),
    ("para", '¶'),
    ("sect", '§'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("auml", 'ä'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("ntilde", 'ñ'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("ouml", 'ö'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("uuml", 'ü'),
    ("szlig", 'ß'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("Eacute", 'É'),
    ("Ccedil", 'Ç'),
    ("Ntilde", 'Ñ'),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &[&str]) {
        let blocks = read(html).blocks;
        let said: Vec<String> = blocks
            .iter()
            .map(|block| match block {
                Block::Heading(text) => format!("# {text}"),
                Block::Text(text) => text.clone(),
            })
            .collect();
        assert_eq!(said, expected, "{html}");
    }

    #[test]
    fn what_a_page_says() {
        check("", &[]);
        check("Hello", &["Hello"]);
        check(
            "<h1>Acme</h1><p>We fix <b>leaks</b>.<br>Day &amp; night.",
            &["# Acme", "We fix leaks.", "Day & night."],
        );
        check("<H2 class=\"a>b\">Big</H2>text", &["# Big", "text"]);
        check("<ul><li>One<li>Two</ul>", &["One", "Two"]);
        check("<table><tr><td>Visit</td><td>$90</td></tr></table>", &["Visit $90"]);
        check("<dl><dt>Open?</dt><dd>Yes.</dd></dl>", &["# Open?", "Yes."]);
        check("<h2><div><a href=x>Title</a></div></h2><h3></h3>text", &["# Title", "text"]);
        check("<details><summary>Cost?</summary>$5</details>", &["# Cost?", "$5"]);
        check("a\u{a0}\n\t b&nbsp;&#x20;c", &["a b c"]);
        check("5 < 6 & 7 > 3 &unknown; &#0; &#xD800;", &["5 < 6 & 7 > 3 &unknown; &#0; &#xD800;"]);
        check("&eacute;&#8364;&rsquo;", &["é€’"]);
    }

    #[test]
    fn what_a_page_does_not_say_is_left_out() {
        check("<script>alert('<p>x</p>')</script>ok", &["ok"]);
        check("<script>if (a</b>) {}</script >ok", &["ok"]);
        check("<style>p{}</style><!-- <p>no --><p>ok", &["ok"]);
        check("<nav><a href=/>Home</a><nav>x</nav>y</nav>ok<footer>z</footer>", &["ok"]);
        check("<svg/>ok<svg><text>no</text></svg>", &["ok"]);
        check("<form><p>Your name</p></form><button>Go</button>ok", &["ok"]);
        check("<template><p>no</template><noscript>no</noscript>ok", &["ok"]);
        check("<textarea><p>no</textarea>ok<iframe><p>no</iframe>", &["ok"]);
        check("<!doctype html><?xml x?><![CDATA[x]]>ok", &["ok"]);
        // Without an end, nothing of it comes out.
        for open in ["<script>x", "<!-- x", "<nav>x", "<p title=\"x", "<title>x", "</", "<a href='"] {
            assert!(read(open).blocks.is_empty(), "{open}: {:?}", read(open));
        }
    }

    #[test]
    fn titles_and_links() {
        let page = read(
            "<title> A &amp; B\n</title><nav><a href=\"/x?a=1&amp;b=2\">x</a></nav><a class=y href=z>z</a><A HREF='/Q'>q</A><a>none</a>",
        );
        assert_eq!(
            (page.title.as_str(), page.links),
            ("A & B", vec!["/x?a=1&b=2".into(), "z".into(), "/Q".into()])
        );
        assert_eq!(attribute("<a data-href=no href = \"yes\">", "href").as_deref(), Some("yes"));
        assert_eq!(attribute("<a href>", "href").as_deref(), Some(""));
        assert_eq!(attribute("<a \"x\" = >", "href"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in ".{0,200}|[<>/a-z\"'=&;!# -]{0,200}|(<(script|nav|p|a href=x|/nav|!--|title)>?|é|&#x?[0-9a-f]{1,9};){0,40}") {
            let page = read(&text);
            for block in page.blocks {
                let (Block::Heading(text) | Block::Text(text)) = block;
                proptest::prop_assert!(!text.contains('\0') && text.trim() == text && !text.is_empty());
            }
        }

        #[test]
        fn nothing_of_a_script_comes_out(inside in "[a-z<>/\"' =]{0,60}") {
            let html = format!("<p>before</p><script>marker {inside}</script><p>after</p>");
            let page = read(&html);
            let said = format!("{:?}", page.blocks);
            proptest::prop_assert!(!said.contains("marker"), "{said}");
        }
    }

    /// Were one of these read more than once, the largest page would take minutes.
    #[test]
    fn a_hostile_page_is_read_once() {
        for part in
            ["<", "<a ", "<div>", "&", "<!--", "<a href='", "<script>", "</", "<p title=\"", "<h1>x", "<nav>"]
        {
            let page = read(&part.repeat(500_000 / part.len()));
            assert!(page.blocks.len() <= BLOCKS && page.links.len() <= LINKS, "{part}");
        }
    }
}
