//! Groups of trunks that are made, changed and deleted while calls run.

use kraliki_time::Time;

use super::Then;
use crate::limits::GROUPS_MOST;
use crate::trunk::GroupLive;
use crate::{CommandError, Engine, Reply, TrunkGroup, TrunkGroupId, Write};

impl Engine {
    /// Adds a group, or changes one. It holds once it is on disk.
    pub(crate) fn put_group(&mut self, now: Time, reply: u64, id: Option<TrunkGroupId>, group: TrunkGroup) {
        if let Err(error) = self.check_group(id, &group) {
            return self.reply(reply, Err(error));
        }
        let id = id.unwrap_or_else(|| {
            let id = TrunkGroupId(self.next_group);
            self.next_group += 1;
            id
        });
        if let Some(live) = self.groups.get_mut(&id) {
            live.saving = true;
        }
        let write = Write::TrunkGroup { id, group: Box::new(group.clone()) };
        self.store(now, write, Then::PutGroup(reply, id, Box::new(group)));
    }

    pub(crate) fn delete_group(&mut self, now: Time, reply: u64, id: TrunkGroupId) {
        let refusal = self.changeable_group(id).and_then(|name| {
            let standing = self.campaigns.values().map(|live| &live.campaign.settings);
            let mut campaigns = standing.chain(self.storing.coming_settings());
            match campaigns.find(|settings| settings.trunk == name) {
                Some(settings) => Err(CommandError::Conflict(format!(
                    "campaign {} uses trunk group {name}; give it another one first",
                    settings.name
                ))),
                None => Ok(()),
            }
        });
        if let Err(error) = refusal {
            return self.reply(reply, Err(error));
        }
        if let Some(live) = self.groups.get_mut(&id) {
            live.saving = true;
        }
        self.store(now, Write::TrunkGroupDeleted(id), Then::DeleteGroup(reply, id));
    }

    /// The group's name, when it is one that may be changed now.
    fn changeable_group(&self, id: TrunkGroupId) -> Result<String, CommandError> {
        match self.groups.get(&id) {
            Some(live) if id < TrunkGroupId::FIRST_STORED => Err(CommandError::Conflict(format!(
                "trunk group {} stands in the configuration file; change it there and restart",
                live.group.name
            ))),
            Some(live) if live.saving => Err(CommandError::Conflict(
                "another change of this trunk group is being saved; try again".into(),
            )),
            Some(live) => Ok(live.group.name.clone()),
            None => Err(CommandError::NotFound { what: "trunk group".into(), id: id.0 }),
        }
    }

    fn check_group(&self, id: Option<TrunkGroupId>, group: &TrunkGroup) -> Result<(), CommandError> {
        let invalid = |field: &str, message: String| CommandError::Invalid { field: field.into(), message };
        match id {
            Some(id) => {
                let name = self.changeable_group(id)?;
                if group.name != name {
                    let message = format!("a trunk group keeps its name, {name}; make another group instead");
                    return Err(invalid("name", message));
                }
            }
            None => {
                let coming = self.storing.coming_groups().map(|group| &group.name);
                let mut names = self.groups.values().map(|live| &live.group.name).chain(coming);
                if names.any(|taken| taken.eq_ignore_ascii_case(&group.name)) {
                    let message =
                        format!("there is a trunk group named {} already; choose another name", group.name);
                    return Err(invalid("name", message));
                }
                if self.groups.len() >= GROUPS_MOST {
                    let text = "there are too many trunk groups; delete one first";
                    return Err(CommandError::Conflict(text.into()));
                }
            }
        }
        let there = self.trunks.values().filter(|line| !line.leaving);
        let names: Vec<&str> = there.map(|line| line.trunk.name.as_str()).collect();
        group.check(&names).map_err(|(field, message)| invalid(field, message))
    }

    /// It is on disk: calls that are begun from now on go by it.
    pub(crate) fn group_put(&mut self, reply: u64, id: TrunkGroupId, group: TrunkGroup) {
        self.groups.insert(id, GroupLive::new(group));
        self.reply(reply, Ok(Reply::Group(id)));
        self.pace_wanted = true;
    }

    pub(crate) fn group_deleted(&mut self, reply: u64, id: TrunkGroupId) {
        self.groups.remove(&id);
        self.reply(reply, Ok(Reply::Done));
    }

    /// The change is not on disk: the group is as it was.
    pub(crate) fn group_kept(&mut self, id: TrunkGroupId) {
        if let Some(live) = self.groups.get_mut(&id) {
            live.saving = false;
        }
    }

    /// Every group.
    pub fn trunk_groups(&self) -> Vec<(TrunkGroupId, TrunkGroup)> {
        self.groups.iter().map(|(id, live)| (*id, live.group.clone())).collect()
    }
}
