//! Whose attempt a person calls back.

use super::{Store, StoreError};
use crate::CampaignId;

impl Store {
    /// The campaign whose attempt last showed that caller id to a number, since then (ms since 1970); none: no attempt did.
    pub async fn shown_by(
        &self,
        phone: &str,
        caller_id: &str,
        since_unix_ms: i64,
    ) -> Result<Option<CampaignId>, StoreError> {
        // What was not sent was shown to nobody; a try over another trunk may have shown another number.
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT campaign FROM attempts a WHERE phone = $1 AND started_unix_ms >= $2 \
             AND coalesce(outcome, '') <> 'not_sent' AND (caller_id = $3 OR EXISTS \
             (SELECT 1 FROM tries t WHERE t.attempt = a.id AND t.caller_id = $3)) \
             ORDER BY started_unix_ms DESC, id DESC LIMIT 1",
        )
        .bind(phone)
        .bind(since_unix_ms)
        .bind(caller_id)
        .fetch_optional(&self.inner.readers)
        .await?;
        Ok(found.map(CampaignId))
    }
}
