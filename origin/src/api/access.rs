//! What an operation asks of its callers, said once: where its route is registered.
//!
//! [`Routes`] is the only way to add one. From what is said there come the entry in the document and the rule of the
//! [`gate`](super::gate), so that the two cannot differ, and a route without documentation is impossible.

use std::collections::{BTreeSet, HashMap};

use axum::Router;
use axum::http::Method;
use liveevents_service::token::Role;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{Api, document};
use crate::quotas::Limit;

/// What is asked of the callers of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// Whose token may; none where no token is needed.
    pub(super) roles: Option<&'static [Role]>,
    /// How often one caller may.
    pub(super) limit: Option<Limit>,
    /// Whether an `Idempotency-Key` makes it be carried out once. The handler claims it ([`Once`](super::once::Once)).
    pub(super) once: bool,
    /// Errors that it may answer besides those that follow from what it is.
    pub(super) also: &'static [u16],
}

impl Access {
    /// No token is needed.
    pub(super) const ANYONE: Self = Self {
        roles: None,
        limit: None,
        once: false,
        also: &[],
    };

    /// A token of one of these roles is.
    pub(super) const fn to(roles: &'static [Role]) -> Self {
        Self {
            roles: Some(roles),
            ..Self::ANYONE
        }
    }

    /// So often. Operations that have `limit` in their query are lists, and limited as such, unless this is said.
    pub(super) const fn limited(self, limit: Limit) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// It creates something, and is carried out once for an `Idempotency-Key`.
    pub(super) const fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// It may answer these errors besides.
    pub(super) const fn also(self, statuses: &'static [u16]) -> Self {
        Self {
            also: statuses,
            ..self
        }
    }
}

impl From<&'static [Role]> for Access {
    fn from(roles: &'static [Role]) -> Self {
        Self::to(roles)
    }
}

/// The rule of one operation, for the gate.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) access: Access,
    /// The names that its query may have.
    pub(super) query: BTreeSet<String>,
}

impl Rule {
    /// Whether the query may have this name. One that ends with a star stands for all that begin as it does.
    pub(super) fn knows(&self, name: &str) -> bool {
        let begins = |known: &String| {
            let start = known.strip_suffix('*');
            start.is_some_and(|start| name.starts_with(start))
        };
        self.query.contains(name) || self.query.iter().any(begins)
    }
}

/// Every rule, by method and path as it is matched.
pub(super) type Rules = HashMap<(Method, String), Rule>;

/// Routes, each with its documentation and its rule.
#[derive(Default)]
pub(super) struct Routes {
    router: OpenApiRouter<Api>,
    rules: Rules,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds the operations of `routes!(..)`, which are at one path and open to the same.
    pub(super) fn add(
        mut self,
        access: impl Into<Access>,
        (schemas, mut paths, handlers): UtoipaMethodRouter<Api>,
    ) -> Self {
        let mut access: Access = access.into();
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                let query = query(operation);
                if query.contains("limit") {
                    access.limit = access.limit.or(Some(Limit::Lists));
                }
                check_path(path, operation);
                document::describe(operation, &method, path, access);
                self.rules
                    .insert((method, path.clone()), Rule { access, query });
            }
        }
        let known = self.router.get_openapi().components.as_ref();
        for (name, schema) in &schemas {
            let other = known.and_then(|known| known.schemas.get(name));
            one_schema(name, other, schema);
        }
        self.router = self.router.routes((schemas, paths, handlers));
        self
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        let schemas = |routes: &Self| {
            let components = routes.router.get_openapi().components.as_ref();
            components.map(|components| components.schemas.clone())
        };
        let known = schemas(&self).unwrap_or_default();
        for (name, schema) in schemas(&other).unwrap_or_default() {
            one_schema(&name, known.get(&name), &schema);
        }
        self.router = self.router.merge(other.router);
        self.rules.extend(other.rules);
        self
    }

    pub(super) fn nest(mut self, base: &str, other: Self) -> Self {
        self.router = self.router.nest(base, other.router);
        let rules = other.rules.into_iter();
        let nested = rules.map(|((method, path), rule)| ((method, format!("{base}{path}")), rule));
        self.rules.extend(nested);
        self
    }

    /// The routes, what is written about them, and what is asked at them.
    pub(super) fn split(self) -> (Router<Api>, OpenApi, Rules) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.rules)
    }
}

/// One name in the document means one thing: the later of two would silently take the place of the other.
fn one_schema<S: PartialEq>(name: &str, known: Option<&S>, other: &S) {
    assert!(
        known.is_none_or(|known| known == other),
        "two schemas are called {name}: rename one by #[schema(as = ...)]"
    );
}

/// What the macro does not see for itself has to be named: `params(("id" = EventId, Path), Filter)`.
fn check_path(path: &str, operation: &Operation) {
    let parameters = operation.parameters.iter().flatten();
    let mut named = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path => Some(&parameter.name),
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    let parts = path.split('{').skip(1);
    let in_path = parts.filter_map(|part| Some(part.split_once('}')?.0));
    for part in in_path {
        assert!(
            named.any(|name| name == part),
            "{path}: the path's {part} has to be among the params, in its order"
        );
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, item.get.as_mut()),
        (Method::POST, item.post.as_mut()),
        (Method::PUT, item.put.as_mut()),
        (Method::PATCH, item.patch.as_mut()),
        (Method::DELETE, item.delete.as_mut()),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation?)))
}

fn query(operation: &Operation) -> BTreeSet<String> {
    let parameters = operation.parameters.iter().flatten();
    let query = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
            Some(parameter.name.clone())
        }
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    query.collect()
}
