//! The audit log: who did what, when, and what it was before and after. Only ever added to, in the
//! transaction of what it records.

use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgConnection, query, query_as};

use super::{Page, Paged, StoreError, Time, containing, count, time};

/// What is recorded of one deed.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a, B, A> {
    /// Who did it.
    pub actor: &'a str,
    /// What they did, such as `event.approve`.
    pub action: &'static str,
    /// To what, such as `summer-fest-2025`.
    pub subject: &'a str,
    /// What it was before, if it was.
    pub before: Option<B>,
    /// What it is after, if it is.
    pub after: Option<A>,
    /// The request's trace id.
    pub trace_id: Option<&'a str>,
}

/// A row of the log.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Place in the log.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What they did.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What it was before.
    pub before: Option<Box<RawValue>>,
    /// What it was after.
    pub after: Option<Box<RawValue>>,
    /// The request's trace id.
    pub trace_id: Option<String>,
}

struct Row {
    id: i64,
    at: Time,
    actor: String,
    action: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
    trace_id: Option<String>,
}

impl Row {
    fn read(self) -> Result<Recorded, StoreError> {
        Ok(Recorded {
            id: self.id,
            at: self.at.to_jiff(),
            actor: self.actor,
            action: self.action,
            subject: self.subject,
            before: self.before.map(text).transpose()?,
            after: self.after.map(text).transpose()?,
            trace_id: self.trace_id,
        })
    }
}

/// Which rows to list; all that hold, where given.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By this person or token.
    pub actor: Option<String>,
    /// With this text in the action.
    pub action: Option<String>,
    /// To this.
    pub subject: Option<String>,
    /// At or after this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// Records a deed.
///
/// # Errors
/// If the database fails.
pub async fn record<B: Serialize, A: Serialize>(
    conn: &mut PgConnection,
    deed: Deed<'_, B, A>,
    now: Timestamp,
) -> Result<(), StoreError> {
    record_all(conn, &[deed], now).await
}

/// Records deeds of one moment, in order.
///
/// # Errors
/// If the database fails.
pub async fn record_all<B: Serialize, A: Serialize>(
    conn: &mut PgConnection,
    deeds: &[Deed<'_, B, A>],
    now: Timestamp,
) -> Result<(), StoreError> {
    if deeds.is_empty() {
        return Ok(());
    }
    let actors: Vec<String> = deeds.iter().map(|deed| deed.actor.to_owned()).collect();
    let actions: Vec<String> = deeds.iter().map(|deed| deed.action.to_owned()).collect();
    let subjects: Vec<String> = deeds.iter().map(|deed| deed.subject.to_owned()).collect();
    let traces = deeds.iter().map(|deed| deed.trace_id.map(str::to_owned));
    let befores = deeds.iter().map(|deed| json(deed.before.as_ref()));
    let afters = deeds.iter().map(|deed| json(deed.after.as_ref()));
    query!(
        "INSERT INTO audit_log (at, actor, action, subject, before, after, trace_id)
         SELECT $1, actor, action, subject, before::jsonb, after::jsonb, trace_id
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             WITH ORDINALITY AS deeds (actor, action, subject, before, after, trace_id, place)
         ORDER BY place",
        time(now) as _,
        &actors,
        &actions,
        &subjects,
        &befores.collect::<Result<Vec<_>, _>>()? as _,
        &afters.collect::<Result<Vec<_>, _>>()? as _,
        &traces.collect::<Vec<_>>() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of the rows that a filter passes, newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    page: Page,
) -> Result<Paged<Recorded>, StoreError> {
    let action = filter.action.as_deref().map(containing);
    let total = query!(
        "SELECT count(*) FROM audit_log
         WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR action ILIKE $2)
           AND ($3::text IS NULL OR subject = $3)
           AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)",
        filter.actor.as_deref(),
        action,
        filter.subject.as_deref(),
        filter.from.map(time) as _,
        filter.to.map(time) as _
    )
    .fetch_one(&mut *conn)
    .await?;
    let rows = query_as!(
        Row,
        r#"SELECT id, at as "at: Time", actor, action, subject, before::text, after::text, trace_id
           FROM audit_log
           WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR action ILIKE $2)
             AND ($3::text IS NULL OR subject = $3)
             AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
           ORDER BY id DESC LIMIT $6 OFFSET $7"#,
        filter.actor.as_deref(),
        action,
        filter.subject.as_deref(),
        filter.from.map(time) as _,
        filter.to.map(time) as _,
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(conn)
    .await?;
    Ok(Paged {
        items: rows.into_iter().map(Row::read).collect::<Result<_, _>>()?,
        total: count(total.count),
    })
}

/// A page of the rows about an event and its deployments, newest first.
///
/// # Errors
/// If the database fails.
pub async fn of_event(
    conn: &mut PgConnection,
    event: &EventId,
    page: Page,
) -> Result<Paged<Recorded>, StoreError> {
    let total = query!(
        "SELECT count(*) FROM audit_log
         WHERE subject = $1 AND action NOT LIKE 'segment.%'
             OR subject IN (SELECT deployment_id::text FROM deployments WHERE event_id = $1)",
        event.as_str()
    )
    .fetch_one(&mut *conn)
    .await?;
    let rows = query_as!(
        Row,
        r#"SELECT id, at as "at: Time", actor, action, subject, before::text, after::text, trace_id
           FROM audit_log
           WHERE subject = $1 AND action NOT LIKE 'segment.%'
             OR subject IN (SELECT deployment_id::text FROM deployments WHERE event_id = $1)
           ORDER BY id DESC LIMIT $2 OFFSET $3"#,
        event.as_str(),
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(conn)
    .await?;
    Ok(Paged {
        items: rows.into_iter().map(Row::read).collect::<Result<_, _>>()?,
        total: count(total.count),
    })
}

fn json<T: Serialize>(value: Option<T>) -> Result<Option<String>, StoreError> {
    let text = value.map(|value| serde_json::to_string(&value)).transpose();
    text.map_err(StoreError::unreadable("an audit row about to be stored"))
}

fn text(json: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(json).map_err(StoreError::unreadable("an audit row"))
}
