//! What a website lets programs read: its `robots.txt` (RFC 9309), as far as it is meant for us.
//!
//! It never reads more into it than the standard says: rules of a group that names us, else those for everybody.

/// What we call ourselves there.
pub(crate) const NAME: &str = "BulkheadImport";

/// The rules that hold for us.
#[derive(Debug, Default)]
pub(crate) struct Robots {
    /// Whether a path may be read, and which: the longest that fits decides.
    rules: Vec<(bool, String)>,
}

impl Robots {
    /// The rules in a file.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut ours, mut all) = (None::<Vec<_>>, Vec::new());
        let (mut names, mut naming) = (Vec::new(), false);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            let allow = match key.as_str() {
                "user-agent" => {
                    if !naming {
                        names.clear();
                    }
                    naming = true;
                    names.push(value.to_ascii_lowercase());
                    continue;
                }
                "allow" => true,
                "disallow" => false,
                _ => continue,
            };
            naming = false;
            let rule = (allow, value.to_owned());
            if names.iter().any(|name| name.eq_ignore_ascii_case(NAME)) {
                ours.get_or_insert_default().push(rule);
            } else if names.iter().any(|name| name == "*") {
                all.push(rule);
            }
        }
        let mut rules = ours.unwrap_or(all);
        // An empty rule says nothing.
        rules.retain(|(_, path)| !path.is_empty());
        rules.truncate(2_000);
        Self { rules }
    }

    /// Nothing may be read.
    pub(crate) fn none() -> Self {
        Self { rules: vec![(false, "/".to_owned())] }
    }

    /// Whether we may read this path.
    pub(crate) fn allows(&self, path: &str) -> bool {
        let fitting = self.rules.iter().filter(|(_, pattern)| fits(pattern, path));
        fitting.max_by_key(|(allow, pattern)| (pattern.len(), *allow)).is_none_or(|(allow, _)| *allow)
    }
}

/// Whether a path begins with a pattern, in which `*` is any text and a `$` at the end the path's end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = pattern.strip_suffix('$').map_or((pattern, false), |pattern| (pattern, true));
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    let single = parts.peek().is_none();
    while let Some(part) = parts.next() {
        if whole && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    !(whole && single) || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, allowed: &[&str], refused: &[&str]) {
        let robots = Robots::parse(text);
        for path in allowed {
            assert!(robots.allows(path), "{text:?} {path}");
        }
        for path in refused {
            assert!(!robots.allows(path), "{text:?} {path}");
        }
    }

    #[test]
    fn rules() {
        check("", &["/", "/a"], &[]);
        check("User-agent: *\nDisallow:", &["/"], &[]);
        check("User-agent: *\nDisallow: /", &[], &["/", "/a"]);
        check(
            "user-agent: *\ndisallow: /a # not this\nallow: /a/b",
            &["/", "/b", "/a/b/c"],
            &["/a", "/ab", "/a/c"],
        );
        check("User-agent: *\nDisallow: /*.pdf$", &["/a.pdf?x", "/a"], &["/a.pdf", "/a/b.pdf"]);
        check("User-agent: *\nDisallow: /*/private", &["/private"], &["/a/private", "/a/b/private/c"]);
        check("User-agent: *\nDisallow: /a$", &["/ab", "/"], &["/a"]);
        // A group that names us takes the place of the one for everybody.
        let named =
            "User-agent: *\nDisallow: /\n\nUser-agent: Other\nUser-agent: bulkheadimport\nDisallow: /b\n";
        check(named, &["/", "/a"], &["/b"]);
        check("User-agent: Other\nDisallow: /", &["/"], &[]);
        check("Disallow: /\nnonsense\n:::\nUser-agent", &["/"], &[]);
        // As long, allowing wins.
        check("User-agent: *\nDisallow: /a\nAllow: /a", &["/a"], &[]);
        assert!(!Robots::none().allows("/"));
    }
}
