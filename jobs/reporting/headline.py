"""The three lines at the top of the report: whether the night is published and its model serves, who is served, and
what changed."""

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from jobs.reporting.arrivals import RECORDS, Arrivals, Changes
from jobs.reporting.figures import Beside, Figures, Population
from jobs.reporting.words import name, number, percent, say

Status = Literal["ok", "warn", "bad", "info"]
FEWER = 0.9
"""Below this share of the people of the last night, line two is a warning."""
MANY_REFUSED = 0.05


@dataclass(frozen=True)
class Standing:
    """Whether readers see the night.

    Attributes:
        published: None where that is not known.
        reason: why it is published or not, in words; empty where there is none.
    """

    published: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the headline: what it means (a colour and a word), what it says, and sentences below it."""

    status: Status
    says: Markup
    details: list[Markup]


def headline(found: Figures, came: Arrivals, standing: Standing) -> list[Line]:
    """The three lines."""
    return [_model(found, standing), _people(came), _changes(found, came)]


def _model(found: Figures, standing: Standing) -> Line:
    model = found.model
    if model is None:
        says = say("No model was evaluated on this night.", "这一夜没有评估任何模型。")
        return _with_standing(Line("bad", says, []), standing)
    if model.promoted:
        says = say("Tonight's model {m} was promoted and serves.", "本夜的模型 {m} 已上线。", m=_code(model.version))
    elif found.serving:
        says = say(
            "Tonight's model {m} was not promoted; {old} serves.",
            "本夜的模型 {m} 未能上线，由 {old} 提供推荐。",
            m=_code(model.version),
            old=_code(found.serving),
        )
    else:
        says = say("Tonight's model {m} was not promoted.", "本夜的模型 {m} 未能上线。", m=_code(model.version))
    if losses := found.losses():
        says = say(
            "{rest} {sure}: {which}.",
            "{rest}{sure}：{which}。",
            rest=says,
            sure=say("A baseline ranks better", "有基线排得更好")
            if any(beside.sure for _, beside in losses)
            else say("A baseline may rank better", "可能有基线排得更好"),
            which=say(", ", "、").join(
                say("{b} for {p}", "{b}（{p}）", b=name(beside.theirs.model), p=name(population.name))
                for population, beside in losses
            ),
        )
    details = [_loss(found, *loss) for loss in losses]
    if ahead := [(p, p.beside) for p in found.populations if p.beside and not p.beside.loses]:
        details += [_ahead(found, *each) for each in ahead]
    silent = [p for p in found.populations if not p.beside]
    details += [
        say(
            "For {p} there is no figure of the model that serves beside a baseline.",
            "对于{p}，没有在用模型与基线的对比数据。",
            p=name(p.name),
        )
        for p in silent
    ]
    if better := found.better_without:
        details.append(_better_without(found, better))
    details += [
        say(
            "For {p} the weights of {m} serve: tonight's own ranked worse than the last promoted model.",
            "对于{p}，沿用 {m} 的权重：本夜自己的权重不如上一个上线的模型。",
            p=name(population),
            m=_code(version),
        )
        for population, version in model.weights_from.items()
    ]
    # Of five modalities one is often worth less than nothing by chance: it is said, and is no warning for that.
    warns = losses or found.surely_better_without or not model.promoted or model.weights_from
    status: Status = "warn" if warns else "ok"
    return _with_standing(Line(status, says, details), standing)


def _with_standing(line: Line, standing: Standing) -> Line:
    if standing.published is None:
        return line
    reason = [Markup.escape(standing.reason)] if standing.reason else []
    if standing.published:
        says = say("Published. {rest}", "已发布。{rest}", rest=line.says)
        return Line(line.status, says, [*reason, *line.details])
    says = say(
        "Not published: readers still see the night before. {rest}",
        "未发布：读者看到的仍是前一夜。{rest}",
        rest=line.says,
    )
    return Line("bad", says, [*reason, *line.details])


def _loss(found: Figures, population: Population, beside: Beside) -> Markup:
    return say(
        "It loses to the baseline {b} for {p}: {f} {ours} against {theirs}{how}.",
        "对于{p}，它输给了基线 {b}：{f} 为 {ours}，基线为 {theirs}{how}。",
        how=_how(beside),
        **_shared(found, population, beside),
    )


def _ahead(found: Figures, population: Population, beside: Beside) -> Markup:
    return say(
        "Ahead of every baseline for {p}: {f} {ours} against {theirs} of {b}{how}.",
        "对于{p}，它胜过所有基线：{f} 为 {ours}，最好的基线 {b} 为 {theirs}{how}。",
        how=_how(beside),
        **_shared(found, population, beside),
    )


def _shared(found: Figures, population: Population, beside: Beside) -> dict[str, object]:
    return {
        "p": name(population.name),
        "b": name(beside.theirs.model),
        "f": found.label,
        "ours": number(beside.ours.value),
        "theirs": number(beside.theirs.value),
    }


def _how(beside: Beside) -> Markup:
    """How far the difference is to be believed."""
    if beside.lead:
        sure = say("", "") if beside.sure else say(", which may be chance", "，可能只是偶然")
        return say(
            ", a difference of {d} [{low}, {high}] on the same users{sure}",
            "，同一批用户上的差为 {d} [{low}, {high}]{sure}",
            d=number(beside.lead.value, sign=True),
            low=number(beside.lead.low, sign=True),
            high=number(beside.lead.high, sign=True),
            sure=sure,
        )
    return {
        None: say("", ""),
        True: say("; their 95% intervals do not meet", "，两者的 95% 区间不相交"),
        False: say("; their 95% intervals overlap, so it may be chance", "，两者的 95% 区间相交，可能只是偶然"),
    }[beside.sure]


def _better_without(found: Figures, modalities: list[str]) -> Markup:
    whole = found.worth[0]
    parts = [
        say("{m} ({v})", "{m}（{v}）", m=name(v.model.partition(" without ")[2]), v=number(v.value))
        for v in found.worth[1:]
        if v.model.partition(" without ")[2] in modalities
    ]
    return say(
        "Tonight's model ranks better without {m} than with all it has ({f} {whole}){how}.",
        "本夜的模型去掉{m}之后反而排得更好（完整时 {f} 为 {whole}）{how}。",
        m=say(", ", "、").join(parts),
        f=found.label,
        whole=number(whole.value),
        how=say("", "")
        if found.surely_better_without
        else say("; the intervals overlap, so it may be chance", "，区间相交，可能只是偶然"),
    )


def _people(came: Arrivals) -> Line:
    account = came.of("recommend")
    left_out = account.superseded if account else 0
    details = []
    if left_out:
        details.append(
            say("{n:,} were left without: no item was left for them.", "{n:,} 人没有推荐：已无物品可推荐。", n=left_out)
        )
    if not came.served:
        return Line("bad", say("Nobody has a shelf of their own tonight.", "今夜没有任何人得到推荐。"), details)
    if came.last_night is None:
        return Line("ok", say("{n:,} people have shelves.", "{n:,} 人得到了推荐。", n=came.served), details)
    says = say(
        "{n:,} people have shelves, {d} compared with {last}.",
        "{n:,} 人得到了推荐，与 {last} 相比 {d}。",
        n=came.served,
        d=number(came.served - came.served_last, 0, sign=True),
        last=came.last_night,
    )
    fewer = came.served < FEWER * came.served_last
    return Line("warn" if fewer or left_out else "ok", says, details)


def _changes(found: Figures, came: Arrivals) -> Line:
    accounts = [came.of(step) for step in RECORDS]
    arrived, refused = (sum(getattr(a, what) for a in accounts if a) for what in ("rows_in", "refused"))
    items, events = (a.kept if a else 0 for a in accounts)
    details = [
        say(
            "{refused:,} of {arrived:,} records were refused ({share}).",
            "{arrived:,} 条记录中有 {refused:,} 条被拒收（{share}）。",
            refused=refused,
            arrived=arrived,
            share=percent(refused / arrived if arrived else 0),
        )
    ]
    status: Status = "info" if arrived and refused <= MANY_REFUSED * arrived else "warn"
    brought = {"items": items, "new": came.new_items, "events": events, "gone": came.deleted}
    if came.changes is None or came.last_night is None:
        says = say(
            "The first night: {items:,} items and {events:,} events arrived; there is no night before to compare with.",
            "第一夜：收到 {items:,} 件物品和 {events:,} 条行为，之前没有可比较的一夜。",
            **brought,
        )
        return Line(status, says, details)
    changes = came.changes
    says = say(
        "Since {last}: {items:,} items arrived ({new:,} new, {gone:,} left the catalog), and {events:,} events"
        "{shelves}.",
        "自 {last} 以来：收到 {items:,} 件物品（新增 {new:,}，下架 {gone:,}）和 {events:,} 条行为{shelves}。",
        last=came.last_night,
        shelves=_shelves(changes) if changes.places else "",
        **brought,
    )
    return Line(status, says, details)


def _shelves(changes: Changes) -> Markup:
    return say(
        "; {share} of the places on shelves are new, for {changed:,} of {users:,} people",
        "；{users:,} 人中 {changed:,} 人的推荐有变，{share} 的位置是新的",
        share=percent(changes.places_new / changes.places),
        changed=changes.users_changed,
        users=changes.users,
    )


def _code(word: str) -> Markup:
    return Markup("<code>{}</code>").format(word)
