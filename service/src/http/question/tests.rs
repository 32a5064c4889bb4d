//! Reading what is asked about a player.

use super::*;

fn read(player: &str, query: &str) -> Result<Question, ApiError> {
    Question::read(player.to_owned(), query, &mut [])
}

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
    let query = "region=us-east&language=pt-BR&platform=ps5&includeConfig=false&key.match=m%2017&key.guild=g\
                 &build=4.12.0&explain=true&attributes.level=12.5&attributes.vip=true&attributes.tier=gold\
                 &attributes.clan=%2212%22&attributes.note=";
    let expected = Question {
        player: "p-1".to_owned(),
        region: "us-east".parse().unwrap(),
        language: Some("pt-BR".to_owned()),
        build: "4.12".parse().ok(),
        include_config: false,
        explain: true,
        keys: vec![
            ("match".to_owned(), "m 17".to_owned()),
            ("guild".to_owned(), "g".to_owned()),
        ],
        attributes: serde_json::from_str(
            r#"{"level": 12.5, "vip": true, "tier": "gold", "clan": "12", "note": ""}"#,
        )
        .unwrap(),
        platform: Some("ps5".to_owned()),
    };
    assert_eq!(read("p-1", query).unwrap(), expected);
    let plain = read("p-1", "region=us-east").unwrap();
    assert!(plain.include_config && !plain.explain);
    assert_eq!(plain.build, None);
}

#[test]
fn whatever_is_wrong_is_named() {
    let long = "x".repeat(MAX_KEY + 1);
    let many: String = (0..=MAX_KEYS).map(|i| format!("&key.k{i}=v")).collect();
    let much: String = (0..=MAX_ATTRIBUTES)
        .map(|i| format!("&attributes.a{i}=1"))
        .collect();
    let table = [
        (String::new(), vec!["region"]),
        ("region=US".to_owned(), vec!["region"]),
        ("region=us-east&region=us-east".to_owned(), vec!["region"]),
        ("region=us-east&limit=3".to_owned(), vec!["limit"]),
        (
            "region=us-east&includeConfig=yes".to_owned(),
            vec!["includeConfig"],
        ),
        ("region=us-east&explain=1".to_owned(), vec!["explain"]),
        ("region=us-east&build=v4".to_owned(), vec!["build"]),
        ("region=us-east&build=".to_owned(), vec!["build"]),
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
        (format!("region=us-east{much}"), vec!["attributes"]),
        (
            "region=us-east&attributes.=1".to_owned(),
            vec!["attributes."],
        ),
        (
            "region=us-east&attributes.level=1&attributes.level=1".to_owned(),
            vec!["attributes.level"],
        ),
        (
            format!("region=us-east&attributes.tier={long}"),
            vec!["attributes.tier"],
        ),
        (
            "includeConfig=1&language=%00&what=".to_owned(),
            vec!["what", "language", "includeConfig", "region"],
        ),
    ];
    for (query, fields) in table {
        assert_eq!(faults("p-1", &query), fields, "{query}");
    }
    assert_eq!(faults(&long, "region=us-east"), ["playerId"]);
    assert_eq!(faults("", "region=us-east"), ["playerId"]);
}

#[test]
fn others_are_known_where_they_are_named() {
    let mut more = [("at", None), ("revision", None)];
    let query = "region=us-east&at=noon";
    Question::read("p-1".to_owned(), query, &mut more).unwrap();
    assert_eq!(more, [("at", Some("noon".to_owned())), ("revision", None)]);
    assert_eq!(faults("p-1", query), ["at"]);
    let mut more = [("at", None)];
    let twice = Question::read("p-1".to_owned(), "region=us-east&at=1&at=2", &mut more);
    assert!(twice.is_err());
}
