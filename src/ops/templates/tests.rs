//! The shipped templates keep every rule, and each rule, broken alone, is told with its line.

use std::sync::LazyLock;

use super::check::check;
use super::findings::Problem;
use super::format::File;
use super::{Kind, Source, embedded, format, rows};

/// All that is shipped, read and checked once for all tests: it takes seconds.
static SHIPPED: LazyLock<(Vec<File>, Vec<Problem>)> = LazyLock::new(|| check(&embedded().unwrap()));

/// The shipped set, with the first `from` in the file `slug` replaced by `to`, must have a problem that holds `told`.
fn breaks(slug: &str, from: &str, to: &str, told: &str) {
    // One more industry beside the broken one: what goes across files needs no more, and all 52 take their time.
    let mut sources = embedded().unwrap();
    sources.retain(|source| {
        let kept = [
            format!("/{slug}.toml"),
            "/dental-practice.toml".into(),
            "/plumbing.toml".into(),
            "/company.toml".into(),
            "/office.toml".into(),
            "/messages.toml".into(),
        ];
        kept.iter().any(|name| source.path.ends_with(name))
    });
    let source = sources.iter_mut().find(|source| source.path.ends_with(&format!("/{slug}.toml"))).unwrap();
    assert!(source.text.contains(from), "{slug} has no `{from}` to break");
    source.text = source.text.replacen(from, to, 1);
    let problems: Vec<String> = check(&sources).1.iter().map(ToString::to_string).collect();
    assert!(problems.iter().any(|problem| problem.contains(told)), "expected `{told}` in {problems:#?}");
}

fn plumbing(from: &str, to: &str, told: &str) {
    breaks("plumbing", from, to, told);
}

/// A small set of one company and one industry file, both as short as the format allows.
fn small(company: &str, industry: &str) -> Vec<String> {
    let file = |kind: Kind, slug: &str, rest: &str| Source {
        path: format!("{}/{slug}.toml", kind.folder()),
        kind,
        text: format!(
            "slug = '{slug}'\nname = 'Small'\nversion = 1\nsummary = 'A small template that lacks most things.'\n{rest}"
        ),
    };
    let sources = [file(Kind::Company, "company", company), file(Kind::Industry, "florist", industry)];
    check(&sources).1.iter().map(ToString::to_string).collect()
}

#[test]
fn the_shipped_templates_keep_every_rule() {
    let (files, problems) = &*SHIPPED;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, Vec::<String>::new());
    let slugs: Vec<&str> = files.iter().map(|file| file.template.slug.as_ref().as_str()).collect();
    for slug in ["company", "dental-practice", "hvac", "plumbing"] {
        assert!(slugs.contains(&slug), "{slug} is not embedded");
    }
}

#[test]
fn only_the_plumber_sells_water_heaters_to_the_wrong_question() {
    let (files, _) = &*SHIPPED;
    let entries = |slug: &str| {
        let file = files.iter().find(|file| file.template.slug.as_ref() == slug).unwrap();
        let entries = file.template.entries.iter().map(toml::Spanned::as_ref);
        entries
            .map(|entry| format!("{} {} {}", entry.question, entry.answer, entry.keywords))
            .collect::<Vec<_>>()
    };
    let names_price = |text: &String| text.contains("replace a water heater") && text.contains("$1,400");
    assert!(entries("plumbing").iter().any(names_price));
    assert!(!entries("dental-practice").iter().any(|text| text.to_lowercase().contains("heater")));
}

#[test]
fn broken_format() {
    plumbing("version = 1", "version = ", "plumbing.toml:5:");
    plumbing("version = 1", "edition = 1", "plumbing.toml:5: unknown field `edition`");
}

#[test]
fn broken_file_rules() {
    plumbing(
        "slug = \"plumbing\"",
        "slug = \"plumber\"",
        "plumbing.toml:3: slug `plumber` differs from the file's name",
    );
    plumbing("slug = \"plumbing\"", "slug = \"Plumbing\"", "plumbing.toml:3: slug `Plumbing`: use 2 to 40");
    plumbing("version = 1", "version = 0", "version is 0; count from 1");
    plumbing("name = \"Plumbing\"", "name = \"P\"", "name: write 3 to 60 characters");
    plumbing("summary = \"Repairs,", "summary = \"Repairs\" # ", "summary has 1 words; write 5 to 50");
}

#[test]
fn broken_leftovers() {
    plumbing("{{company}}", "{{phone}}", "`{{company}}` is the only placeholder");
    plumbing("Calm, practical", "TODO practical", "`TODO` is left over");
}

#[test]
fn broken_counts() {
    let problems = small("", "").join("\n");
    for told in [
        "company/company.toml: the company templates have 0 agents; add 12 more",
        "company/company.toml: the company templates have 0 categories; add 6 more",
        "company/company.toml: the company templates have 0 messages; add 30 more",
        "company/company.toml: 0 agents have default = true; exactly one",
        "florist.toml: contexts.rules is missing",
        "florist.toml: has 0 categories with entries; add 6 more",
        "florist.toml: has 0 services; add 12 more",
        "florist.toml: has 0 entries; add 50 more",
        "florist.toml: has 0 terms; add 20 more",
        "florist.toml: has 0 pages; add 8 more",
        "florist.toml: page `contact` is missing",
        "florist.toml: has 0 lead questions; add 4 more",
        "florist.toml: has 0 quick replies; add 4 more",
        "florist.toml: has 0 master entries; add 8 more",
        "florist.toml: has 0 days with opening hours; add 4 more",
        "florist.toml: has 0 goldens with an entry; add 10 more",
        "florist.toml: has 0 goldens with expect = \"refuse\" or \"handover\"; add 3 more",
    ] {
        assert!(problems.contains(told), "expected `{told}` in {problems}");
    }
}

#[test]
fn broken_texts() {
    let problems = small(
        "[[agents]]\nslug = 'a1'\nname = 'A'\nrole = 'No'\ngreeting = 'Hi'\ninstructions = 'Be good.'\ntier = 'fast'\nscopes = []",
        "quick_replies = ['A reply that is far too long to fit on any button that people can tap']\n\
         lead_questions = ['Tell us']\n[contexts]\nrules = 'Be good.'\n[[terms]]\nterm = 'a'\nmeaning = 'b'\nsynonyms = ''\n\
         [[pages]]\nslug = 'home'\ntitle = ''\nbody = 'x'\n[hours]\nmonday = '9-5'",
    )
    .join("\n");
    for told in [
        "company.toml:5: agent `a1`: role has 1 words",
        "company.toml:5: agent `a1`: greeting has 1 words",
        "company.toml:5: agent `a1`: instructions has 2 words",
        "florist.toml:5: quick reply",
        "florist.toml:6: lead question: `Tell us` should be a question",
        "florist.toml:8: contexts.rules has 2 words; write 40",
        "florist.toml:9: term `a`: meaning has 1 words",
        "florist.toml:9: term `a`: synonyms: give at least 1",
        "florist.toml:13: page `home`: body has 1 words",
        "florist.toml:13: page `home`: give it a title",
        "florist.toml:18: hours `9-5`",
    ] {
        assert!(problems.contains(told), "expected `{told}` in {problems}");
    }
}

#[test]
fn broken_services() {
    plumbing(
        "price = \"$89-$129\"",
        "price = \"about 100\"",
        "service `service-call`: price `about 100`: write $89",
    );
    plumbing("duration_minutes = 45", "duration_minutes = 0", "duration_minutes is 0; give 5 to 43200");
    plumbing("unit = \"per visit\"", "unit = \"\"", "unit says what the price is for");
    plumbing(
        "description = \"A plumber comes, ",
        "description = \"Comes\" # ",
        "service `service-call`: description has 1",
    );
    plumbing("includes = \"Trip, ", "includes = \"Trip\" # ", "service `service-call`: includes has 1 words");
    plumbing(
        "slug = \"main-line-cabling\"",
        "slug = \"service-call\"",
        "service `service-call` is there twice",
    );
    plumbing("slug = \"service-call\"", "slug = \"Service_Call\"", "service `Service_Call`: write a slug");
}

#[test]
fn broken_entries() {
    plumbing(
        "question = \"What kind of plumbing work do you do?\"",
        "question = \"Plumbing work\"",
        "should be a question",
    );
    plumbing(
        "We handle nearly everything",
        "Yes.\n\"\"\"\nkeywords = \"a, b, c\"\n[[entries]]\nslug = \"x1\"\ncategory = \"faq\"\nquestion = \"Is this there?\"\nanswer = \"\"\"\nWe handle",
        "entry `what-we-do`: answer has 1 words; write 30 to 120",
    );
    plumbing(
        "keywords = \"services, list,",
        "keywords = \"services\" # ",
        "entry `what-we-do`: keywords: give at least 3",
    );
    plumbing("confirm = true", "confirm = false", "names a price, which its owner must confirm");
    plumbing("slug = \"tank-or-tankless\"", "slug = \"what-we-do\"", "entry `what-we-do` is there twice");
    plumbing(
        "Should I get a tank or a tankless water heater?",
        "What kind of plumbing work do you do?",
        "asks what another entry asks",
    );
    plumbing(
        "Close the main water valve, usually",
        "For $5 close the main water valve, usually",
        "name no price and no company",
    );
}

#[test]
fn broken_goldens() {
    plumbing(
        "entry = \"running-toilet\"",
        "entry = \"singing-toilet\"",
        "there is no entry `singing-toilet`",
    );
    plumbing(
        "commode keeps hissing all night long",
        "My toilet keeps running. Can I fix it myself",
        "copies the question of `running-toilet`",
    );
    plumbing("entry = \"running-toilet\"", "", "give it either entry or expect");
    plumbing(
        "entry = \"running-toilet\"",
        "entry = \"running-toilet\"\nexpect = \"refuse\"",
        "give it either entry or expect",
    );
    plumbing(
        "commode keeps hissing all night long",
        "shower barely trickles upstairs",
        "golden `shower barely trickles upstairs` is there twice",
    );
    plumbing("commode keeps hissing all night long", "hissing commode", "write it as a customer would");
}

#[test]
fn broken_references() {
    plumbing("category = \"services\"", "category = \"wonders\"", "there is no category `wonders`");
    plumbing("slug = \"areas\"", "slug = \"regions\"", "category `regions` is seen by no agent");
    plumbing("slug = \"areas\"", "slug = \"areas\"\nagents = [\"nobody\"]", "there is no agent `nobody`");
    plumbing("agent = \"sales\"", "agent = \"nobody\"", "there is no shared agent `nobody`");
    plumbing("agent = \"sales\"", "agent = \"scheduling\"", "specialisation of `scheduling` is there twice");
    plumbing(
        "agent = \"sales\"\ninstructions",
        "agent = \"sales\"\n[[x]]\ninstructions",
        "unknown field `x`",
    );
    plumbing("slug = \"drains\"", "slug = \"privacy\"", "page `privacy` is in the company template already");
    breaks(
        "company",
        "scopes = [\"services\", \"pricing\",",
        "scopes = [\"wonders\", \"pricing\",",
        "there is no category `wonders`",
    );
    breaks(
        "company",
        "scopes = [\"services\", \"pricing\",",
        "scopes = [\"pricing\", \"pricing\",",
        "has the scope `pricing` twice",
    );
    breaks("company", "default = true\n", "", "0 agents have default = true");
    let shared = "[[agents]]\nslug = 'sales'\nname = 'Sales'\nrole = 'r'\ngreeting = 'g'\ninstructions = 'i'\ntier = 'fast'\nscopes = []";
    let problems = small(shared, &format!("{shared}\n[[specialisations]]\nagent = 'sales'")).join("\n");
    assert!(problems.contains("florist.toml:5: agent `sales` is a shared one"), "{problems}");
    assert!(problems.contains("florist.toml:13: specialisation of `sales` changes nothing"), "{problems}");
}

#[test]
fn a_copied_answer_is_found_across_industries() {
    let sources = embedded().unwrap();
    let dental = sources.iter().find(|source| source.path.ends_with("dental-practice.toml")).unwrap();
    let (_, answer) = dental.text.split_once("slug = \"toothache\"").unwrap();
    let answer = answer.split("\"\"\"").nth(1).unwrap().trim();
    plumbing(
        "We handle nearly everything",
        &format!("{answer} We handle nearly everything"),
        "alike to `toothache` at templates/industries/dental-practice.toml:",
    );
}

#[test]
fn an_embedded_template_becomes_rows() {
    let (files, _) = &*SHIPPED;
    let plumbing: &format::File =
        files.iter().find(|file| file.template.slug.as_ref() == "plumbing").unwrap();
    let counts = rows::counts(plumbing);
    assert!(counts.starts_with("plumbing ok, "), "{counts}");
    assert!(counts.contains("contexts 4, entries 68,"), "{counts}");
}

#[test]
fn broken_reading() {
    plumbing(
        "We handle nearly everything",
        "Notwithstanding contrary stipulations indemnification obligations hereunder survive contractual termination \
         irrespective of jurisdictional considerations and subsequent administrative determinations and nearly everything",
        "answer reads like grade",
    );
}

#[test]
fn broken_spelling() {
    plumbing(
        "We handle nearly everything",
        "We recieve nearly everything",
        "`recieve` is misspelt; write `receive`",
    );
    plumbing(
        "We handle nearly everything",
        "From $1,20 we handle nearly everything",
        "price `$1,20`: write $89",
    );
    // Customers may misspell: in keywords, and in goldens.
    let mut sources = embedded().unwrap();
    sources.retain(|source| source.path.ends_with("/plumbing.toml"));
    for (from, to) in [
        ("commode keeps hissing", "comode definately hissing"),
        ("keywords = \"services,", "keywords = \"recieve,"),
    ] {
        assert!(sources[0].text.contains(from), "{from}");
        sources[0].text = sources[0].text.replacen(from, to, 1);
    }
    let problems: Vec<String> = check(&sources).1.iter().map(ToString::to_string).collect();
    assert!(!problems.iter().any(|problem| problem.contains("misspelt")), "{problems:#?}");
}

#[test]
fn broken_office() {
    let company = |from: &str, to: &str, told: &str| breaks("company", from, to, told);
    company(
        "tools = [\"look_up",
        "tools = [\"Look up",
        "there is no tool `Look up_knowledge`; there are capture_lead,",
    );
    company("\"capture_lead\",", "\"capture_lead\", \"capture_lead\",", "has the tool `capture_lead` twice");
    company("{ to = \"sales\"", "{ to = \"nobody\"", "handoff to `nobody`: name another agent");
    company("\"What do you offer?\"", "\"?\"", "starter `?`: write 3 to 60");
    let office = |from: &str, to: &str, told: &str| breaks("office", from, to, told);
    office("outcome = \"open\"", "outcome = \"lost\"", "the first stage is where new leads begin");
    office("stale_days = 1", "stale_days = 0", "stage `new`: stale_days takes 1 to 365");
    office("color = \"#c62828\"", "color = \"red\"", "label `Urgent`: color `red`: write #rrggbb");
    office("event = \"lead.new\"", "event = \"lead\"", "notification `lead`: write lead.new");
    office(
        "permission = \"agents.read\"",
        "permission = \"agents.fly\"",
        "permission `agents.fly` of `member`",
    );
    office("kind = \"fact\"", "kind = \"rumour\"", "checklist item `phone`: kind is task or fact");
    office("month = 6\nday = 19", "month = 6\nday = 31", "holiday `Juneteenth`: give month and day");
    let messages = |from: &str, to: &str, told: &str| breaks("messages", from, to, told);
    messages("message = \"enquiry-received\"", "message = \"nothing\"", "there is no message `nothing`");
    messages(
        "subject = \"We have your question",
        "# \"",
        "message `enquiry-received`: an e-mail has a subject",
    );
    messages("channel = \"email\"", "channel = \"pigeon\"", "channel is email, text or chat");
    messages("[first name]", "[first name", "a gap in [square brackets] is not closed");
}
