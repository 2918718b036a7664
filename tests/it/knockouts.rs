//! Knock-outs: one wall is taken away, and every attack is still stopped by the next; with the next one gone too it gets
//! through, or this test is blind. The table of what stopped what is `tests/it/knockouts.txt`.
//!
//! Alice's company is attacked from Mallory's. The core runs natively, because only there can a wall be taken away.

mod stage;

use bulkhead::knockout::{Wall, take};
use bulkhead::routes::{ROUTES, Run};
use bulkhead_tests::core::Core;
use bulkhead_tests::native::run;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;

use stage::{Attack, Stage};

/// Routes of members that only read. What is the same for every company has nothing of another's to show.
fn reading(with_id: bool) -> impl Iterator<Item = &'static str> {
    // The one is everybody's, the other finds nothing until it is asked something.
    let not = ["/v1/providers/presets", "/v1/knowledge/search"];
    let reads = move |route: &&bulkhead::routes::Route| {
        route.method == "GET" && matches!(route.run, Run::Member(..)) && !not.contains(&route.path)
    };
    ROUTES.iter().filter(reads).map(|route| route.path).filter(move |path| path.contains("{id}") == with_id)
}

/// What a layer is, how it is taken away, and what stands behind it.
struct Case {
    attack: Attack,
    layer: &'static str,
    first: &'static [Wall],
    stopped_by: &'static str,
    second: &'static [Wall],
    /// Row-level security is the second wall: it goes by connecting as another role.
    then_row_level_security: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |attack, layer, first, stopped_by, second, then_row_level_security| {
        cases.push(Case { attack, layer, first, stopped_by, second, then_row_level_security });
    };
    // Left out are lists with nothing of Alice's own in them (categories, roles, notifications), and rows that are found by
    // who asks (company, account, sessions).
    let bare = ["/categories", "/roles", "/notifications", "/company", "/account", "/sessions"];
    let lists = || reading(false).filter(|path| !bare.iter().any(|end| path.ends_with(end)));
    for path in lists() {
        add(
            Attack::ForgedToken(path),
            "1 signature",
            &[Wall::Signature],
            "membership row",
            &[Wall::Membership],
            false,
        );
    }
    for path in reading(true) {
        add(
            Attack::ForgedToken(path),
            "1 signature",
            &[Wall::Signature],
            "membership row",
            &[Wall::Membership],
            false,
        );
    }
    add(
        Attack::ForgedWrite("knowledge"),
        "1 signature",
        &[Wall::Signature],
        "membership row",
        &[Wall::Membership],
        false,
    );
    // One row is shown of a budget, of a plan, of what is kept and of the chat's settings, and a few of updates and conversations: without a filter
    // they may be anybody's.
    let few = ["/budget", "/plan", "/retention", "/widget-settings", "/updates", "/conversations"];
    for path in lists().filter(|path| !few.iter().any(|end| path.ends_with(end))) {
        add(Attack::List(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
    }
    for path in reading(true) {
        add(Attack::ReadById(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
        if ROUTES.iter().any(|route| (route.method, route.path) == ("PATCH", path)) {
            add(Attack::ChangeById(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
        }
        if ROUTES.iter().any(|route| (route.method, route.path) == ("DELETE", path)) {
            add(Attack::RemoveById(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
        }
    }
    add(
        Attack::ReadMemory,
        "4 key prefix",
        &[Wall::KeyPrefix],
        "the value names its company",
        &[Wall::ValueOwner],
        false,
    );
    add(
        Attack::SpendBudget,
        "4 key prefix",
        &[Wall::KeyPrefix],
        "the value names its company",
        &[Wall::ValueOwner],
        false,
    );
    add(Attack::ReadContexts, "6 knowledge's filter", &[Wall::Filter], "row-level security", &[], true);
    add(
        Attack::UseKey,
        "5 provider's owner",
        &[Wall::ProviderOwner],
        "associated data and derived key",
        &[Wall::Seal],
        true,
    );
    add(Attack::Overspend, "7 budget in Redis", &[Wall::Budget], "ledger cap", &[Wall::LedgerCap], false);
    cases
}

#[test]
fn each_wall_holds_when_the_one_before_it_is_gone() {
    let mut table = String::from("attack | layer removed | what stopped it | with that gone too\n");
    let mut wrong = Vec::new();
    run(async {
        let shipped = Stage::set(Core::new(Stand::get())).await;
        let guarded = Stage::set(core(false)).await;
        let open = Stage::set(core(true)).await;
        for case in cases() {
            let name = format!("{:?}", case.attack);
            if shipped.attack(&case.attack).await {
                wrong.push(format!("{name} gets through with every wall standing"));
            }
            // To bring another company's provider as far as the vault, filter and row-level security must be gone.
            let vault = matches!(case.attack, Attack::UseKey);
            let before = vault.then_some(Wall::Filter);
            // Whoever only reads leaves a stage as it was; a new one for each would fill the lists that are without a filter.
            let reads = matches!(case.attack, Attack::ForgedToken(_) | Attack::List(_) | Attack::ReadById(_));
            let one = {
                let own = if reads { None } else { Some(Stage::set(core(vault)).await) };
                let stage = own.as_ref().unwrap_or(&guarded);
                let _gone = take(&case.first.iter().copied().chain(before).collect::<Vec<_>>());
                stage.attack(&case.attack).await
            };
            let both = if reads {
                let stage = if case.then_row_level_security { &open } else { &guarded };
                let _gone = take(&case.first.iter().chain(case.second).copied().collect::<Vec<_>>());
                stage.attack(&case.attack).await
            } else {
                // What was sealed for a company before its wall went would stay shut.
                let seal: Vec<Wall> =
                    case.second.iter().copied().filter(|wall| *wall == Wall::Seal).collect();
                let sealed = take(&seal);
                let stage = Stage::set(core(case.then_row_level_security)).await;
                drop(sealed);
                let walls = case.first.iter().chain(case.second).copied().chain(before);
                let _gone = take(&walls.collect::<Vec<_>>());
                stage.attack(&case.attack).await
            };
            if one {
                wrong.push(format!("{name} gets through without {}", case.layer));
            }
            if !both {
                wrong.push(format!(
                    "{name} is stopped without {} and {}: this test is blind",
                    case.layer, case.stopped_by
                ));
            }
            let both = if both { "gets through" } else { "stopped" };
            table.push_str(&format!("{name} | {} | {} | {both}\n", case.layer, case.stopped_by));
        }
        // The other way round: row-level security is gone, and the filter holds.
        let unguarded = Stage::set(core(true)).await;
        for case in cases().iter().filter(|case| case.first == [Wall::Filter]) {
            if unguarded.attack(&case.attack).await {
                wrong.push(format!("{:?} gets through without row-level security", case.attack));
            }
            table.push_str(&format!("{:?} | 3 row-level security | filter | gets through\n", case.attack));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tally("all layers", "knock-outs: attacks by the wall taken away", table.lines().count() - 1, 40);
    let kept = include_str!("knockouts.txt");
    if std::env::var_os("BULKHEAD_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/it/knockouts.txt"), table).unwrap();
        return;
    }
    assert_eq!(
        table, kept,
        "tests/it/knockouts.txt is not what happened; write this table there if it is right"
    );
}

fn core(without_row_level_security: bool) -> Core {
    let stand = Stand::get();
    if without_row_level_security { Core::without_row_level_security(stand) } else { Core::new(stand) }
}
