//! Which shapes are known, and what a configuration names.

use serde_json::json;

use super::*;

fn read(value: &Value) -> Configuration {
    Configuration::read(&JsonText::new(value.to_string()).unwrap()).unwrap()
}

fn check(value: &Value) -> (Vec<String>, Vec<String>) {
    let (mut errors, mut warnings) = (Faults::default(), Faults::default());
    read(value).check(&mut errors, &mut warnings);
    let fields = |faults: Faults| faults.into_vec().into_iter().map(|f| f.field).collect();
    (fields(errors), fields(warnings))
}

fn whole() -> Value {
    json!({
        "version": "2.1",
        "rewards": {
            "dailyLoginBonus": 100,
            "questMultiplier": 2.0,
            "items": [{ "itemId": "lantern", "amount": 3, "bound": true }, "badge"],
            "currency": { "crowns": 100 },
            "cosmetics": ["armor-sovereign"],
        },
        "multipliers": { "xp": 1.5 },
        "unlockedFeatures": ["spectator-mode"],
        "customParameters": { "anything": [1, { "at": "all" }] },
        "assets": {
            "banner": "https://cdn.example.com/b.png",
            "icon": "https://cdn.example.com:8443/i.png?v=2",
            "background": "http://cdn.example.com/bg",
            "music": "https://cdn.example.com/m.ogg",
            "trailer": "https://cdn.example.com/t.mp4",
        },
        "ui": {
            "bannerPosition": "top", "colours": { "primary": "#fff" }, "animation": "snow", "countdown": true,
        },
    })
}

#[test]
fn every_known_member_is_accepted() {
    assert_eq!(check(&whole()), (vec![], vec![]));
    assert_eq!(check(&json!({})), (vec![], vec![]));
    let by_name = json!({ "version": 3, "rewards": { "dailyLoginBonus": { "gold": 5 } } });
    assert_eq!(check(&by_name), (vec![], vec![]));
}

#[test]
fn another_shape_is_an_error_at_its_field() {
    let table = [
        (json!({ "version": true }), "version"),
        (json!({ "version": "" }), "version"),
        (json!({ "rewards": [] }), "rewards"),
        (
            json!({ "rewards": { "dailyLoginBonus": "much" } }),
            "rewards.dailyLoginBonus",
        ),
        (
            json!({ "rewards": { "dailyLoginBonus": { "gold": "5" } } }),
            "rewards.dailyLoginBonus.gold",
        ),
        (
            json!({ "rewards": { "questMultiplier": {} } }),
            "rewards.questMultiplier",
        ),
        (
            json!({ "rewards": { "items": "lantern" } }),
            "rewards.items",
        ),
        (
            json!({ "rewards": { "items": ["a", { "amount": 1 }] } }),
            "rewards.items[1].itemId",
        ),
        (
            json!({ "rewards": { "items": [{ "itemId": 7 }] } }),
            "rewards.items[0].itemId",
        ),
        (
            json!({ "rewards": { "items": [{ "itemId": "a", "amount": 1.5 }] } }),
            "rewards.items[0].amount",
        ),
        (
            json!({ "rewards": { "items": [{ "itemId": "a", "amount": "1" }] } }),
            "rewards.items[0].amount",
        ),
        (
            json!({ "rewards": { "cosmetics": [""] } }),
            "rewards.cosmetics[0].itemId",
        ),
        (
            json!({ "rewards": { "currency": [1] } }),
            "rewards.currency",
        ),
        (json!({ "multipliers": { "xp": "2" } }), "multipliers.xp"),
        (
            json!({ "unlockedFeatures": { "a": 1 } }),
            "unlockedFeatures",
        ),
        (
            json!({ "unlockedFeatures": ["a", " "] }),
            "unlockedFeatures[1]",
        ),
        (json!({ "customParameters": 5 }), "customParameters"),
        (json!({ "assets": { "banner": "/b.png" } }), "assets.banner"),
        (
            json!({ "assets": { "banner": "ftp://a/b.png" } }),
            "assets.banner",
        ),
        (
            json!({ "assets": { "banner": "javascript:alert(1)" } }),
            "assets.banner",
        ),
        (
            json!({ "assets": { "banner": "https://me:secret@a/b.png" } }),
            "assets.banner",
        ),
        (
            json!({ "assets": { "banner": format!("https://a/{}", "x".repeat(2048)) } }),
            "assets.banner",
        ),
        (json!({ "assets": { "banner": 7 } }), "assets.banner"),
        (
            json!({ "ui": { "colours": { "primary": 7 } } }),
            "ui.colours.primary",
        ),
        (json!({ "ui": { "countdown": "yes" } }), "ui.countdown"),
    ];
    for (value, field) in table {
        let (errors, warnings) = check(&value);
        assert_eq!(errors, [format!("configuration.{field}")], "{value}");
        assert_eq!(warnings, [""; 0], "{value}");
    }
}

#[test]
fn an_unknown_member_is_carried_with_a_warning() {
    let value = json!({
        "multiplers": { "xp": 2 },
        "assets": { "splash": "https://cdn.example.com/s.png" },
        "customParameters": { "whatever": 1 },
    });
    let expected = ["configuration.multiplers", "configuration.assets.splash"].map(str::to_owned);
    assert_eq!(check(&value), (vec![], expected.to_vec()));
}

#[test]
fn items_and_assets_are_named_with_their_fields() {
    let configuration = read(&whole());
    let items: Vec<_> = configuration
        .items()
        .into_iter()
        .map(|item| (item.field, item.name))
        .collect();
    assert_eq!(
        items
            .iter()
            .map(|(field, name)| (field.as_str(), *name))
            .collect::<Vec<_>>(),
        [
            ("configuration.rewards.items[0].itemId", "lantern"),
            ("configuration.rewards.items[1]", "badge"),
            ("configuration.rewards.cosmetics[0]", "armor-sovereign"),
        ]
    );
    let assets = configuration.assets();
    assert_eq!(assets.len(), 5);
    assert_eq!(assets[0].field, "configuration.assets.background");
    assert_eq!(assets[0].name.as_str(), "http://cdn.example.com/bg");
}
