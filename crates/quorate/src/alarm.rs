//! Calls about alarms.

use quorate_kv_api::{AlarmAction, AlarmRequest, AlarmResponse, AlarmType};
use quorate_types::MemberId;

use crate::client::Client;
use crate::pending::Pending;
use crate::seam::{Request, Response};

impl Client {
    /// The alarms that are raised, by member and kind.
    pub fn alarms(&self) -> Pending<AlarmResponse> {
        self.submit(Request::Alarms, alarm_response)
    }

    /// Raises an alarm, which refuses writes on all members; see [`AlarmType`]. Raising it again
    /// changes nothing. The response has the alarm.
    pub fn raise_alarm(&self, member: MemberId, alarm: AlarmType) -> Pending<AlarmResponse> {
        self.alarm(AlarmAction::Activate, member, alarm)
    }

    /// Clears an alarm. The response has it, or nothing if it was not raised.
    pub fn clear_alarm(&self, member: MemberId, alarm: AlarmType) -> Pending<AlarmResponse> {
        self.alarm(AlarmAction::Deactivate, member, alarm)
    }

    fn alarm(
        &self,
        action: AlarmAction,
        member: MemberId,
        alarm: AlarmType,
    ) -> Pending<AlarmResponse> {
        let request =
            AlarmRequest { action: action.into(), member_id: member.get(), alarm: alarm.into() };
        self.write(request.into(), alarm_response)
    }
}

fn alarm_response(response: Response) -> Option<AlarmResponse> {
    match response {
        Response::Alarm(alarms) => Some(alarms),
        _ => None,
    }
}
