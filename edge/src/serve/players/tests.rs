//! Reading a player's query, and choosing a language.

use super::*;

fn faults(player: &str, query: &str) -> Vec<String> {
    match read(player, query) {
        Ok(asked) => panic!("taken: {asked:?}"),
        Err(ApiError::Validation { details, .. }) => {
            details.into_iter().map(|detail| detail.field).collect()
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_query_is_read_whole() {
    let query = "region=us-east&language=pt-BR&platform=ps5&includeConfig=false&key.match=m%2017&key.guild=g";
    let asked = read("p-1", query).unwrap();
    let expected = Asked {
        region: "us-east".parse().unwrap(),
        language: Some("pt-BR".to_owned()),
        include_config: false,
        keys: vec![
            ("match".to_owned(), "m 17".to_owned()),
            ("guild".to_owned(), "g".to_owned()),
        ],
    };
    assert_eq!(asked, expected);
    assert!(read("p-1", "region=us-east").unwrap().include_config);
}

#[test]
fn whatever_is_wrong_is_named() {
    let long = "x".repeat(MAX_KEY + 1);
    let many: String = (0..=MAX_KEYS).map(|i| format!("&key.k{i}=v")).collect();
    let table = [
        (String::new(), vec!["region"]),
        ("region=US".to_owned(), vec!["region"]),
        ("region=us-east&region=us-east".to_owned(), vec!["region"]),
        ("region=us-east&limit=3".to_owned(), vec!["limit"]),
        (
            "region=us-east&includeConfig=yes".to_owned(),
            vec!["includeConfig"],
        ),
        ("region=us-east&language=de/AT".to_owned(), vec!["language"]),
        ("region=us-east&platform=".to_owned(), vec!["platform"]),
        ("region=us-east&key.=v".to_owned(), vec!["key."]),
        ("region=us-east&key.match=".to_owned(), vec!["key.match"]),
        (
            format!("region=us-east&key.match={long}"),
            vec!["key.match"],
        ),
        (
            "region=us-east&key.match=1&key.match=2".to_owned(),
            vec!["key.match"],
        ),
        (
            "region=us-east&key.player=another".to_owned(),
            vec!["key.player"],
        ),
        (format!("region=us-east{many}"), vec!["key"]),
        (
            "includeConfig=1&language=%00&what=".to_owned(),
            vec!["what", "language", "includeConfig", "region"],
        ),
    ];
    for (query, fields) in table {
        assert_eq!(faults("p-1", &query), fields, "{query}");
    }
    assert_eq!(faults(&long, "region=us-east"), ["playerId"]);
}

#[test]
fn a_language_is_found_by_its_tag_and_then_by_its_primary_subtag() {
    let texts = |name: &str| Localization {
        display_name: Some(name.to_owned()),
        description: None,
        custom_fields: None,
    };
    let localizations = ["de", "pt-BR", "zh-Hant"]
        .map(|tag| (tag.to_owned(), texts(tag)))
        .into();
    let table = [
        ("de", Some("de")),
        ("DE", Some("de")),
        ("de-AT", Some("de")),
        ("pt-BR", Some("pt-BR")),
        ("pt-br", Some("pt-BR")),
        ("pt", None),
        ("zh-Hant-TW", None),
        ("fr", None),
        ("d", None),
    ];
    for (language, expected) in table {
        let found = localization(&localizations, language);
        let name = found.and_then(|texts| texts.display_name.as_deref());
        assert_eq!(name, expected, "{language}");
    }
}
