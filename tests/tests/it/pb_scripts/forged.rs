//! Words of the script's own choosing: what nobody who follows the protocol would say, or not now.

use bytes::Bytes;
use goldenscript::Command;
use pbservice::{
    Change, Item, Reply, Request, RequestNo, Seq, SessionId,
    message::{Forward, Forwarded},
};
use protocol::{CallId, NodeId};
use synod_tests::pb::Node;
use viewservice::{Incarnation, Join, Member, Ping, Pong, SERVICE_NODE, Server, View, ViewNum};

use super::{Failure, Play, is_forward};

/// `1#3`.
fn member(text: &str) -> Result<Member, Failure> {
    let (node, incarnation) = text.split_once('#').ok_or("a life is missing")?;
    let node = NodeId(node.parse()?);
    Ok(Member { node, incarnation: Incarnation(incarnation.parse()?) })
}

fn item(word: &str) -> Result<Item, Failure> {
    Ok(match word {
        "begin" => Item::Begin { opened: 0, uses: 0 },
        "probe" => Item::Probe,
        "huge" => Item::Do {
            session: SessionId(1),
            number: RequestNo(9),
            change: Change::Put(Bytes::from("k".repeat(pbservice::MAX_KEY + 1)), Bytes::new()),
        },
        other => return Err(format!("no item {other}").into()),
    })
}

impl Play {
    /// `forge forward FROM TO view=V first=P [by=1#1] ITEM...`: `by` is who it says it comes from.
    /// `forge answer FROM view=V upto=P`: to the forward that is held; `forge late TO`: to none.
    /// `forge view TO view=V`: an answer of the view service that comes late. `forge question TO`:
    /// what only the view service is asked. `forge join N`, `forge ping N#I`: to the view service.
    pub(super) fn forge(&mut self, command: &Command) -> Result<(), Failure> {
        let mut args = command.consume_args();
        let mut key = |key: &str| -> Result<u64, Failure> {
            Ok(args.take_key(key).map_or(Ok(0), str::parse)?)
        };
        let (view, first, upto) = (ViewNum(key("view")?), Seq(key("first")?), Seq(key("upto")?));
        let by = args.take_key("by").map(member).transpose()?;
        let mut word =
            || -> Result<&str, Failure> { Ok(args.next_pos().ok_or("a word is missing")?) };
        let (what, whom) = (word()?, word()?);
        match what {
            "forward" => {
                let (from, to) = (NodeId(whom.parse()?), NodeId(word()?.parse()?));
                let mut items = Vec::new();
                while let Some(word) = args.next_pos() {
                    items.push(item(word)?);
                }
                let first_life = Member { node: from, incarnation: Incarnation(from.0.into()) };
                let forward = Forward { view, from: by.unwrap_or(first_life), first, items };
                self.stage.say(from, to, Request::Forward(forward));
            }
            "answer" => {
                let by: NodeId = NodeId(whom.parse()?);
                let forward =
                    |from: NodeId, to: NodeId, text: &str| to == by && is_forward(from, to, text);
                let reply = Reply::Forwarded(Ok(Forwarded { view, upto }));
                if !self.stage.answer_instead(forward, reply) {
                    return Err("no forward is on its way".into());
                }
            }
            "late" => {
                let reply = Reply::Forwarded(Ok(Forwarded { view, upto }));
                let to = NodeId(whom.parse()?);
                self.stage.answer(NodeId(2), to, CallId(u64::MAX), reply);
            }
            "view" => {
                let view = View { number: view, primary: None, backup: None };
                let pong = viewservice::Reply::Pong(Ok(Pong { view }));
                let to = NodeId(whom.parse()?);
                self.stage.answer(SERVICE_NODE, to, CallId(u64::MAX), Reply::View(pong));
            }
            "question" => {
                let question = Request::View(viewservice::Request::Get);
                self.stage.say(NodeId(9), NodeId(whom.parse()?), question);
            }
            "join" => {
                let node = NodeId(whom.parse()?);
                let join = viewservice::Request::Join(Join { node });
                self.stage.say(node, SERVICE_NODE, Request::View(join));
            }
            "ping" => {
                let member = member(whom)?;
                let server = Server { member, addr: "elsewhere".into() };
                let ping =
                    Ping { server, view, installed: false, heir: vec![], lost_backup: false };
                let ping = Request::View(viewservice::Request::Ping(ping));
                self.stage.say(member.node, SERVICE_NODE, ping);
            }
            other => return Err(format!("nobody forges {other}").into()),
        }
        args.reject_next()
    }

    /// What the view service tells people.
    pub(super) fn status(&mut self) {
        let asked = Request::View(viewservice::Request::Status);
        self.stage.ask(SERVICE_NODE, asked);
        let text = self.stage.printed();
        let stuck = text.split_once("stuck: Some(").map(|(_, rest)| {
            rest.split([' ', '(', ')', '{']).next().unwrap_or_default().to_owned()
        });
        let Some(Node::Service(service)) = self.stage.core(SERVICE_NODE) else { return };
        let safety = service.safety();
        let acknowledged = if safety.acknowledged { "" } else { "not " };
        let line = format!(
            "{}, {acknowledged}acknowledged{}",
            safety.view,
            stuck.map_or(String::new(), |why| format!("; nobody serves: {why}")),
        );
        self.stage.remark(&line);
    }
}
