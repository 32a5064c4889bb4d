//! Who may do what, as api.md has it: *Operator* wherever it says *Admin*, but for identity and
//! configuration.

use liveevents_service::token::Role;

/// People, tokens and configuration.
pub(super) const ADMINS: &[Role] = &[Role::Admin];

/// Approving, deploying, stopping, the audit log.
pub(super) const OPERATORS: &[Role] = &[Role::Admin, Role::Operator];

/// Creating and editing events.
pub(super) const DESIGNERS: &[Role] = &[Role::Admin, Role::Operator, Role::GameDesigner];

/// Looking: everybody but players, game servers and edges.
pub(super) const PEOPLE: &[Role] = &[
    Role::Admin,
    Role::Operator,
    Role::GameDesigner,
    Role::Developer,
];
