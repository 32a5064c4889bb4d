//! Places and filters are given back.

use uuid::Uuid;

use super::*;

fn token(number: u128) -> TokenId {
    TokenId(Uuid::from_u128(number))
}

fn tagged(tag: usize) -> Filter {
    Filter {
        tags: [tag.to_string()].into(),
        ..Filter::default()
    }
}

#[test]
fn places_are_given_back_in_all_and_for_each_token() {
    let registry = Registry::new(3, 2);
    let first = registry.place(token(1)).ok().unwrap();
    let second = registry.place(token(1)).ok().unwrap();
    assert_eq!(registry.place(token(1)).err(), Some(Full::Token));
    let third = registry.place(token(2)).ok().unwrap();
    assert_eq!(registry.place(token(2)).err(), Some(Full::Edge));
    drop(second);
    // Counted for the new token, even beyond what it may have, and for the old one no more.
    first.renew(token(2));
    assert_eq!(registry.place(token(2)).err(), Some(Full::Token));
    let fourth = registry.place(token(1)).ok().unwrap();
    drop((first, third, fourth));
    assert!(registry.0.tokens.lock().is_empty());
    assert_eq!(registry.0.places.available_permits(), 3);
}

#[test]
fn the_same_filter_is_one_and_too_many_are_refused_until_some_are_gone() {
    let registry = Registry::new(1, 1);
    assert_eq!(registry.select(Filter::default()), Some(None));
    let mut held: Vec<_> = (0..MAX_FILTERS)
        .map(|tag| registry.select(tagged(tag)).unwrap().unwrap())
        .collect();
    let same = registry.select(tagged(7)).unwrap().unwrap();
    assert!(Arc::ptr_eq(&same, &held[7]));
    assert_eq!(registry.select(tagged(MAX_FILTERS)), None);
    held.pop();
    assert!(registry.select(tagged(MAX_FILTERS)).is_some());
}
