//! Changed accounts whose members are to be marked: few, all in one partition, and read consistently.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use bucket_state::ResourceId;

use super::Shared;
use super::item::{Item, SK, WRITE, key, needed, nonce, number, numeral, string, text};
use super::write::{Change, Outcome, Refusal};
use crate::row::{PendingMark, Version};
use crate::store::{FanOut, StoreError};

const FAN_OUTS: &str = "fan-outs";
/// More changed accounts than an organisation has (AWS's own limit is 10,000 and more on request).
const ACCOUNTS_MOST: usize = 50_000;
/// How often a claim that others came before is looked at again.
const REDONE_MOST: usize = 5;

/// An account's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FanOutRow {
    version: Version,
    mark: PendingMark,
    /// How old the news of the last save is: what remains when the members are marked for an earlier version.
    last_arrived_ms: i64,
    last_happened_ms: i64,
    /// Who saved or claimed it last.
    worker: String,
    write: String,
}

impl FanOutRow {
    pub(super) fn key(account: &ResourceId) -> Item {
        key(FAN_OUTS, account.as_str())
    }

    /// The account's mark once it is saved as `version`.
    pub(super) fn of(base: Option<&Self>, version: Version, mark: PendingMark, worker: &str) -> Self {
        let kept = base.map_or(mark, |base| PendingMark {
            since_ms: base.mark.since_ms.min(mark.since_ms),
            arrived_ms: base.mark.arrived_ms.min(mark.arrived_ms),
            happened_ms: base.mark.happened_ms.min(mark.happened_ms),
        });
        Self {
            version,
            mark: kept,
            last_arrived_ms: mark.arrived_ms,
            last_happened_ms: mark.happened_ms,
            worker: worker.to_owned(),
            write: nonce(),
        }
    }

    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let time = |name: &str| needed(numeral(item, name), item, name);
        Ok(Self {
            version: needed(numeral(item, "version"), item, "version")?,
            mark: PendingMark {
                since_ms: time("since")?,
                arrived_ms: time("arrived")?,
                happened_ms: time("happened")?,
            },
            last_arrived_ms: time("last_arrived")?,
            last_happened_ms: time("last_happened")?,
            worker: needed(text(item, "worker"), item, "worker")?.to_owned(),
            write: needed(text(item, WRITE), item, WRITE)?.to_owned(),
        })
    }

    pub(super) fn change_from(&self, base: Option<&Self>, account: &ResourceId) -> Change {
        let mut change = Change::new(Self::key(account), &self.write, base.map(|base| base.write.as_str()));
        change.set("version", number(self.version));
        change.set("since", number(self.mark.since_ms));
        change.set("arrived", number(self.mark.arrived_ms));
        change.set("happened", number(self.mark.happened_ms));
        change.set("last_arrived", number(self.last_arrived_ms));
        change.set("last_happened", number(self.last_happened_ms));
        change.set("worker", string(&self.worker));
        change
    }
}

impl Shared {
    pub(super) async fn claim_fan_outs(
        &self,
        worker: &str,
        others_before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        // Every account's ARN begins so, and nothing sorts after a tilde.
        let items =
            self.table.range(FAN_OUTS, ["arn:", "arn:~"], false, ACCOUNTS_MOST, "look for changed accounts").await?;
        let mut claimed = Vec::new();
        for item in items {
            let account = ResourceId::from(needed(text(&item, SK), &item, SK)?);
            let mut row = FanOutRow::read(&item)?;
            for _ in 0..REDONE_MOST {
                if row.worker != worker && row.mark.since_ms >= others_before_ms {
                    break;
                }
                let mut next = FanOutRow { worker: worker.to_owned(), write: nonce(), ..row.clone() };
                next.mark.since_ms = now_ms;
                let change = next.change_from(Some(&row), &account);
                match self.table.write(&[change], &format!("claim the changed account {account}")).await? {
                    Outcome::Landed => {
                        claimed.push(FanOut { account, version: next.version, mark: next.mark });
                        break;
                    }
                    Outcome::Refused(refusals) => match refusals.into_iter().next() {
                        Some(Refusal::Moved(item)) => row = FanOutRow::read(&item)?,
                        _ => break,
                    },
                }
            }
        }
        Ok(claimed)
    }

    pub(super) async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError> {
        let (table, what) = (&self.table, format!("end the change of {}", fan_out.account));
        let delete = || {
            let delete =
                table.client.delete_item().table_name(&table.name).set_key(Some(FanOutRow::key(&fan_out.account)));
            let delete = delete.condition_expression("#version = :version");
            let delete = delete.expression_attribute_names("#version", "version");
            delete.expression_attribute_values(":version", number(fan_out.version)).send()
        };
        match table
            .call(delete)
            .await
            .map_err(|error| (table.failed(&error, &what, "DeleteItem"), error.into_service_error()))
        {
            Ok(_) => return Ok(()),
            Err((_, DeleteItemError::ConditionalCheckFailedException(_))) => {}
            Err((failed, _)) => return Err(failed),
        }
        // Saved again since, or ended by somebody else. Doing this twice does no more than doing it once.
        let write = nonce();
        let update = || {
            let update =
                table.client.update_item().table_name(&table.name).set_key(Some(FanOutRow::key(&fan_out.account)));
            let set = "SET #arrived = #last_arrived, #happened = #last_happened, #write = :write";
            let names = ["arrived", "last_arrived", "happened", "last_happened", WRITE, "pk"];
            let names = names.map(|name| (format!("#{name}"), name.to_owned())).into();
            let update = update.update_expression(set).set_expression_attribute_names(Some(names));
            let update = update.expression_attribute_values(":write", string(&write));
            update.condition_expression("attribute_exists(#pk)").send()
        };
        match table
            .call(update)
            .await
            .map_err(|error| (table.failed(&error, &what, "UpdateItem"), error.into_service_error()))
        {
            Ok(_) | Err((_, UpdateItemError::ConditionalCheckFailedException(_))) => Ok(()),
            Err((failed, _)) => Err(failed),
        }
    }
}
