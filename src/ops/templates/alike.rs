//! How alike two texts are, by the runs of words that they share. It knows nothing of meaning.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Two texts with this share of their four-word runs in common were copied from each other.
pub const TOO_ALIKE: f64 = 0.3;

/// Pairs of texts that share at least `bound` of their four-word runs, most alike first: (earlier, later, share).
pub fn alike(texts: &[&str], bound: f64) -> Vec<(usize, usize, f64)> {
    let sets: Vec<BTreeSet<u64>> = texts.iter().map(|text| shingles(text, 4)).collect();
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, set) in sets.iter().enumerate() {
        for shingle in set {
            holders.entry(*shingle).or_default().push(at);
        }
    }
    // Only pairs with a run in common are ever looked at, so thousands of entries take milliseconds.
    let mut common: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for holders in holders.values() {
        for (nth, first) in holders.iter().enumerate() {
            for second in holders.iter().skip(nth + 1) {
                *common.entry((*first, *second)).or_default() += 1;
            }
        }
    }
    let size = |at: usize| sets.get(at).map_or(0, BTreeSet::len);
    let mut pairs: Vec<_> = common
        .into_iter()
        .map(|((first, second), both)| (first, second, share(both, size(first), size(second))))
        .filter(|(_, _, share)| *share >= bound)
        .collect();
    pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
    pairs
}

/// The share of words that two short texts have in common, whatever their order.
pub fn words_in_common(one: &str, other: &str) -> f64 {
    let (one, other) = (shingles(one, 1), shingles(other, 1));
    share(one.intersection(&other).count(), one.len(), other.len())
}

/// Jaccard's measure: what both have, of what either has.
#[expect(clippy::cast_precision_loss, reason = "counts of words in a text are far below 2^52")]
fn share(both: usize, one: usize, other: usize) -> f64 {
    let either = one + other - both;
    if either == 0 { 0.0 } else { both as f64 / either as f64 }
}

/// The runs of `length` words, without case and punctuation. A run is its hash: two that collide make a pair a hair more alike.
fn shingles(text: &str, length: usize) -> BTreeSet<u64> {
    let words: Vec<String> = text
        .split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let hash = |run: &[String]| {
        let mut hasher = DefaultHasher::new();
        run.hash(&mut hasher);
        hasher.finish()
    };
    words.windows(length).map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_copy_with_a_changed_word_and_leaves_others() {
        let texts = [
            "Turn the main shut-off valve clockwise until the water stops, then open the lowest tap.",
            "A crown takes two visits, about ninety minutes and half an hour.",
            "Turn the main shut-off valve clockwise until the water stops, then open the highest tap.",
        ];
        let pairs: Vec<_> = alike(&texts, TOO_ALIKE).into_iter().map(|(a, b, _)| (a, b)).collect();
        assert_eq!(pairs, [(0, 2)]);
        assert_eq!(alike(&["", ""], TOO_ALIKE), []);
    }

    #[test]
    fn word_order_does_not_hide_a_copied_question() {
        assert!(words_in_common("How much is a crown?", "a crown is how much") > 0.99);
        assert!(words_in_common("How much is a crown?", "What will capping this molar set me back?") < 0.1);
    }
}
