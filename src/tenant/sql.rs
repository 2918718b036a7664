//! [`TenantSql`]: one statement, refused *by the compiler* unless its text names the company.
//!
//! It never holds text made at run time: only the [`sql!`](crate::sql) macro makes one, from a literal.

/// One statement on a company's data. `$1` is the company, bound by the scope; callers supply `$2` and on.
#[derive(Clone, Copy, Debug)]
pub struct TenantSql(&'static str);

impl TenantSql {
    /// The statement, as it is sent.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }

    /// Takes the text of a type, so that no string made at run time can come in. Use [`sql!`](crate::sql).
    #[doc(hidden)]
    #[must_use]
    pub const fn of<T: Text>() -> Self {
        const {
            if let Err(why) = check(T::TEXT) {
                panic!("{}", why);
            }
        }
        Self(T::TEXT)
    }
}

/// A type that stands for one literal statement. Made by [`sql!`](crate::sql).
#[doc(hidden)]
pub trait Text {
    /// The statement.
    const TEXT: &'static str;
}

/// A [`TenantSql`] from a literal. It does not compile unless the statement says `company_id = $1`, or, for an insert,
/// lists `company_id` first and writes it from `$1`.
#[macro_export]
macro_rules! sql {
    ($text:literal) => {{
        struct Statement;
        impl $crate::tenant::sql::Text for Statement {
            const TEXT: &'static str = $text;
        }
        $crate::tenant::TenantSql::of::<Statement>()
    }};
}

/// Why a statement is refused, if it is. Textual, so deliberately narrow: lower case, one statement, no comments.
const fn check(text: &str) -> Result<(), &'static str> {
    let sql = text.as_bytes();
    if contains(sql, b";") || contains(sql, b"--") || contains(sql, b"/*") {
        return Err("one statement without semicolon or comment");
    }
    let reads = starts(sql, b"select ") || starts(sql, b"with ");
    let changes = starts(sql, b"update ") || starts(sql, b"delete from ");
    let inserts = starts(sql, b"insert into ");
    if !(reads || changes || inserts) {
        return Err(
            "a statement begins with select, with, update, delete from or insert into, in lower case",
        );
    }
    let inserts_inside = contains(sql, b"insert into ");
    if inserts_inside && !contains(sql, b" (company_id") {
        return Err("an insert lists company_id first");
    }
    if inserts_inside && !(contains(sql, b"values ($1") || contains(sql, b"select $1")) {
        return Err("an insert writes company_id from $1");
    }
    // `company_id = $10` begins with `company_id = $1` and is another parameter.
    let mut digit = b'0';
    while digit <= b'9' {
        if contains(sql, &[b'_', b'i', b'd', b' ', b'=', b' ', b'$', b'1', digit]) {
            return Err("an id is compared with $10 or a later parameter: keep ids among the first nine");
        }
        digit += 1;
    }
    if !inserts && !contains(sql, b"company_id = $1") {
        return Err("the statement does not say company_id = $1");
    }
    Ok(())
}

#[expect(
    clippy::indexing_slicing,
    reason = "const: slices have no const iterators; the bounds are in the loop"
)]
const fn contains(text: &[u8], wanted: &[u8]) -> bool {
    let mut at = 0;
    while at + wanted.len() <= text.len() {
        let mut same = 0;
        while same < wanted.len() && text[at + same] == wanted[same] {
            same += 1;
        }
        if same == wanted.len() {
            return true;
        }
        at += 1;
    }
    false
}

#[expect(
    clippy::indexing_slicing,
    reason = "const: slices have no const iterators; the bounds are in the loop"
)]
const fn starts(text: &[u8], wanted: &[u8]) -> bool {
    let mut at = 0;
    while at < wanted.len() {
        if at >= text.len() || text[at] != wanted[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn statements() {
        let ok = |text: &str| assert_eq!(check(text), Ok(()), "{text}");
        let no = |text: &str| assert!(check(text).is_err(), "{text}");
        ok("select name from agents where company_id = $1");
        ok("insert into agents (company_id, agent_id) values ($1, $2)");
        ok(
            "insert into agents (company_id, agent_id) select $1, c.agent_id from agents c where c.company_id = $1",
        );
        ok(
            "with a as (insert into x (company_id) values ($1) returning 1) select 1 from a where company_id = $1",
        );
        ok("update agents set name = $2 where company_id = $1");
        no("select name from agents");
        no("select name from agents where company_id = $2");
        no("select name from agents where company_id = $12");
        no("insert into agents (agent_id, company_id) values ($2, $1)");
        no("insert into agents (company_id) values ($2)");
        no("update agents set name = $2");
        no("delete from agents where agent_id = $1");
        no("select 1 where company_id = $1; delete from agents");
        no("select 1 -- company_id = $1");
        no("select 1 /* company_id = $1 */");
        no("truncate agents");
        no("SELECT 1 where company_id = $1");
    }
}
